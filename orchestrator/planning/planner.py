"""What would run, on what, and what is done already: pure, no Ray, no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from faceapi.setup import faceapi_identity
from orchestrator.planning.inputs import Inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.settings import Settings
from search_spaces.runbook import Experiment
from trainable.base.config import TrainConfig
from trainable.base.files import read_json
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import ImageHashes, Progress, no_progress
from trainable.data.tables import ImageTable
from trainable.run.identity import Identity, data_identity, differences, run_identity, weights_identity

Watch = Callable[[], AbstractContextManager[Progress]]
Status = Literal["done", "stale", "interrupted", "new"]


@dataclass(frozen=True)
class Step:
    """One experiment as it would run now.

    `identity` is filled in where there is something to compare it with, and by `identify` before a run; `rows` are
    the train, val and test counts (FaceAPI: test only); `work` orders steps, in images passed through the network.
    """

    experiment: Experiment
    rows: tuple[int, ...]
    work: float
    status: Status
    why: str
    config: TrainConfig | None = None
    identity: Identity | None = None
    sweep: str | None = None
    """The experiment whose sweep this is a trial of; it is judged by the sweep's policy unless it tests."""
    stopped_counts: bool = True
    """A trial that its policy stopped is done."""
    open: bool = False
    """A trial whose configuration the search has yet to choose: `config` stands for it in what is planned ahead."""

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def to_do(self) -> bool:
        return self.status != "done"


class Planner:
    """Plans experiments over checked inputs.

    Args:
        watch: gives what is told of the hashing of images while it goes on.
    """

    def __init__(
        self, inputs: Inputs, settings: Settings, paths: ProjectPaths, watch: Watch = lambda: nullcontext(no_progress)
    ) -> None:
        self.inputs, self.settings, self.paths, self.watch = inputs, settings, paths, watch
        self.hashes = ImageHashes(cache_root() / HASHES)  # shared with the image store: no image is hashed for each
        self._data: dict[str, Identity] = {}
        self._weights: dict[str, str] = {}

    def plan(self, experiments: Sequence[Experiment], *, fresh: bool = False) -> list[Step]:
        """A step per experiment, in the given order; with `fresh` nothing counts as done."""
        self._hash([] if fresh else [experiment for experiment in experiments if self._has_record(experiment)])
        return [self._step(experiment, fresh) for experiment in experiments]

    def identify(self, step: Step) -> Step:
        """The step with its identity; reads image contents that are not in the cache."""
        return step if step.identity else replace(step, identity=self._identity(step))

    def trial(
        self,
        experiment: Experiment,
        config: TrainConfig,
        sweep: str,
        *,
        stopped_counts: bool = True,
        fresh: bool = False,
    ) -> Step:
        """A trial of a sweep as a step.

        Args:
            experiment: with `trial` set.
            stopped_counts: a trial that its policy stopped is done.
        """
        step = replace(self._new(experiment, config), sweep=sweep, stopped_counts=stopped_counts)
        if fresh:
            return replace(step, why="--fresh")
        note = _record(self.paths.run(experiment).stopped)
        if note and stopped_counts:
            step = self.identify(step)
            if note["identity"] == step.identity and note["final"]:
                return replace(step, status="done", why=note["why"])
        return self._compare(step)

    def again(self, step: Step) -> Step:
        """The step as it is on disk now."""
        if step.sweep is not None:
            assert step.config is not None
            return self.trial(step.experiment, step.config, step.sweep, stopped_counts=step.stopped_counts)
        return self._step(step.experiment, False)

    def _step(self, experiment: Experiment, fresh: bool) -> Step:
        step = self._new(experiment, self.inputs.configs[experiment.name] if experiment.trains else None)
        return replace(step, why="--fresh") if fresh else self._compare(step)

    def _new(self, experiment: Experiment, config: TrainConfig | None) -> Step:
        if config is not None:
            tables = self.inputs.training[experiment.split]
            rows = tuple(len(table) for table in tables.values())
            # Frozen stages have no backward pass, which is about two thirds of an epoch.
            frozen = config.stage_starts[-1] if config.mode == "finetune" else config.epochs
            work = rows[0] * (config.epochs - 2 / 3 * frozen)
        else:
            rows = (len(self.inputs.faceapi[experiment.split]),)
            work = float(rows[0])
        return Step(experiment, rows, work, "new", "never ran", config)

    def _compare(self, step: Step) -> Step:
        """Hold the step against what is on disk."""
        manifest = _record(self.paths.manifest(step.experiment))
        note = _record(self.paths.run(step.experiment).checkpoint_note) if step.experiment.trains else {}
        if not manifest and not note:
            return step
        step = self.identify(step)
        assert step.identity is not None
        lost = [path.name for path in self.paths.results(step.experiment) if not path.is_file()]
        status: Status = "stale"
        if manifest and manifest.get("identity") == step.identity and not lost:
            status, why = "done", str(manifest.get("finished", "")).replace("+00:00", "Z")
        elif note and note.get("identity") == step.identity:
            status, why = "interrupted", f"goes on after epoch {note['epoch']} of {_epochs(step)}"
        elif not manifest:
            why = "interrupted with other inputs: " + _changes(note, step.identity)
        elif manifest.get("identity") != step.identity:
            why = _changes(manifest, step.identity)
        else:
            why = f"{', '.join(lost)} is missing"
        return replace(step, status=status, why=why)

    def _has_record(self, experiment: Experiment) -> bool:
        """Whether there is something on disk to compare it with."""
        note = self.paths.run(experiment).checkpoint_note if experiment.trains else None
        return self.paths.manifest(experiment).exists() or (note is not None and note.exists())

    def _hash(self, experiments: Sequence[Experiment]) -> None:
        """Hash the images of all these experiments at once: each is read once, and there is one progress to watch."""
        tables: list[ImageTable] = []
        for experiment in experiments:
            split = experiment.split
            tables += self.inputs.training[split].values() if experiment.trains else [self.inputs.faceapi[split]]
        with self.watch() as progress:
            self.hashes.fill(tables, progress)

    def _identity(self, step: Step) -> Identity:
        split = step.experiment.split
        self._hash([step.experiment])
        if step.config is not None:
            if split not in self._data:
                self._data[split] = data_identity(self.inputs.training[split], self.hashes)
            weights = step.config.weights
            if weights not in self._weights:
                self._weights[weights] = weights_identity(weights)
            parts = step.experiment.parts
            data = {part: self._data[split][part] for part in parts}
            return run_identity(step.config, data, self._weights[weights])
        assert self.inputs.evaluator is not None
        return faceapi_identity(self.inputs.faceapi[split], self.settings.faceapi, self.inputs.evaluator, self.hashes)


def _epochs(step: Step) -> int:
    assert step.config is not None
    return step.config.epochs


def _record(path: Path) -> dict[str, Any]:
    """What a run noted about itself; {} where that is missing or not what we write."""
    found = read_json(path)
    return found if isinstance(found, dict) and isinstance(found.get("identity"), dict) else {}


def _changes(record: dict[str, Any], identity: Identity) -> str:
    return "; ".join(text.replace("data.", "", 1) for text in differences(record["identity"], identity))


def longest_first(steps: Sequence[Step]) -> list[Step]:
    """The order to start in, so that no long run is left alone at the end."""
    return sorted(steps, key=lambda step: -step.work)
