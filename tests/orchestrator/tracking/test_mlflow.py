"""MLflow as a user has it: a real server on this machine, read back through MLflow's own client."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray_runs import wait_for
from tracked import LABELS, ending, epoch

from orchestrator.planning.paths import ProjectPaths
from orchestrator.tracking.background import Background
from orchestrator.tracking.choice import TrackerChoice
from orchestrator.tracking.mlflow import MlflowTracker, metric_name
from orchestrator.tracking.tracker import Ending, Report, TrackedRun
from trainable.base.errors import ConfigError

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
TAGS = {"experiment": "finetune_K7", "identity": "abc", "label": LABELS[0]}


def a_run(name: str, **more: Any) -> TrackedRun:
    return TrackedRun(f"key-{name}", name, parameters={"lr_head": 5e-4, "weights": "가중치.pt"}, tags=TAGS, **more)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(1)
        return asked.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def server_at(folder: Path, port: int) -> Iterator[str]:
    """`mlflow server` over a database in `folder`; its address. It ends with the block."""
    line = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder / "files"),
    ]  # fmt: skip
    # Without its runner of jobs, whose processes take a minute to start where a machine has other work.
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(line, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        wait_for(lambda: answers(port) or process.poll() is not None, 300)
        assert process.poll() is None, (folder / "server.log").read_text(errors="replace")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_at(tmp_path_factory.mktemp("mlflow"), free_port()) as uri:
        yield uri


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An experiment of the test's own."""
    name = f"실험 {request.node.name}"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    return name


def runs(uri: str, experiment: str) -> dict[str, Any]:
    """By name; those of commands by their first word."""
    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return {run.info.run_name.split(" 20")[0]: run for run in client.search_runs([found.experiment_id])}


def steps(uri: str, run: Any, metric: str = "val_macro_f1") -> list[int]:
    return sorted(point.step for point in mlflow.MlflowClient(uri).get_metric_history(run.info.run_id, metric))


def test_a_command_as_mlflow_shows_it(server: str, experiment: str, tmp_path: Path) -> None:
    report, file, verdict = (tmp_path / name for name in ("index.html", "test_preds.csv", "verdict.json"))
    for path in (report, file, verdict):
        path.write_text("path,true,pred\n사진.jpg,기쁨,상처\n", encoding="utf-8")
    into = tmp_path / "kept"
    into.mkdir()
    tracker = MlflowTracker(server, "run-all")
    fixed, trial, broken, cut = (
        a_run("finetune_K7"),
        a_run("finetune_K7#3", group="finetune_K7 sweep"),
        a_run("a"),
        a_run("b"),
    )
    for run in (fixed, trial, broken, cut):
        tracker.begin(run)
        tracker.epoch(run, epoch(1))
    tracker.epoch(fixed, epoch(2))
    tracker.end(fixed, ending(2, tags={"device": "cpu"}, files=[file]))
    tracker.end(trial, Ending("KILLED", "poor: rank 5 of 8"))
    tracker.end(broken, Ending("FAILED", "디스크가 가득 찼습니다"))
    tracker.close(Report("FAILED", [report], {"finetune_K7 sweep": [verdict]}))

    found, client = runs(server, experiment), mlflow.MlflowClient(server)
    assert {name: run.info.status for name, run in found.items()} == {
        "run-all": "FAILED", "finetune_K7": "FINISHED", "finetune_K7 sweep": "FAILED", "finetune_K7#3": "KILLED",
        "a": "FAILED", "b": "KILLED",
    }  # fmt: skip
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in found.items()}
    command, sweep = found["run-all"].info.run_id, found["finetune_K7 sweep"].info.run_id
    assert parents == {"run-all": None, "finetune_K7": command, "finetune_K7 sweep": command, "finetune_K7#3": sweep,
                       "a": command, "b": command}  # fmt: skip
    whole = found["finetune_K7"]
    assert whole.data.params == {"lr_head": "0.0005", "weights": "가중치.pt"}
    assert whole.data.tags.items() >= {**TAGS, "device": "cpu"}.items()
    assert whole.data.metrics["test_f1/기쁨"] == 0.25
    assert whole.data.metrics["test_macro_f1"] == 0.5
    assert steps(server, whole) == [1, 2]
    assert found["a"].data.tags["why"] == "디스크가 가득 찼습니다"
    kept = client.download_artifacts(whole.info.run_id, file.name, str(into))
    assert Path(kept).read_bytes() == file.read_bytes()
    assert [file.path for file in client.list_artifacts(command)] == ["index.html"]
    assert [file.path for file in client.list_artifacts(sweep)] == ["verdict.json"]


