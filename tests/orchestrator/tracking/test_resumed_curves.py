"""A run on Ray whose driver is killed: one curve in TensorBoard, one run in MLflow, each epoch once."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray_runs import epoch_reached, run_all, running, trial_processes, wait_for

from trainable.base.files import read_json

pytestmark = pytest.mark.ray
EPOCHS = 12
OPTIONS = ("--only", "finetune_K7", "--epochs", EPOCHS, "--mlflow")


def test_each_epoch_once_after_a_kill(shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with running(shared_project, tmp_path, *OPTIONS) as process:
        wait_for(lambda: epoch_reached(tmp_path, "finetune_K7_160") >= 4, 300)
        orphans = trial_processes(process.pid)
        process.kill()
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), 60)
    done = run_all(shared_project, tmp_path, *OPTIONS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MLflow" not in done.stdout + done.stderr, "nothing went wrong"

    whole = list(range(1, EPOCHS + 1))
    [folder] = (tmp_path / ".emosweep/tensorboard/finetune_K7").iterdir()
    assert len(list(folder.iterdir())) > 1, "both commands wrote"
    read = accumulator.EventAccumulator(str(folder))
    read.Reload()
    assert [point.step for point in read.Scalars("val_macro_f1")] == whole

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow/mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("emosweep").experiment_id])
    [run] = [run for run in found if run.info.run_name == "finetune_K7"]
    assert sorted(point.step for point in client.get_metric_history(run.info.run_id, "val_macro_f1")) == whole
    assert run.info.status == "FINISHED"
    test = read_json(tmp_path / "models/mobilenetv3_classifier/runs/finetune_K7_160/test_metrics.json")
    assert test is not None
    assert run.data.metrics["test_macro_f1"] == test["macro_f1"]
    assert {f"test_f1/{label}" for label in test["per_class"]} <= run.data.metrics.keys()
