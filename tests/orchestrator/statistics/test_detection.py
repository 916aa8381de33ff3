"""FaceAPI, which finds some faces only, and MobileNet on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.statistics.comparison import compare_paired
from orchestrator.statistics.detection import Answers, DetectorComparison, compare_with_detector
from orchestrator.statistics.joining import FaceRows
from orchestrator.statistics.proportions import proportion
from orchestrator.statistics.scores import NO_CLASS
from orchestrator.statistics.values import Interval, Verdict

CLASSES = ("angry", "happy", "sad")
FACEAPI = (None, *CLASSES, "disgusted")
"""What face-api.js may answer: nothing, or also a class that the split does not have."""


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[str], list[str | None], list[str], list[int]]:
    """Labels, FaceAPI's and MobileNet's answers in the order of the photos, and the order of the crops."""
    n = draw(st.integers(1, 40))
    columns = [draw(st.lists(st.sampled_from(each), min_size=n, max_size=n)) for each in (CLASSES, FACEAPI, CLASSES)]
    return *columns, draw(st.permutations(range(n)))  # type: ignore[return-value]


def compare(
    labels: Sequence[str],
    found: Sequence[str | None],
    said: Sequence[str],
    order: Sequence[int],
    groups: list[str] | None = None,
) -> DetectorComparison:
    photos = FaceRows([f"photos/{i}.jpg" for i in range(len(labels))], labels)
    crops = FaceRows([f"crops/{i}.jpg" for i in order], [labels[i] for i in order])
    return compare_with_detector(Answers(photos, found), Answers(crops, [said[i] for i in order]), CLASSES, groups)


def numbers(values: Sequence[str | None]) -> np.ndarray:
    return np.array([CLASSES.index(each) if each in CLASSES else NO_CLASS for each in values], np.int64)


@settings(max_examples=25)
@given(answers())
def test_both_comparisons_are_of_the_same_rows(case: tuple[list[str], list[str | None], list[str], list[int]]) -> None:
    labels, found, said, _ = case
    result = compare(*case)
    true, before, after = numbers(labels), numbers(found), numbers(said)
    assert result.join.complete
    assert result.all_rows == compare_paired(true, before, after, CLASSES)
    matched = np.array([each is not None for each in found])
    assert result.coverage == proportion(int(matched.sum()), len(labels))
    assert result.other_answers == found.count("disgusted")
    if matched.any():
        assert result.matched == compare_paired(true[matched], before[matched], after[matched], CLASSES)
    else:
        assert result.matched is None


def test_a_face_that_was_not_found_is_a_wrong_answer() -> None:
    """On the faces that both saw FaceAPI is the better one; on all it is the worse one."""
    labels = [CLASSES[i % 3] for i in range(300)]
    found = [label if i % 3 == 0 else None for i, label in zip(np.arange(300) // 3, labels, strict=True)]
    said = [label if i % 4 else "angry" for i, label in enumerate(labels)]
    result = compare(labels, found, said, range(300))
    assert result.matched and result.all_rows
    assert result.matched.scores["accuracy"].reference == 1
    assert result.all_rows.scores["accuracy"].reference == pytest.approx(1 / 3, abs=0.01)
    assert result.matched.scores["accuracy"].verdict is Verdict.WORSE
    assert result.all_rows.scores["accuracy"].verdict is Verdict.BETTER


def test_persons_are_those_of_the_crops_and_are_drawn_whole() -> None:
    generator, n = np.random.default_rng(0), 400
    labels = [CLASSES[i % 3] for i in range(n)]
    order = generator.permutation(n).tolist()
    found = [label if generator.random() < 0.5 else None for label in labels]
    said = [label if generator.random() < 0.7 else "sad" for label in labels]
    persons = np.arange(n) // 10
    result = compare(labels, found, said, order, [f"사람 {persons[i]}" for i in order])
    expected = compare_paired(numbers(labels), numbers(found), numbers(said), CLASSES, persons)
    assert result.all_rows == expected
    assert expected.units == 40
    assert isinstance(result.coverage.interval, Interval)
    assert result.coverage.interval.method == "bootstrap over persons"


def test_where_no_row_is_joined_nothing_is_compared() -> None:
    photos, crops = FaceRows(["photos/1.jpg"], ["sad"]), FaceRows(["crops/a.jpg"], ["sad"])
    result = compare_with_detector(Answers(photos, ["sad"]), Answers(crops, ["sad"]), CLASSES)
    assert (result.join.joined, result.matched, result.all_rows, result.other_answers) == (0, None, None, 0)
    assert result.coverage.value == 0


def test_a_label_that_is_no_class_is_named() -> None:
    rows = FaceRows(["photos/1.jpg"], ["행복"])
    with pytest.raises(ValueError, match="the label '행복' is none of the classes angry, happy, sad"):
        compare_with_detector(Answers(rows, ["sad"]), Answers(rows, ["sad"]), CLASSES)


def test_columns_of_other_lengths_are_refused() -> None:
    rows = FaceRows(["photos/1.jpg"], ["sad"])
    with pytest.raises(ValueError, match="2 answers to 1 rows"):
        Answers(rows, ["sad", "sad"])
    with pytest.raises(ValueError, match="2 groups for 1 rows"):
        compare_with_detector(Answers(rows, ["sad"]), Answers(rows, ["sad"]), CLASSES, ["a", "b"])
