"""`--detach`: bad input is met in the foreground, and a run goes on without its terminal."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from by_hand import Cli, listing
from ray_runs import ROOT, command, epoch_reached, wait_for

from orchestrator.cli import detach
from orchestrator.execution.folder_board import FolderBoard
from orchestrator.execution.lock import is_held, only_one
from orchestrator.planning.paths import ProjectPaths

WEIGHTS = ("--weights", "none")


def refuse_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be started again is this process: the tests."""

    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a process would have been started")

    monkeypatch.setattr(detach.subprocess, "Popen", refuse)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--only", "probe_M9"),
        ("--epochs", "0"),
        ("--weights", "/no/such.pt"),
        ("--price-per-hour", "-1"),
        ("--num-cpus", "2", "--address", "127.0.0.1:1"),
        ("--project-root", "/no/such"),
    ],
)
def test_bad_input_is_met_before_anything_is_started(
    arguments: tuple[str, ...], cli: Cli, shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_processes(monkeypatch)
    files = ("--project-root", shared_project, "--output-root", tmp_path)
    done = cli("run-all", *files, *WEIGHTS, "--only", "probe_M1", *arguments, "--detach")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert listing(tmp_path) == {}


def test_a_second_run_is_refused(
    cli: Cli, shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_processes(monkeypatch)
    paths = ProjectPaths(tmp_path, tmp_path)
    with only_one(paths):
        done = cli(
            "run-all", "--detach", "--project-root", shared_project, "--output-root", tmp_path, *WEIGHTS,
            "--only", "probe_M1",
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: another run is writing to {tmp_path}")
        assert not paths.logs.exists()


def test_what_ends_in_the_background_at_once_says_why(shared_project: Path, tmp_path: Path) -> None:
    """The cluster is looked for there, and there is none. Words and exit code are those of the foreground."""
    line = command(shared_project, tmp_path, "--only", "probe_M1", "--address", "127.0.0.1:1", "--detach", cpus=False)
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "error: --address 127.0.0.1:1: nothing answers there" in done.stderr
    assert "goes on in the background" not in done.stdout


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Path]:
    """An output root whose run, if one is left, is killed after the test."""
    output = tmp_path / "결과"
    yield output
    for seen in FolderBoard(ProjectPaths(output, output)).seen():
        with suppress(ProcessLookupError):
            if seen.goes_on:
                os.kill(seen.notice.pid, signal.SIGKILL)


@pytest.mark.ray
@pytest.mark.nightly
def test_a_run_goes_on_without_its_terminal_until_it_is_stopped(shared_project: Path, ended: Path) -> None:
    """Started from a session of its own and hung up afterwards; then looked at and stopped."""
    options = ("--only", "finetune_M1", "--epochs", 200)
    line = command(shared_project, ended, *options, "--detach")
    started = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300, start_new_session=True,
        check=False,
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    paths = ProjectPaths(ended, ended)
    assert is_held(paths)
    notice = FolderBoard(paths).seen()[0].notice
    words = started.stdout.splitlines()
    assert words[0].startswith(f"run {notice.run} goes on in the background (process {notice.pid})")
    assert words[1] == f"look at it: python -m orchestrator status --output-root {shlex.quote(str(ended))}"
    assert os.getsid(notice.pid) == notice.pid, "a session of its own"
    os.kill(notice.pid, signal.SIGHUP)
    epochs = epoch_reached(ended, "finetune_M1_160")
    wait_for(lambda: epoch_reached(ended, "finetune_M1_160") > epochs + 1)
    shown = outside("status", ended)
    assert "finetune_M1" in shown and "running since" in shown
    assert "it has ended (exit code 130); go on with: python -m orchestrator run-all" in outside("stop", ended)
    assert not is_held(paths)
    assert 0 < epoch_reached(ended, "finetune_M1_160") < 200
    (log,) = paths.logs.glob("detached-*.txt")
    assert "interrupted; go on with" in log.read_text(encoding="utf-8")


def outside(verb: str, output: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", verb, "--output-root", str(output)],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
