"""The logits beside a run's results are those that its predictions and its losses come from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import log_softmax
from small_runs import CPU, finetune, history, spec_of, tables_of
from twins import sized_project

from trainable.base.paths import RunPaths
from trainable.run.logits import read_logits, write_logits
from trainable.run.trainer import Trainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunPaths]:
    folder = tmp_path_factory.mktemp("run")
    project = sized_project(folder / "project", 18, 7, 40)
    Trainer(spec_of(project, folder / "out", finetune(epochs=4)), CPU).run()
    return project, RunPaths(folder / "out")


def test_predictions_are_the_largest_logits(finished: tuple[Path, RunPaths]) -> None:
    project, run = finished
    classes = json.loads(run.classes.read_text(encoding="utf-8"))["classes"]
    table, logits = pq.read_table(run.test_logits), read_logits(run.test_logits, classes)
    assert logits is not None and logits.dtype == np.float32
    with run.test_preds.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert table["path"].to_pylist() == [row["path"] for row in rows]
    assert table["label"].to_pylist() == [row["true"] for row in rows] == list(tables_of(project)["test"].labels)
    assert [classes[place] for place in logits.argmax(1)] == [row["pred"] for row in rows]


def test_the_validation_s_are_those_of_the_best_epoch(finished: tuple[Path, RunPaths]) -> None:
    project, run = finished
    classes = json.loads(run.classes.read_text(encoding="utf-8"))["classes"]
    logits, true = read_logits(run.val_logits, classes), tables_of(project)["val"].labels
    assert logits is not None
    picked = log_softmax(logits.astype(np.float64), 1)[range(len(true)), [classes.index(label) for label in true]]
    metrics = json.loads(run.val_metrics.read_text(encoding="utf-8"))
    assert -picked.mean() == pytest.approx(metrics["loss"], rel=1e-5)
    assert -picked.mean() == pytest.approx(float(history(run.out)[metrics["epoch"] - 1]["val_loss"]), rel=1e-5)


def test_korean_classes_and_what_is_no_such_file(finished: tuple[Path, RunPaths], tmp_path: Path) -> None:
    import torch

    project, _ = finished
    table, file = tables_of(project)["val"], tmp_path / "기쁨.parquet"
    written = torch.randn(len(table), 2)
    write_logits(file, table, ["기쁨", "슬픔"], written)
    assert np.array_equal(read_logits(file, ["슬픔", "기쁨"]), written.numpy()[:, ::-1])  # type: ignore[arg-type]
    assert read_logits(file, ["기쁨", "분노"]) is None
    assert read_logits(tmp_path / "none.parquet", ["기쁨"]) is None
    file.write_bytes(file.read_bytes()[:-9])
    assert read_logits(file, ["기쁨"]) is None
