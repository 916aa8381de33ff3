"""Confusion and per-class tables, compared with counting by hand and with the metrics of training."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.reporting.class_tables import PER_CLASS_COLUMNS, confusion_table, per_class_table, row_shares
from trainable.run.metrics import classification_metrics, confusion_counts

CLASSES = ["분노", "angry", "007", "NA", ""]
"""In no order that sorting would give."""
PAIRS = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), max_size=30)


def predictions(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["true", "pred"], dtype=str)


@settings(deadline=None)
@given(PAIRS)
def test_tables_agree_with_the_metrics_of_training_to_the_last_bit(pairs: list[tuple[str, str]]) -> None:
    true, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    counts, per_class = confusion_table(predictions(pairs), CLASSES), per_class_table(predictions(pairs), CLASSES)
    assert list(counts.index) == list(counts.columns) == list(per_class["class"]) == CLASSES
    assert counts.to_numpy().tolist() == confusion_counts(true, predicted, CLASSES)
    expected = classification_metrics(true, predicted, CLASSES)["per_class"]
    assert per_class.to_dict("records") == [{"class": name, **expected[name]} for name in CLASSES]


@settings(deadline=None)
@given(PAIRS)
def test_rows_of_shares_add_up_to_one_or_have_no_support(pairs: list[tuple[str, str]]) -> None:
    counts = confusion_table(predictions(pairs), CLASSES)
    shares = row_shares(counts)
    for name, support in counts.sum(axis=1).items():
        assert shares.loc[name].sum() == pytest.approx(1 if support else 0)
        assert (shares.loc[name] * support).tolist() == pytest.approx(counts.loc[name].tolist())


@pytest.mark.parametrize("classes", [[], ["sad"], ["sad", "happy"]])
def test_without_predictions_every_count_is_zero(classes: list[str]) -> None:
    assert confusion_table(predictions([]), classes).to_numpy().tolist() == [[0] * len(classes) for _ in classes]
    table = per_class_table(predictions([]), classes)
    assert tuple(table.columns) == PER_CLASS_COLUMNS
    assert table.to_numpy().tolist() == [[name, 0.0, 0.0, 0.0, 0] for name in classes]


def test_a_single_class_and_a_class_without_predictions_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert confusion_table(predictions([("sad", "sad")]), ["sad"]).to_numpy().tolist() == [[1]]
        table = per_class_table(predictions([("sad", "sad")]), ["happy", "sad"])
    assert table["f1"].tolist() == [0.0, 1.0]
