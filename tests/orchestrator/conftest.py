"""The command line within this process, and seven results written by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from by_hand import Cli, write_seven

from orchestrator.__main__ import main
from orchestrator.ray_session import Session

# What is compared is what an ordinary terminal shows, whatever CI asks for.
os.environ |= {"COLUMNS": "80", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}
os.environ.pop("FORCE_COLOR", None)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`python -m orchestrator ...` without the new process: exit code, stdout and stderr."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("Ray would have been started")

    # A bad input that is let through would train for minutes; nothing that these tests call may get this far.
    monkeypatch.setattr(Session, "connect", refuse)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *map(str, arguments)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, code, out, err)

    return call


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """An output root of the test's own with all seven results (see `write_seven`)."""
    return write_seven(tmp_path / "seven")
