"""One method's scores: their values, which interval they have, and when they have none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import Answered, answered, rows

from orchestrator.statistics.evaluation import Evaluation, evaluate
from orchestrator.statistics.scores import NO_CLASS, SCORES, confusion_counts, macro_f1, margins
from orchestrator.statistics.values import Estimate, Interval, NoInterval

NAMES = ["기쁨", "분노", "슬픔", "중립"]


def estimates(of: Evaluation) -> Iterator[tuple[str, Estimate]]:
    yield from ((name, getattr(of, name)) for name in SCORES)
    for each in of.per_class:
        yield from ((f"{kind} of {each.name}", getattr(each, kind)) for kind in ("precision", "recall", "f1"))


def intervals(of: Evaluation) -> dict[str, Interval]:
    return {name: each.interval for name, each in estimates(of) if isinstance(each.interval, Interval)}


def reason(of: Estimate) -> str:
    assert isinstance(of.interval, NoInterval)
    return of.interval.reason


def evaluated(case: Answered, *, grouped: bool = True, resamples: int = 60) -> Evaluation:
    groups = case.groups if grouped else None
    return evaluate(case.true, case.reference, NAMES[:3], groups, resamples=resamples)


@settings(max_examples=40)
@given(rows())
def test_an_interval_is_in_order_and_in_the_range_of_its_score(case: Answered) -> None:
    found = evaluated(case)
    for name, interval in intervals(found).items():
        assert (-1 if name == "cohen_kappa" else 0) <= interval.low <= interval.high <= 1, name
    assert found.macro_f1.value == macro_f1(margins(confusion_counts(case.true, case.reference, 3)))
    assert (found.n, found.units) == (
        len(case.true),
        len(set(case.groups.tolist() if found.grouped else range(found.n))),
    )


@settings(max_examples=40)
@given(rows(least=20), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_numbers_of_persons_change_nothing(case: Answered, random: object) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    order, numbers = generator.permutation(len(case.true)), generator.permutation(len(case.true) + 1)
    groups = None if case.groups is None else numbers[case.groups][order]
    assert evaluated(Answered(case.true[order], case.reference[order], case.candidate, groups)) == evaluated(case)


@settings(max_examples=40)
@given(rows(least=20), st.integers(2, 3))
def test_photos_of_a_person_that_are_all_alike_are_worth_one(case: Answered, photos: int) -> None:
    """Rows one by one would give an interval that is narrower by the root of their number."""
    persons = np.arange(len(case.true))
    one = evaluate(case.true, case.reference, NAMES[:3], persons, resamples=60)
    alike = (np.repeat(each, photos) for each in (case.true, case.reference))
    many = evaluate(*alike, NAMES[:3], np.repeat(persons, photos), resamples=60)
    assert intervals(many).keys() == intervals(one).keys()
    for name, interval in intervals(one).items():
        other = intervals(many)[name]
        assert (other.low, other.high) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_persons_with_one_photo_each_are_rows() -> None:
    case = answered(3, 200, 0.6, 0.6)
    rows = evaluate(case.true, case.reference, NAMES)
    persons = evaluate(case.true, case.reference, NAMES, np.arange(200))
    for name in ("macro_f1", "balanced_accuracy", "cohen_kappa"):
        one, other = intervals(rows)[name], intervals(persons)[name]
        assert (one.low, one.high) == (other.low, other.high)
    assert (intervals(rows)["macro_f1"].method, rows.units) == ("bootstrap over rows", 200)
    assert (intervals(persons)["macro_f1"].method, persons.units) == ("bootstrap over persons", 200)


def test_shares_of_rows_have_wilsons_interval_and_shares_of_persons_photos_have_not() -> None:
    case = answered(3, 200, 0.6, 0.6)
    shares = ["accuracy", *(f"{kind} of {name}" for name in NAMES for kind in ("precision", "recall"))]
    methods = {name: each.method for name, each in intervals(evaluate(case.true, case.reference, NAMES)).items()}
    assert sorted(name for name, method in methods.items() if method == "Wilson") == sorted(shares)
    grouped = evaluate(case.true, case.reference, NAMES, np.arange(200) // 2)
    assert {each.method for each in intervals(grouped).values()} == {"bootstrap over persons"}


def test_persons_who_are_either_easy_or_hard_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    persons = np.repeat(np.arange(50), 20)
    true = generator.integers(0, 4, 1000)
    said = np.where((generator.random(50) < 0.6)[persons], true, (true + 1) % 4)
    rows, grouped = (evaluate(true, said, NAMES, groups).accuracy.interval for groups in (None, persons))
    assert isinstance(rows, Interval) and isinstance(grouped, Interval)
    assert grouped.high - grouped.low > 3.5 * (rows.high - rows.low)  # the root of 20 is 4.5


def test_few_rows_or_persons_have_no_bootstrap() -> None:
    case = answered(0, 190, 0.6, 0.6)
    few = evaluate(case.true[:19], case.reference[:19], NAMES)
    assert reason(few.macro_f1) == reason(few.cohen_kappa) == "19 rows, at least 20 are needed"
    assert isinstance(few.accuracy.interval, Interval)
    persons = evaluate(case.true, case.reference, NAMES, np.arange(190) // 10)
    assert reason(persons.accuracy) == reason(persons.per_class[0].recall) == "19 persons, at least 20 are needed"


def test_a_rare_class_has_no_interval_and_takes_that_of_the_mean_over_classes() -> None:
    true = np.repeat([0, 1, 2], [100, 100, 9])
    said = np.where(np.arange(209) % 3, true, (true + 1) % 3)
    found = evaluate(true, said, NAMES[:3])
    assert (
        reason(found.macro_f1) == reason(found.balanced_accuracy) == "9 rows of the class 슬픔, at least 10 are needed"
    )
    assert isinstance(found.cohen_kappa.interval, Interval)
    assert isinstance(found.per_class[0].f1.interval, Interval)


def test_a_class_without_rows_is_named() -> None:
    case = answered(0, 100, 0.6, 0.6, classes=3)
    assert (
        reason(evaluate(case.true, case.reference, NAMES).macro_f1)
        == "no rows of the class 중립, at least 10 are needed"
    )


@pytest.mark.parametrize(("wrong", "said"), [(0, "no rows with a wrong answer"), (4, "4 rows with a wrong answer")])
def test_hardly_any_error_is_too_few_to_draw_from(wrong: int, said: str) -> None:
    true = np.arange(100) % 2
    answers = np.where(np.arange(100) < wrong, 1 - true, true)
    found = evaluate(true, answers, NAMES[:2])
    for each in (found.macro_f1, found.cohen_kappa, found.per_class[0].f1):
        assert reason(each) == f"{said}, at least 5 are needed"
    assert isinstance(found.accuracy.interval, Interval)


def test_hardly_any_right_answer_is_too_few_to_draw_from() -> None:
    true = np.arange(100) % 2
    found = evaluate(true, np.where(np.arange(100) < 3, true, 1 - true), NAMES[:2])
    assert reason(found.macro_f1) == "3 rows with a right answer, at least 5 are needed"


def test_no_row_has_no_interval() -> None:
    nothing = np.zeros(0, np.int64)
    for groups in (None, nothing):
        found = evaluate(nothing, nothing, NAMES, groups)
        assert (found.n, found.units, found.accuracy.value, intervals(found)) == (0, 0, 0, {})


def test_the_number_of_different_answers() -> None:
    true = np.arange(40) % 4
    assert evaluate(true, np.full(40, 2), NAMES).answered == 1
    assert evaluate(true, np.where(true == 1, NO_CLASS, true), NAMES).answered == 3
    assert evaluate(true, np.full(40, NO_CLASS), NAMES).answered == 0


def test_the_same_data_give_the_same_intervals_and_the_seed_matters() -> None:
    case = answered(0, 100, 0.6, 0.6)
    one, same, other = (evaluate(case.true, case.reference, NAMES, seed=seed, resamples=200) for seed in (1, 1, 2))
    assert one == same
    assert one.macro_f1 != other.macro_f1
