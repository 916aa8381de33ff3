"""A method that does not answer on every row, as FaceAPI does, against one that does.

The runbook's table has FaceAPI's accuracy on the faces that it found, and MobileNet's on all faces (section 7). Two
comparisons are fair: both methods on the faces that the detector found, and both on all faces, where a face that was
not found is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.statistics.comparison import PairedComparison, compare_paired
from orchestrator.statistics.evaluation import evaluate
from orchestrator.statistics.joining import FaceRows, Join, join_faces
from orchestrator.statistics.scores import NO_CLASS, numbered
from orchestrator.statistics.values import LEVEL, Estimate


@dataclass(frozen=True)
class Answers:
    """The rows of a CSV and a method's answers; None where the method did not find the face.

    Raises:
        ValueError: there are not as many answers as rows.
    """

    rows: FaceRows
    predicted: Sequence[str | None]

    def __post_init__(self) -> None:
        if len(self.predicted) != len(self.rows):
            raise ValueError(f"{len(self.predicted)} answers to {len(self.rows)} rows")


@dataclass(frozen=True)
class DetectorComparison:
    """A reference that may miss faces, against a candidate that answers always.

    Attributes:
        join: which rows of the reference (left) and of the candidate (right) belong together.
        coverage: the share of joined rows on which the reference found the face.
        matched: both on the joined rows where the reference found the face; None where there is no such row.
        all_rows: both on all joined rows, a face that was not found is wrong; None where no row was joined.
        other_answers: joined rows on which the reference answered none of the classes, which counts as wrong.
    """

    join: Join
    coverage: Estimate
    matched: PairedComparison | None
    all_rows: PairedComparison | None
    other_answers: int


def compare_with_detector(
    reference: Answers,
    candidate: Answers,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    *,
    level: float = LEVEL,
) -> DetectorComparison:
    """Compare on the rows that both methods saw.

    Args:
        reference: FaceAPI's rows, with boxes from the CSV of photos.
        candidate: MobileNet's rows, with boxes from the CSV of crops, and in the same words: its labels and answers are
            to be translated into face-api's first.
        classes: the classes of the data.
        groups: for each of the candidate's rows what rows that belong together share, for example the person.
        level: of the intervals.

    Raises:
        ValueError: not as many groups as rows, or the label of a joined row is none of the classes.
    """
    if groups is not None and len(groups) != len(candidate.rows):
        raise ValueError(f"{len(groups)} groups for {len(candidate.rows)} rows")
    join = join_faces(reference.rows, candidate.rows)
    labels = [candidate.rows.labels[row] for row in join.right]
    answers = [reference.predicted[row] for row in join.left], [candidate.predicted[row] for row in join.right]
    true, before, after = _true(labels, classes), *(numbered(each, classes) for each in answers)
    persons = None if groups is None else np.array([groups[row] for row in join.right])
    found = np.array([each is not None for each in answers[0]], bool)

    def compare(rows: np.ndarray) -> PairedComparison | None:
        if not rows.any():
            return None
        of_rows = None if persons is None else persons[rows]
        return compare_paired(true[rows], before[rows], after[rows], classes, of_rows, level=level)

    other_answers = int((found & (before == NO_CLASS)).sum())
    matched, everywhere = compare(found), compare(np.ones(len(true), bool))
    return DetectorComparison(join, _share(found, persons, level), matched, everywhere, other_answers)


def _true(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    numbers = numbered(labels, classes)
    if (numbers == NO_CLASS).any():
        label = labels[int(np.argmax(numbers == NO_CLASS))]
        raise ValueError(f"the label {label!r} is none of the classes {', '.join(classes)}")
    return numbers


def _share(found: np.ndarray, groups: np.ndarray | None, level: float) -> Estimate:
    """The share of rows that were found (n,): the accuracy of one class, of which an unfound row is no answer."""
    answers = np.where(found, 0, NO_CLASS)
    return evaluate(np.zeros(len(found), np.int64), answers, ("found",), groups, level=level).accuracy
