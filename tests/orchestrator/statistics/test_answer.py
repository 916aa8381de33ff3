"""The first sentences of a report in made-up situations; every figure in them is checked against its comparison."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import answered

from orchestrator.statistics.answer import Candidate, Question, answer, pair_answer
from orchestrator.statistics.comparison import PairedComparison, compare_paired
from orchestrator.statistics.detection import Answers, DetectorComparison, compare_with_detector
from orchestrator.statistics.joining import FaceRows

CLASSES = ("angry", "happy", "sad")
FINETUNE, PROBE = "MobileNet finetune", "MobileNet probe"


def compared(
    faceapi: float,
    mobilenet: float,
    *,
    n: int = 400,
    found: float = 0.6,
    classes: Sequence[str] = CLASSES,
    shares: Sequence[float] | None = None,
    name: Callable[[int], str] = "{:05}".format,
    only: int | None = None,
) -> DetectorComparison:
    """FaceAPI finds a share of the faces; both are right with these probabilities, and wrong by chance else.

    `name` names the crops, of which there are the first `only`.
    """
    generator = np.random.default_rng(0)
    true = generator.choice(len(classes), n, p=shares)
    wrong = (true + generator.integers(1, len(classes), (2, n))) % len(classes)
    one, other = np.where(generator.random((2, n)) < [[faceapi], [mobilenet]], true, wrong)
    labels, seen = [classes[i] for i in true], generator.random(n) < found
    photos = FaceRows([f"photos/{i:05}.jpg" for i in range(n)], labels)
    crops = FaceRows([f"crops/{name(i)}.jpg" for i in range(n)][:only], labels[:only])
    said = [classes[i] if was_seen else None for i, was_seen in zip(one, seen, strict=True)]
    return compare_with_detector(Answers(photos, said), Answers(crops, [classes[i] for i in other][:only]), classes)


def asked(*candidates: Candidate, missing: str = "") -> str:
    return answer(Question("M1", "FaceAPI", candidates, missing))


def figures(of: DetectorComparison, score: str = "macro_f1") -> str:
    assert of.all_rows
    found = of.all_rows.scores[score]
    interval = found.difference.interval
    said = f"{found.candidate:.3f} against {found.reference:.3f} on all {of.all_rows.n} rows"
    return (
        f"{score.replace('macro_f1', 'macro-F1')} {said}, a difference of {found.difference.value:+.3f} "
        f"(95 % interval {interval.low:+.3f} to {interval.high:+.3f})"  # type: ignore[union-attr]
    )


def test_a_clear_win() -> None:
    case = compared(0.5, 0.8)
    assert case.matched
    also = f"also on the {case.matched.n} faces that FaceAPI found"
    assert asked(Candidate(FINETUNE, case)) == f"On M1, {FINETUNE} is better than FaceAPI, {also}: {figures(case)}."


def test_a_win_because_faceapi_misses_faces() -> None:
    case = compared(0.8, 0.8, found=0.4)
    assert case.matched
    one = case.matched.scores["macro_f1"]
    assert asked(Candidate(FINETUNE, case)) == (
        f"On M1, {FINETUNE} is better than FaceAPI: {figures(case)}. On the {case.matched.n} faces that FaceAPI found "
        f"no difference between {FINETUNE} and FaceAPI is shown "
        f"(macro-F1 {one.candidate:.3f} against {one.reference:.3f})."
    )


def test_no_difference_shown() -> None:
    case = compared(0.7, 0.71, found=1)
    assert (
        asked(Candidate(FINETUNE, case))
        == f"On M1, no difference between {FINETUNE} and FaceAPI is shown: {figures(case)}."
    )


def test_worse() -> None:
    case = compared(0.8, 0.5, found=1)
    assert asked(Candidate(FINETUNE, case)) == f"On M1, {FINETUNE} is worse than FaceAPI: {figures(case)}."


def test_worse_on_the_faces_that_both_saw() -> None:
    case = compared(0.8, 0.57)
    said = asked(Candidate(FINETUNE, case))
    assert said.startswith(f"On M1, no difference between {FINETUNE} and FaceAPI is shown: {figures(case)}. On the ")
    assert f"faces that FaceAPI found {FINETUNE} is worse than FaceAPI (macro-F1 0." in said
    assert said.endswith(f"; by accuracy {FINETUNE} is better.")  # a face not found costs macro-F1 no precision


def test_half_of_it_finished() -> None:
    case = compared(0.5, 0.8)
    said = asked(Candidate(FINETUNE, None, "not finished: after epoch 7 of 30"), Candidate(PROBE, case))
    assert said.startswith(f"On M1, {PROBE} is better than FaceAPI, also on the ")
    assert said.endswith(f"{figures(case)}. {FINETUNE} has no result (not finished: after epoch 7 of 30).")


def test_nothing_finished() -> None:
    said = asked(Candidate(FINETUNE, None, "not started"), Candidate(PROBE, None))
    assert said == f"On M1, nothing can be compared: {FINETUNE} has no result (not started), {PROBE} has no result."
    assert asked() == "On M1, nothing can be compared: FaceAPI is the only method."


def test_faceapi_missing() -> None:
    said = asked(Candidate(FINETUNE, None), missing="its photos are not there")
    assert said == "On M1, nothing can be compared: FaceAPI has no result (its photos are not there)."


def test_faceapi_finds_nothing() -> None:
    case = compared(0.5, 0.8, found=0)
    assert asked(Candidate(FINETUNE, case)) == (
        f"On M1, {FINETUNE} is better than FaceAPI: {figures(case)}. FaceAPI found none of the faces."
    )


def test_one_class_missing() -> None:
    case = compared(0.5, 0.8, classes=("angry", "happy", "불안"), shares=[0.5, 0.5, 0])
    said = asked(Candidate(FINETUNE, case))
    assert figures(case, "accuracy") in said
    assert said.endswith("). No row is of the class 불안, so accuracy is compared, not macro-F1.")


def test_one_rare_class() -> None:
    case = compared(0.5, 0.8, classes=("angry", "happy", "fearful"), shares=[0.5, 0.495, 0.005])
    said = asked(Candidate(FINETUNE, case))
    assert figures(case, "accuracy") in said
    assert said.endswith(
        "). Macro-F1 is not compared because of too few data: 3 rows of the class fearful, at least 10 are needed."
    )


def test_few_rows() -> None:
    case = compared(0.2, 0.9, n=60, found=1)
    assert asked(Candidate(FINETUNE, case)) == (
        f"On M1, {FINETUNE} is better than FaceAPI: {figures(case)}. With 60 rows only large differences can be shown."
    )


def test_too_few_rows() -> None:
    case = compared(0.5, 0.8, n=12)
    assert case.all_rows
    found = case.all_rows.scores["macro_f1"]
    assert asked(Candidate(FINETUNE, case)) == (
        f"On M1, it cannot be told whether {FINETUNE} is better than FaceAPI (macro-F1 {found.candidate:.3f} against "
        f"{found.reference:.3f} on all 12 rows): too few data, 12 rows, at least 20 are needed."
    )


def test_a_model_that_answers_one_class_only() -> None:
    case = compared(0.5, 1 / 3, found=1)
    said = asked(Candidate(FINETUNE, case, answered=1))
    assert said == (
        f"On M1, {FINETUNE} is worse than FaceAPI: {figures(case)}. {FINETUNE} answers every row with the same class."
    )


def test_the_same_answers() -> None:
    rows = FaceRows([f"{i}.jpg" for i in range(120)], [CLASSES[i % 3] for i in range(120)])
    said = Answers(rows, ["happy"] * 120)
    found = asked(Candidate(FINETUNE, compare_with_detector(said, said, CLASSES)))
    assert found == f"On M1, FaceAPI and {FINETUNE} gave identical answers on all 120 rows."


def test_one_of_several_wins() -> None:
    best, same, worse = compared(0.6, 0.9, found=1), compared(0.6, 0.62, found=1), compared(0.6, 0.3, found=1)
    said = asked(Candidate(PROBE, worse), Candidate(FINETUNE, best), Candidate("MobileNet large", same))
    assert said == (
        f"On M1, {FINETUNE} is better than FaceAPI: {figures(best)}. {PROBE} is worse than FaceAPI, "
        "no difference between MobileNet large and FaceAPI is shown."
    )


def test_several_win_and_the_best_is_spoken_of() -> None:
    first, second = compared(0.4, 0.7, found=1), compared(0.4, 0.9, found=1)
    said = asked(Candidate(PROBE, first), Candidate(FINETUNE, second), Candidate("another", first))
    assert said == (
        f"On M1, {FINETUNE} is better than FaceAPI: {figures(second)}. {PROBE} and another are better than FaceAPI."
    )


def test_photos_that_cannot_be_joined() -> None:
    case = compared(0.5, 0.8, name="face{}".format)
    assert asked(Candidate(FINETUNE, case)) == (
        f"On M1, nothing can be compared: no face that FaceAPI was given could be found among those of {FINETUNE}."
    )


def test_photos_of_which_some_cannot_be_joined() -> None:
    said = asked(Candidate(FINETUNE, compared(0.5, 0.8, found=1, only=390)))
    assert " on the 390 joined rows, a difference of " in said
    assert said.endswith(
        "). 390 of 400 photos were joined with one of 390 crops; not joined: 10 without a certain partner."
    )


def test_accuracy_that_says_the_opposite() -> None:
    """The candidate gives up the small classes: better in accuracy, worse in macro-F1."""
    true = np.repeat([0, 1, 2], [300, 40, 40])
    labels = [CLASSES[i] for i in true]
    rows = FaceRows([f"{i}.jpg" for i in range(380)], labels)
    faceapi = [CLASSES[(t + (i % 2 == 0)) % 3] if t == 0 else CLASSES[t] for i, t in enumerate(true)]
    case = compare_with_detector(Answers(rows, faceapi), Answers(rows, ["angry"] * 380), CLASSES)
    said = asked(Candidate(FINETUNE, case))
    assert said.startswith(f"On M1, {FINETUNE} is worse than FaceAPI: macro-F1 0.")
    assert said.endswith(f"). By accuracy {FINETUNE} is better.")


CASES = st.tuples(
    st.sampled_from([0.0, 0.3, 0.6, 0.9]), st.sampled_from([0.0, 0.3, 0.6, 0.9]), st.sampled_from([0, 1, 15, 60, 150]),
    st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([None, 0, 10]),
)  # fmt: skip


@settings(max_examples=30)
@given(st.lists(st.one_of(st.none(), CASES), max_size=3), st.sampled_from(["", "not run"]))
def test_it_is_always_one_or_two_sentences(cases: list[tuple | None], missing: str) -> None:
    candidates = []
    for number, case in enumerate(cases):
        found = None
        if case:
            faceapi, mobilenet, n, seen, only = case
            found = compared(faceapi, mobilenet, n=n, found=seen, only=only)
        candidates.append(Candidate(f"M{number}", found))
    said = asked(*candidates, missing=missing)
    assert re.fullmatch(r"On M1, [^\n]+?[^.]\.( [A-Z0-9][^\n]+[^.]\.)?", said)
    assert len(re.findall(r"\.(?= [A-Z]|$)", said)) in (1, 2)
    assert "nan" not in said and "None" not in said


@pytest.mark.parametrize("level", [0.95, 0.975])
def test_the_level_is_the_comparisons(level: float) -> None:
    rows = FaceRows([f"{i}.jpg" for i in range(120)], [CLASSES[i % 3] for i in range(120)])
    one, other = (Answers(rows, [CLASSES[(i + (i % k == 0)) % 3] for i in range(120)]) for k in (2, 7))
    said = asked(Candidate(FINETUNE, compare_with_detector(one, other, CLASSES, level=level)))
    assert f"({100 * level:g} % interval " in said


# -- two results of one kind, as `compare` has them


def between(seed: int, n: int, other: float = 0.8) -> tuple[PairedComparison, str]:
    rows = answered(seed, n, 0.8, other)
    found = compare_paired(rows.true, rows.reference, rows.candidate, ("가", "나", "다", "라"))
    return found, pair_answer(found, "B", "A")


def test_two_seeds_that_cannot_be_told_apart() -> None:
    found, said = between(1, 400)
    f1 = found.scores["macro_f1"]
    assert said.startswith(
        f"No difference between B and A is shown: macro-F1 {f1.candidate:.3f} against {f1.reference:.3f} on all 400 "
        f"rows, a difference of {f1.difference.value:+.3f} (95 % interval -"
    )


def test_two_seeds_that_answer_almost_alike() -> None:
    rows = answered(1, 400, 0.8, 0.8)
    other = np.where(np.arange(400) < 4, (rows.reference + 1) % 4, rows.reference)
    said = pair_answer(compare_paired(rows.true, rows.reference, other, ("가", "나", "다", "라")), "B", "A")
    assert said.startswith("It cannot be told whether B is better than A (macro-F1 0.")
    assert said.endswith(" on all 400 rows): too few data, 4 rows on which the two differ, at least 10 are needed.")


def test_two_results_of_which_one_is_better_or_they_are_the_same() -> None:
    assert between(1, 400, 0.95)[1].startswith("B is better than A: macro-F1 0.")
    assert between(1, 400, 0.4)[1].startswith("B is worse than A: macro-F1 0.")
    rows = answered(1, 60, 0.8, 0.8)
    found = compare_paired(rows.true, rows.reference, rows.reference, ("가", "나", "다", "라"))
    assert pair_answer(found, "B", "A").startswith("A and B gave identical answers on all 60 rows.")