def test_a_training_that_is_resumed_goes_on_in_its_own_run(server: str, experiment: str) -> None:
    """The first command was killed with an epoch trained that it had not told."""
    run = a_run("finetune_K7")
    killed = MlflowTracker(server, "run-all")
    for number in (1, 2):
        killed.epoch(run, epoch(number))
    before = runs(server, experiment)["finetune_K7"]
    assert before.info.status == "RUNNING"
    tracker = MlflowTracker(server, "sweep")
    for number in (2, 4):
        tracker.epoch(run, epoch(number))
    tracker.end(run, ending(4))
    tracker.close(Report("FINISHED"))
    found = runs(server, experiment)
    assert set(found) == {"run-all", "sweep", "finetune_K7"}
    assert found["finetune_K7"].info.run_id == before.info.run_id
    assert found["finetune_K7"].info.status == "FINISHED"
    assert found["finetune_K7"].data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
    assert steps(server, found["finetune_K7"]) == [1, 2, 3, 4]


def test_a_server_that_comes_late_has_everything(
    tmp_path: Path, experiment: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port, run = free_port(), a_run("probe_M1")
    tracker = Background(MlflowTracker(f"http://127.0.0.1:{port}", "run-all"), tmp_path / "log", flush_seconds=300)
    tracker.begin(run)
    tracker.epoch(run, epoch(1))
    wait_for(lambda: caplog.records)
    assert caplog.text.count("the run goes on, and its results are on disk") == 1
    with server_at(tmp_path, port) as uri:
        tracker.end(run, ending(3))
        tracker.close(Report("FINISHED"))
        found = runs(uri, experiment)
        assert {name: one.info.status for name, one in found.items()} == dict.fromkeys(
            ("run-all", "probe_M1"), "FINISHED"
        )
        assert steps(uri, found["probe_M1"]) == [1, 2, 3]
        assert found["probe_M1"].data.params.keys() == run.parameters.keys()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("given", "database"), [("", "mlflow/mlflow.db"), ("기록/runs.db", "기록/runs.db")])
def test_a_database_lies_below_the_output_root(
    tmp_path: Path, given: str, database: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    output, file = tmp_path / "결과", tmp_path / "best.pt"
    file.write_bytes(b"weights")
    tracker = TrackerChoice(mlflow=given).open(ProjectPaths(tmp_path, output), "run-all")
    run = a_run("probe_M1")
    tracker.begin(run)
    tracker.end(run, ending(1, files=[file]))
    tracker.close(Report("FINISHED"))
    [whole] = [run for name, run in runs(f"sqlite:///{output / database}", experiment).items() if name == "probe_M1"]
    assert whole.info.status == "FINISHED"
    assert list((output / database).parent.rglob("best.pt"))


def test_a_database_whose_making_was_cut_off_is_made_again(
    tmp_path: Path, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def killed(where: str) -> None:
        Path(where.removeprefix("sqlite:///")).write_bytes(b"half of the tables")
        raise KeyboardInterrupt  # in the place of a kill, which no test can time

    with monkeypatch.context() as patched:
        patched.setattr(mlflow, "MlflowClient", killed)
        with pytest.raises(KeyboardInterrupt):
            MlflowTracker(uri, "run-all", tmp_path / "artifacts").begin(a_run("probe_M1"))
    MlflowTracker(uri, "run-all", tmp_path / "artifacts").begin(a_run("probe_M1"))
    assert set(runs(uri, experiment)) == {"run-all", "probe_M1"}


def test_the_environment_names_the_server(
    tmp_path: Path, server: str, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracker = TrackerChoice(mlflow="").open(ProjectPaths(tmp_path, tmp_path), "run-all")
    tracker.begin(a_run("probe_M1"))
    tracker.close(Report("FINISHED"))
    assert set(runs(server, experiment)) == {"run-all", "probe_M1"}


@pytest.mark.parametrize("place", ["ftpp://host", "."])
def test_an_address_that_is_none_is_refused_before_the_start(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match="--mlflow"):
        TrackerChoice(mlflow=place).open(ProjectPaths(tmp_path, tmp_path), "run-all")


def test_names_of_metrics_keep_their_hangul() -> None:
    assert metric_name("test_f1/기쁨 (행복)") == "test_f1/기쁨 _행복_"
