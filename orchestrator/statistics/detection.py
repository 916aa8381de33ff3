"""A method that does not answer on every row, as FaceAPI does, against one that does.

The runbook's table has FaceAPI's accuracy on the faces that it found, and MobileNet's on all faces (section 7). Two
comparisons are fair: both methods on the faces that the detector found, and both on all faces, where a face that was
not found is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.statistics.comparison import PairedComparison
from orchestrator.statistics.joining import FaceRows, Join
from orchestrator.statistics.values import LEVEL, Estimate


@dataclass(frozen=True)
class Answers:
    """The rows of a CSV and a method's answers; None where the method did not find the face."""

    rows: FaceRows
    predicted: Sequence[str | None]


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

    Labels and answers of both must be in the same words. FaceAPI's results are in face-api's words, so MobileNet's are
    to be translated first (`faceapi.contract.labels`).

    Args:
        reference: FaceAPI's rows, with boxes from the CSV of photos.
        candidate: MobileNet's rows, with boxes from the CSV of crops.
        classes: the classes of the data.
        groups: for each of the candidate's rows what rows that belong together share, for example the person.
        level: of the intervals.

    Raises:
        ValueError: columns that are not equally long, or a true label of a joined row that is none of the classes.
    """
    raise NotImplementedError
