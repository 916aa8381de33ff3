"""The command line within this process, and seven results written by hand."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from by_hand import Cli, write_seven
from small_runs import tables_of, write_weights
from sweep_runs import SMALL, Bench

from orchestrator.__main__ import run
from orchestrator.execution.session import RayExecutor

# What is compared is what an ordinary terminal shows, whatever CI asks for.
os.environ["COLUMNS"] = "80"
os.environ.pop("FORCE_COLOR", None)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`python -m orchestrator ...` without the new process: exit code, stdout and stderr."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("Ray would have been started")

    # A bad input that is let through would train for minutes; nothing that these tests call may get this far.
    monkeypatch.setattr(RayExecutor, "connect", refuse)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *map(str, arguments)])
        capsys.readouterr()
        code: Any = 0
        try:
            run()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, code, out, err)

    return call


@pytest.fixture(scope="session")
def _token() -> str:
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def ray_token(_token: str) -> Iterator[None]:
    """For a Ray started by this process: one token for them all, since Ray keeps the first that it has read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", _token)
        yield


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """An output root of the test's own with all seven results (see `write_seven`)."""
    return write_seven(tmp_path / "seven")


@pytest.fixture(scope="session")
def bench(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    weights = write_weights(folder / "weights.pt", tables_of(shared_project)["train"])
    return Bench(shared_project, weights, folder / "alone")


@pytest.fixture(scope="session")
def swept(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one whole sweep of two experiments; tests leave it as it is."""
    output = tmp_path_factory.mktemp("swept")
    done = bench.sweep(output, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return output
