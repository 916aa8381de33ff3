"""Calibration, held against scikit-learn and against a count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from orchestrator.statistics.calibration import (
    TEMPERATURES,
    Calibration,
    as_logits,
    fit_temperature,
    measure_calibration,
)

CLASSES = 4


def predictions(seed: int, n: int = 300, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and true classes: softmax(logits / temperature) is exactly how often each class is true."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2, size=(n, CLASSES)) * temperature
    chances = softmax(logits / temperature, axis=1).cumsum(1)
    return logits, (generator.random(n)[:, None] > chances).sum(1)


SEEDS = st.integers(0, 10_000)


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([0.5, 1.0, 3.0]))
def test_nll_and_brier_are_scikit_learns(seed: int, temperature: float) -> None:
    logits, true = predictions(seed)
    found, probabilities = measure_calibration(logits, true, temperature), softmax(logits / temperature, axis=1)
    assert found.nll == pytest.approx(log_loss(true, probabilities, labels=range(CLASSES)))
    assert found.brier == pytest.approx(((probabilities - np.eye(CLASSES)[true]) ** 2).sum(1).mean())


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([1, 5, 15]))
def test_bins_are_counted_by_hand(seed: int, bins: int) -> None:
    logits, true = predictions(seed)
    found, probabilities = measure_calibration(logits, true, bins=bins), softmax(logits, axis=1)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == true
    distance = 0.0
    for number, each in enumerate(found.bins):
        assert (each.low, each.high) == pytest.approx((number / bins, (number + 1) / bins))
        inside = (confidence > each.low) & (confidence <= each.high)
        assert each.n == inside.sum()
        if each.n:
            assert each.confidence == pytest.approx(confidence[inside].mean())
            assert each.accuracy == pytest.approx(right[inside].mean())
            distance += inside.mean() * abs(each.confidence - each.accuracy)
    assert found.ece == pytest.approx(distance)
    assert (found.n, sum(each.n for each in found.bins)) == (300, 300)


def test_no_probability_is_lost_at_the_edges() -> None:
    logits = as_logits(np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]))
    assert [each.n for each in measure_calibration(logits, np.array([0, 0, 1]), bins=10).bins] == [
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        1,
        0,
        1,
    ]


def test_a_model_that_is_always_right_and_sure_has_no_error() -> None:
    true = np.arange(40) % CLASSES
    found = measure_calibration(100.0 * np.eye(CLASSES)[true], true)
    assert (found.ece, found.nll, found.brier) == pytest.approx((0, 0, 0), abs=1e-9)


def test_a_model_that_is_sure_and_half_right_is_off_by_half() -> None:
    true = np.arange(40) % 2
    found = measure_calibration(100.0 * np.eye(2)[np.zeros(40, int)], true)
    assert (found.ece, found.brier) == pytest.approx((0.5, 1))


@settings(max_examples=30)
@given(SEEDS, st.floats(0.2, 8))
def test_the_temperature_is_where_the_loss_is_lowest(seed: int, temperature: float) -> None:
    logits, true = predictions(seed, temperature=temperature)
    found = fit_temperature(logits, true)
    best = measure_calibration(logits, true, found).nll
    for factor in (0.98, 1.02):
        assert measure_calibration(logits, true, found * factor).nll > best


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_data_is_found_and_mends_them(temperature: float) -> None:
    logits, true = predictions(5, 20_000, temperature)
    found = fit_temperature(logits, true)
    assert found == pytest.approx(temperature, rel=0.05)
    assert measure_calibration(logits, true, found).ece < 0.015
    if temperature != 1:
        assert measure_calibration(logits, true).ece > 0.1


def test_a_temperature_changes_no_answer() -> None:
    logits, true = predictions(0)
    accuracies = [
        sum(each.n * each.accuracy for each in measure_calibration(logits, true, temperature).bins) / 300
        for temperature in (0.1, 1, 10)
    ]
    assert accuracies == pytest.approx([accuracy_score(true, logits.argmax(1))] * 3)


def test_where_every_row_is_right_the_temperature_stops_at_its_limit() -> None:
    true = np.arange(40) % CLASSES
    assert fit_temperature(0.1 * np.eye(CLASSES)[true], true) == pytest.approx(TEMPERATURES[0], rel=0.2)


def test_where_the_logits_know_nothing_the_temperature_stops_at_its_limit() -> None:
    true = np.arange(40) % CLASSES
    assert fit_temperature(-np.eye(CLASSES)[true], true) == pytest.approx(TEMPERATURES[1], rel=0.2)


def test_logits_of_probabilities_give_them_back() -> None:
    probabilities = softmax(predictions(1)[0], axis=1)
    np.testing.assert_allclose(softmax(as_logits(probabilities), axis=1), probabilities)


@settings(max_examples=20)
@given(SEEDS, st.integers(-1000, 1000))
def test_a_number_added_to_all_logits_of_a_row_changes_nothing(seed: int, added: int) -> None:
    logits, true = predictions(seed, 50)
    one, other = measure_calibration(logits, true), measure_calibration(logits + added, true)
    for name in ("ece", "nll", "brier"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)


@pytest.mark.parametrize("function", [measure_calibration, fit_temperature])
@pytest.mark.parametrize(
    ("logits", "true", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), "shapes do not fit"),
        (np.zeros(3), np.zeros(3, int), "shapes do not fit"),
        (np.zeros((0, 2)), np.zeros(0, int), "shapes do not fit"),
        (np.zeros((3, 2)), np.full(3, 2), "integers from 0 to 1"),
        (np.zeros((3, 2)), np.full(3, -1), "integers from 0 to 1"),
        (np.zeros((3, 2)), np.zeros(3), "integers from 0 to 1"),
        (np.full((3, 2), math.nan), np.zeros(3, int), "infinite or not a number"),
    ],
)
def test_what_cannot_be_measured_is_refused(function: type, logits: np.ndarray, true: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(logits, true)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        measure_calibration(*predictions(0), temperature)


def test_the_result_is_a_value() -> None:
    assert isinstance(measure_calibration(*predictions(0)), Calibration)
    assert measure_calibration(*predictions(0)) == measure_calibration(*predictions(0))
