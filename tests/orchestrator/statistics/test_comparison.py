"""Two methods on the same rows: their difference, its interval, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import Answered, answered, rows

from orchestrator.statistics.comparison import PairedComparison, compare_paired
from orchestrator.statistics.evaluation import evaluate
from orchestrator.statistics.scores import SCORES
from orchestrator.statistics.values import Difference, Estimate, Interval, NoInterval, Verdict

NAMES = ["기쁨", "분노", "슬픔", "중립"]
OPPOSITE = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}


def compared(case: Answered, names: list[str] = NAMES, resamples: int = 2000) -> PairedComparison:
    return compare_paired(case.true, case.reference, case.candidate, names, case.groups, resamples=resamples)


def differences(of: PairedComparison) -> list[Difference]:
    return [*of.scores.values(), *of.class_f1.values(), *of.class_recall.values()]


def reason(of: Difference) -> str:
    assert isinstance(of.difference.interval, NoInterval)
    return of.difference.interval.reason


@settings(max_examples=40)
@given(rows(least=20))
def test_exchanging_the_two_turns_everything_round(case: Answered) -> None:
    one = compared(case, NAMES[:3], 60)
    two = compared(Answered(case.true, case.candidate, case.reference, case.groups), NAMES[:3], 60)
    for ahead, back in zip(differences(one), differences(two), strict=True):
        assert (back.candidate, back.reference) == (ahead.reference, ahead.candidate)
        assert back.difference.value == -ahead.difference.value
        assert back.verdict == OPPOSITE.get(ahead.verdict, ahead.verdict)
        interval, other = ahead.difference.interval, back.difference.interval
        if isinstance(interval, Interval) and isinstance(other, Interval):
            assert (other.low, other.high) == (-interval.high, -interval.low)
        else:
            assert interval == other
    assert one.mcnemar_p == pytest.approx(two.mcnemar_p)
    assert (one.agreement.only_candidate, one.agreement.both) == (two.agreement.only_reference, two.agreement.both)


@settings(max_examples=40)
@given(rows(least=20), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_numbers_of_persons_change_nothing(case: Answered, random: object) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    order, numbers = generator.permutation(len(case.true)), generator.permutation(len(case.true) + 1)
    groups = None if case.groups is None else numbers[case.groups][order]
    other = Answered(case.true[order], case.reference[order], case.candidate[order], groups)
    assert compared(other, NAMES[:3], 60) == compared(case, NAMES[:3], 60)


@settings(max_examples=40)
@given(rows(least=20))
def test_differences_are_those_of_the_scores_and_intervals_are_in_their_range(case: Answered) -> None:
    found = compared(case, NAMES[:3], 60)
    one, other = (evaluate(case.true, each, NAMES[:3], case.groups) for each in (case.reference, case.candidate))
    for name in SCORES:
        each = found.scores[name]
        assert (each.reference, each.candidate) == (getattr(one, name).value, getattr(other, name).value)
        assert each.difference.value == each.candidate - each.reference
    for before, after in zip(one.per_class, other.per_class, strict=True):
        f1, recall = found.class_f1[before.name], found.class_recall[before.name]
        assert (f1.reference, f1.candidate) == (before.f1.value, after.f1.value)
        assert (recall.reference, recall.candidate) == (before.recall.value, after.recall.value)
        assert found.support[before.name] == before.support
    for each in differences(found):
        if isinstance(each.difference.interval, Interval):
            assert -2 <= each.difference.interval.low <= each.difference.interval.high <= 2


@settings(max_examples=40)
@given(rows(least=20), st.integers(2, 3))
def test_photos_of_a_person_that_are_all_alike_are_worth_one(case: Answered, photos: int) -> None:
    persons = np.arange(len(case.true))
    one = compared(Answered(case.true, case.reference, case.candidate, persons), NAMES[:3], 60)
    alike = [np.repeat(each, photos) for each in (case.true, case.reference, case.candidate, persons)]
    for single, many in zip(differences(one), differences(compared(Answered(*alike), NAMES[:3], 60)), strict=True):
        interval, other = single.difference.interval, many.difference.interval
        if isinstance(interval, Interval) and isinstance(other, Interval):
            assert (other.low, other.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
        else:
            assert interval == other


@given(rows(least=1))
def test_the_same_answers_are_identical(case: Answered) -> None:
    found = compared(Answered(case.true, case.reference, case.reference, case.groups), NAMES[:3])
    for each in differences(found):
        assert (each.difference.value, each.verdict, each.reason) == (0, "no difference shown", "identical predictions")
    assert found.mcnemar_p == (None if found.grouped else 1)


def test_agreement_is_counted_by_who_is_right() -> None:
    true = np.array([0, 1, 2, 0, 1, 2, 0])
    reference = np.array([0, 1, 2, 1, 1, -1, 1])
    candidate = np.array([0, 1, 0, 0, 0, 2, 2])
    found = compared(Answered(true, reference, candidate)).agreement
    assert (found.both, found.only_reference, found.only_candidate, found.neither) == (2, 2, 2, 1)
    assert found.discordant == 4


def test_a_clear_win_is_better_in_all_scores_and_classes() -> None:
    case = answered(1, 400, 0.3, 0.8)
    found = compared(case)
    assert {each.verdict for each in differences(found)} == {Verdict.BETTER}
    assert {each.reason for each in differences(found)} == {""}
    assert found.mcnemar_p is not None and found.mcnemar_p < 1e-9


def test_equally_good_methods_show_no_difference() -> None:
    found = compared(answered(1, 400, 0.6, 0.6))
    assert {each.verdict for each in found.scores.values()} == {Verdict.NO_DIFFERENCE}
    assert found.mcnemar_p is not None and found.mcnemar_p > 0.05


def test_what_is_hard_for_both_does_not_blur_the_difference() -> None:
    """The candidate mends 40 of 1,000 rows: much less than the uncertainty of either score, and yet certain."""
    case = answered(2, 1000, 0.5, 0.5)
    wrong = np.flatnonzero(case.reference != case.true)[:40]
    candidate = case.reference.copy()
    candidate[wrong] = case.true[wrong]
    found = compared(Answered(case.true, case.reference, candidate)).scores["macro_f1"]
    assert found.verdict is Verdict.BETTER
    alone = evaluate(case.true, candidate, NAMES).macro_f1.interval
    interval = found.difference.interval
    assert isinstance(alone, Interval) and isinstance(interval, Interval)
    assert interval.high - interval.low < 0.5 * (alone.high - alone.low)


def test_persons_who_are_all_mended_together_count_once() -> None:
    """The candidate is right on all 100 photos of one person where the reference is wrong, and alike elsewhere."""
    persons = np.repeat(np.arange(30), 100)
    case = answered(3, 3000, 0.6, 0.6)
    candidate = np.where(persons == 7, case.true, case.reference)
    rows, grouped = (
        compared(Answered(case.true, case.reference, candidate, groups)).scores["accuracy"]
        for groups in (None, persons)
    )
    assert rows.verdict is Verdict.BETTER
    assert grouped.verdict is Verdict.CANNOT_TELL
    assert reason(grouped) == "1 person on which the two differ, at least 10 are needed"


def test_few_disagreements_cannot_tell_even_if_all_speak_for_one() -> None:
    case = answered(4, 1000, 0.5, 0.5)
    wrong = np.flatnonzero(case.reference != case.true)[:9]
    candidate = case.reference.copy()
    candidate[wrong] = case.true[wrong]
    found = compared(Answered(case.true, case.reference, candidate)).scores
    assert {each.verdict for each in found.values()} == {Verdict.CANNOT_TELL}
    assert reason(found["accuracy"]) == "9 rows on which the two differ, at least 10 are needed"


def test_answers_that_are_wrong_in_another_way_are_a_disagreement_of_macro_f1_alone() -> None:
    true = np.repeat([0, 1, 2], 40)
    reference = np.where(np.arange(120) % 2, true, (true + 1) % 3)
    candidate = np.where(np.arange(120) % 2, true, (true + 2) % 3)
    found = compared(Answered(true, reference, candidate), NAMES[:3]).scores
    assert isinstance(found["macro_f1"].difference.interval, Interval)
    assert reason(found["accuracy"]) == "no rows on which the two differ, at least 10 are needed"


def test_a_rare_class_takes_the_interval_of_macro_f1() -> None:
    true = np.repeat([0, 1, 2], [60, 60, 3])
    case = answered(5, 123, 0.3, 0.8, classes=3)
    found = compared(Answered(true, case.reference, np.where(case.candidate == case.true, true, 0)), NAMES[:3]).scores
    assert reason(found["macro_f1"]) == "3 rows of the class 슬픔, at least 10 are needed"
    assert isinstance(found["accuracy"].difference.interval, Interval)


def test_nothing_cannot_tell() -> None:
    nothing = np.zeros(0, np.int64)
    found = compared(Answered(nothing, nothing, nothing))
    assert (found.n, found.mcnemar_p) == (0, 1)
    assert {reason(each) for each in differences(found)} == {"no rows, at least 20 are needed"}
    assert {each.verdict for each in differences(found)} == {Verdict.CANNOT_TELL}


def test_a_stricter_level_is_wider() -> None:
    case = answered(6, 200, 0.5, 0.6)
    plain, strict = (
        compare_paired(case.true, case.reference, case.candidate, NAMES, level=level)
        .scores["macro_f1"]
        .difference.interval
        for level in (0.95, 1 - 0.05 / 3)
    )
    assert isinstance(plain, Interval) and isinstance(strict, Interval)
    assert strict.low < plain.low < plain.high < strict.high
    assert strict.level == 1 - 0.05 / 3


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.2, Verdict.BETTER),
        (-0.2, -0.01, Verdict.WORSE),
        (-0.1, 0.1, Verdict.NO_DIFFERENCE),
        (0.0, 0.1, Verdict.NO_DIFFERENCE),
        (1e-16, 0.1, Verdict.NO_DIFFERENCE),
        (-0.1, -1e-16, Verdict.NO_DIFFERENCE),
    ],
)
def test_verdict_by_the_interval(low: float, high: float, verdict: Verdict) -> None:
    assert Difference(0.5, 0.5, Estimate(0.0, Interval(low, high, "Wilson"))).verdict is verdict


@pytest.mark.parametrize("broken", ["true", "reference", "candidate"])
def test_what_cannot_be_compared_is_refused(broken: str) -> None:
    arrays = {name: np.zeros(30, np.int64) for name in ("true", "reference", "candidate")}
    arrays[broken][3] = 9
    with pytest.raises(ValueError, match="has classes 0 to 9, but there are 4"):
        compare_paired(**arrays, classes=NAMES)
