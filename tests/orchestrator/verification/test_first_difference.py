"""Two results that should be equal: the first place where they are not is said exactly."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.verification.comparison import (
    history_difference,
    json_file_difference,
    read_table,
    table_difference,
    value_difference,
)
from trainable.base.files import write_csv, write_json
from trainable.run.history import HISTORY_COLUMNS

NUMBERS = st.floats(allow_nan=False)
ROW = st.fixed_dictionaries(
    {
        "train_loss": NUMBERS, "train_accuracy": NUMBERS, "val_loss": NUMBERS, "val_macro_f1": NUMBERS,
        "val_accuracy": NUMBERS, "lr_head": NUMBERS, "lr_backbone": st.none() | NUMBERS,
        "micro_batch": st.integers(1, 1024), "seconds": NUMBERS, "stage": st.integers(1, 3),
    }
)  # fmt: skip
HISTORY = st.lists(ROW, min_size=1, max_size=5).map(
    lambda rows: [{**row, "epoch": i + 1} for i, row in enumerate(rows)]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("비교")


def write_history(file: Path, rows: list[dict[str, Any]]) -> Path:
    write_csv(file, HISTORY_COLUMNS, ([row[name] for name in HISTORY_COLUMNS] for row in rows))
    return file


def differences(file: Path, rows: list[dict[str, Any]]) -> list[str | None]:
    disk = read_table(file)
    return [history_difference(disk, row["epoch"], HISTORY_COLUMNS, row) for row in rows]


@given(rows=HISTORY)
def test_a_history_is_as_it_was_written(folder: Path, rows: list[dict[str, Any]]) -> None:
    """To the last bit of every number, whatever its size; the seconds are never the same."""
    file = write_history(folder / "history.csv", rows)
    assert differences(file, [{**row, "seconds": row["seconds"] / 3 + 1} for row in rows]) == [None] * len(rows)


@given(rows=HISTORY, data=st.data())
def test_a_changed_number_is_found_with_its_epoch_and_column(
    folder: Path, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    """However little it differs."""
    column = data.draw(st.sampled_from(sorted(set(HISTORY_COLUMNS) - {"seconds", "stage", "epoch", "micro_batch"})))
    row = data.draw(st.sampled_from(rows))
    old = row[column]
    assume(old is not None and math.isfinite(old))
    other = {**row, column: math.nextafter(old, math.inf)}
    assume(math.isfinite(other[column]))
    file = write_history(folder / "history.csv", [other if one is row else one for one in rows])
    expected = f"history.csv, epoch {row['epoch']}: {column} {other[column]} on disk, {old} again"
    assert [found for found in differences(file, rows) if found] == [expected]


def test_a_history_that_is_short_or_no_history(folder: Path) -> None:
    row: dict[str, Any] = {**dict.fromkeys(HISTORY_COLUMNS), "epoch": 1}
    file = write_history(folder / "short.csv", [row])
    assert differences(file, [row, {**row, "epoch": 2}]) == [None, "history.csv has no row for epoch 2"]
    file.write_text("epoch,loss\n1,2\n", encoding="utf-8")
    assert differences(file, [row]) == ["history.csv has other columns: epoch, loss"]
    assert differences(folder / "nothing.csv", [row]) == ["history.csv has other columns: none"]
    file.write_text(",".join(HISTORY_COLUMNS) + "\n1,1\n", encoding="utf-8")
    assert differences(file, [row]) == ["history.csv, epoch 1: 2 values on disk, 11 again"]


LABELS = st.sampled_from(["기쁨", "슬픔", "당황, 놀람", 'say "hi"', "line\nbreak"])
PREDICTIONS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=6)


@given(labels=PREDICTIONS, data=st.data())
def test_a_changed_prediction_is_found_with_its_row(folder: Path, labels: Any, data: st.DataObject) -> None:
    header = ("path", "true", "pred")
    again = [(f"사진/{i}.jpg", true, predicted) for i, (true, predicted) in enumerate(labels)]
    place = data.draw(st.integers(0, len(again) - 1))
    path, true, old = again[place]
    new = data.draw(LABELS.filter(lambda label: label != old))
    one, other = folder / "test_preds.csv", folder / "again.csv"
    write_csv(other, header, again)
    write_csv(one, header, again)
    assert table_difference(one, other) is None
    write_csv(one, header, [*again[:place], (path, true, new), *again[place + 1 :]])
    assert table_difference(one, other) == f"test_preds.csv, row {place + 2} ({path}): pred {new} on disk, {old} again"
    write_csv(one, header, again[:-1])
    assert table_difference(one, other) == f"test_preds.csv has {len(again)} lines on disk, {len(again) + 1} again"


def test_other_columns_and_no_text_at_all(folder: Path) -> None:
    one, other = folder / "one.csv", folder / "other.csv"
    write_csv(other, ("path", "pred"), [("a", "")])
    write_csv(one, ("path", "class"), [("a", "")])
    assert table_difference(one, other) == "one.csv, row 1: pred class on disk, pred again"
    write_csv(one, ("path", "pred"), [("a", "b")])
    assert table_difference(one, other) == "one.csv, row 2 (a): pred b on disk, (empty) again"
    one.write_bytes(b"\xff\xfe\x00")
    assert "row 1" in str(table_difference(one, other))
    one.unlink()
    assert table_difference(one, other) == "one.csv is missing, empty or broken on disk"


def test_a_number_in_a_parquet_file(folder: Path) -> None:
    """As exact as in a CSV: these two float32 are neighbours."""

    def write(name: str, logits: list[float]) -> Path:
        columns = {"path": pa.array(["a.jpg", "b.jpg"]), "logit_기쁨": pa.array(np.array(logits, np.float32))}
        pq.write_table(pa.table(columns), str(folder / name))
        return folder / name

    one, other = write("one.parquet", [1.0, 0.1]), write("other.parquet", [1.0, np.nextafter(np.float32(0.1), 1)])
    assert table_difference(one, write("same.parquet", [1.0, 0.1])) is None
    words = "logit_기쁨 0.10000000149011612 on disk, 0.10000000894069672 again"
    assert table_difference(one, other) == f"one.parquet, row 3 (b.jpg): {words}"
    one.write_bytes(b"PAR1")
    assert table_difference(one, other) == "one.parquet is missing, empty or broken on disk"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(value=JSON, other=JSON)
def test_values_differ_where_their_json_does(value: Any, other: Any) -> None:
    assert value_difference(value, copy.deepcopy(value)) is None
    same = json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (value_difference(value, other) is None) == same


def test_a_place_in_metrics(folder: Path) -> None:
    one, other = folder / "test_metrics.json", folder / "again.json"
    metrics = {"macro_f1": 0.5, "per_class": {"기쁨": {"f1": 0.25}, "슬픔": {"f1": 1.0}}}
    write_json(other, metrics)
    write_json(one, metrics)
    assert json_file_difference(one, other) is None
    metrics["per_class"]["기쁨"]["f1"] = 0.26  # type: ignore[index]
    write_json(one, metrics)
    assert json_file_difference(one, other) == "test_metrics.json, per_class.기쁨.f1 0.26 on disk, 0.25 again"
    del metrics["per_class"]["기쁨"]  # type: ignore[attr-defined]
    write_json(one, metrics)
    assert json_file_difference(one, other) == "test_metrics.json, per_class.기쁨 is missing on disk"
    one.write_text("{", encoding="utf-8")
    assert json_file_difference(one, other) == "test_metrics.json cannot be read as JSON"
    assert value_difference({"classes": ["a", "b"]}, {"classes": ["a", "c"]}) == 'classes[1] "b" on disk, "c" again'
