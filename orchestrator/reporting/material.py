"""What the page is made from: each result with its scores, its test CSV and its manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.changed_inputs import TodaysInputs
from orchestrator.reporting.formats import METHODS
from orchestrator.reporting.input_rows import InputRows, read_input
from orchestrator.reporting.results import Result
from orchestrator.statistics.evaluation import Evaluation, evaluate
from orchestrator.statistics.scores import numbered
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json
from trainable.base.text import one_line

T = TypeVar("T")


@dataclass(frozen=True)
class Scored:
    """A result and what is known of it.

    Attributes:
        manifest: of the run; empty where there is none.
        inputs: the test CSV as it is today, if it has the rows of the result; None otherwise.
        inputs_problem: why `inputs` is None, in a sentence without a full stop; "" where it is not.
        changed: what is other in its CSVs today than when it was made, such as "test_M1.csv has other rows".
        whole: the scores on all test rows; None without a result or a row. Rows that FaceAPI did not match are wrong.
        matched: the scores of FaceAPI on the rows that it matched; None for the others.
    """

    result: Result
    manifest: Mapping[str, Any] = field(default_factory=dict)
    inputs: InputRows | None = None
    inputs_problem: str = ""
    changed: tuple[str, ...] = ()
    whole: Evaluation | None = None
    matched: Evaluation | None = None

    @property
    def stale(self) -> bool:
        """Whether `run-all` would make it again because of its CSVs."""
        return bool(self.changed)

    @property
    def name(self) -> str:
        """The experiment's name for readers, such as "M1 Finetune"."""
        experiment = self.result.experiment
        return f"{experiment.split} {METHODS[experiment.method]}"

    @property
    def config(self) -> Mapping[str, Any]:
        """The training configuration, or FaceAPI's settings; empty where they are not known."""
        identity = self.manifest.get("identity")
        nested = identity.get("config") if isinstance(identity, dict) else None
        found = self.manifest.get("config") or nested
        return found if isinstance(found, dict) else {}

    @property
    def weights(self) -> str:
        """The digest or name of the weights; "" where it is not known."""
        identity = self.manifest.get("identity")
        return str(identity.get("weights", "")) if isinstance(identity, dict) else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the data; for FaceAPI those of its rows, in face-api's words."""
        if self.result.experiment.trains:
            return self.result.classes
        return tuple(sorted(set(self.result.rows["true"])))


class Notes:
    """Collects what could not be shown, so that an odd file costs its own panel only."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    @contextmanager
    def guarding(self, what: str) -> Iterator[None]:
        """Turn an error of the block into a note; `what` names the panel that is then missing."""
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # files of any origin are read, which fail in ways that nobody can list
            reason = str(error) if isinstance(error, ExperimentError) else f"{type(error).__name__}: {error}"
            self.texts.append(one_line(f"{what} is not shown: {reason}"))

    def of_each(self, items: Sequence[Scored], what: str, make: Callable[[Scored], T | None]) -> dict[str, T]:
        """Make something of each result, by the experiment's name; what cannot be made, or is None, is left out."""
        found: dict[str, T] = {}
        for item in items:
            with self.guarding(f"{what} of {item.name}"):
                made = make(item)
                if made is not None:
                    found[item.result.experiment.name] = made
        return found


def score_results(paths: ProjectPaths, results: Sequence[Result], notes: Notes) -> list[Scored]:
    """Add to each result what the page needs of it; results without files stay without."""
    found, today = [], TodaysInputs(paths)
    for result in results:
        scored = Scored(result)
        with notes.guarding(scored.name):
            scored = _scored(paths, result) if result.present else scored
        with notes.guarding(f"whether {scored.name} is stale"):
            scored = replace(scored, changed=_changed(scored, today))
        found.append(scored)
    return found


def _changed(item: Scored, today: TodaysInputs) -> tuple[str, ...]:
    if not item.result.present:
        return ()
    changed = today.changed(item.result.experiment, item.manifest)
    test = changed.pop("test", None)
    of_test = (f"{test.name} has other labels or boxes",) if test else ()
    return (*(f"{csv.name} has changed" for csv in changed.values()), *(item.changed or of_test))


def _scored(paths: ProjectPaths, result: Result) -> Scored:
    experiment, problem, inputs = result.experiment, "", None
    changed: tuple[str, ...] = ()
    manifest = read_json(paths.manifest(experiment))
    split = experiment.split
    csv = paths.training_csvs(split)["test"] if experiment.trains else paths.faceapi_csv(split)
    try:
        inputs = read_input(csv)
    except ExperimentError as error:
        problem = str(error)
    if inputs and not inputs.has_rows(result.rows["path"].tolist()):
        inputs, problem = None, f"{csv.name} has other rows today than the result"
        changed = (f"{csv.name} has other rows",)
    scored = Scored(result, manifest if isinstance(manifest, dict) else {}, inputs, problem, changed)
    if not len(result.rows):
        return scored
    true, predicted = (numbered(result.rows[name].tolist(), scored.classes) for name in ("true", "pred"))
    persons = inputs.persons if inputs else None
    whole = evaluate(true, predicted, scored.classes, persons)
    matched, kept = None, result.rows["pred"].notna().to_numpy()
    if not experiment.trains and kept.any():
        groups = None if persons is None else persons[kept]
        matched = evaluate(true[kept], predicted[kept], scored.classes, groups)
    return Scored(result, scored.manifest, inputs, problem, changed, whole, matched)
