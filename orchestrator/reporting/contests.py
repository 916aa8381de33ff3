"""FaceAPI against MobileNet on the same faces: each split's comparisons and its answer in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faceapi.contract.labels import class_of
from faceapi.contract.settings import FaceApiSettings
from orchestrator.reporting.formats import METHODS
from orchestrator.reporting.material import Notes, Scored
from orchestrator.statistics.answer import Candidate, Question, answer
from orchestrator.statistics.comparison import PairedComparison
from orchestrator.statistics.detection import Answers, DetectorComparison, compare_with_detector
from orchestrator.statistics.joining import FaceRows
from orchestrator.statistics.values import LEVEL
from trainable.base.text import one_line

CONTEST_LEVEL = 1 - (1 - LEVEL) / 2
"""Of the intervals: either of a split's two candidates may turn out to be the better one (Bonferroni)."""

_LONGEST = 160
"""Characters of a failure's message, whose rest is in the table's notes."""


@dataclass(frozen=True)
class Contest:
    """One MobileNet against FaceAPI on one split.

    Attributes:
        comparison: None where there is none.
        problem: why, half a sentence; "" where there is one.
        translated: the face-api class of each class of the MobileNet; None for one that face-api does not know.
    """

    baseline: Scored
    candidate: Scored
    comparison: DetectorComparison | None = None
    problem: str = ""
    translated: Mapping[str, str | None] | None = None

    @property
    def settings(self) -> tuple[tuple[str, PairedComparison | None], ...]:
        """The two fair comparisons with their names."""
        if self.comparison is None:
            return ()
        return (("all rows", self.comparison.all_rows), ("matched faces", self.comparison.matched))


def make_contests(items: Sequence[Scored], notes: Notes) -> list[Contest]:
    """Compare each MobileNet with FaceAPI on its split, where both have a result."""
    baselines = {item.result.experiment.split: item for item in items if not item.result.experiment.trains}
    pairs = [
        (baselines[item.result.experiment.split], item)
        for item in items
        if item.result.experiment.trains and item.result.experiment.split in baselines
    ]
    found = []
    for baseline, candidate in pairs:
        contest = Contest(baseline, candidate, problem="their rows could not be compared")
        with notes.guarding(f"the comparison of {candidate.name} with FaceAPI"):
            contest = _contest(baseline, candidate)
        found.append(contest)
    return found


def _contest(baseline: Scored, candidate: Scored) -> Contest:
    for item in (candidate, baseline):
        if not item.result.present:
            return Contest(baseline, candidate, problem=why_missing(item))
    if candidate.inputs is None or baseline.inputs is None:
        problems = dict.fromkeys(filter(None, (candidate.inputs_problem, baseline.inputs_problem)))
        return Contest(baseline, candidate, problem="; ".join(problems))
    labels = baseline.config.get("labels")
    settings = FaceApiSettings(labels=labels if isinstance(labels, dict) else {})
    translated = {name: class_of(name, settings) for name in candidate.classes}
    persons = None if candidate.inputs.persons is None else candidate.inputs.persons.tolist()
    comparison = compare_with_detector(
        _answers(baseline, {}),
        _answers(candidate, translated),
        sorted({translated[name] or name for name in candidate.classes}),
        persons,
        level=CONTEST_LEVEL,
    )
    return Contest(baseline, candidate, comparison, "", translated)


def _answers(item: Scored, names: Mapping[str, str | None]) -> Answers:
    """The rows of a result with its labels in face-api's words."""
    rows, inputs = item.result.rows, item.inputs
    labels, answers = ([names.get(label) or label for label in rows[name].tolist()] for name in ("true", "pred"))
    return Answers(FaceRows(rows["path"].tolist(), labels, inputs.boxes if inputs else None), answers)


def why_missing(item: Scored) -> str:
    """Why an experiment has no result, half a sentence for the first screen."""
    return one_line("; ".join(item.result.notes), _LONGEST).rstrip(".") or "not run yet"


def make_answers(items: Sequence[Scored], contests: Sequence[Contest]) -> list[str]:
    """The first sentences of the page, one string for each split that has a baseline."""
    found = []
    for baseline in (item for item in items if not item.result.experiment.trains):
        candidates = [
            Candidate(
                f"MobileNet {METHODS[c.candidate.result.experiment.method].lower()}",
                c.comparison,
                c.problem,
                c.candidate.whole.answered if c.candidate.whole else None,
            )
            for c in contests
            if c.baseline is baseline
        ]
        missing = "" if baseline.result.present else why_missing(baseline)
        found.append(answer(Question(baseline.result.experiment.split, "FaceAPI", candidates, missing)))
    return found
