"""Consoles of 80 columns that know few characters, and paths in Korean: what is printed is whole and literal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from projects import make_project
from rich.cells import cell_len

ROOT = Path(__file__).resolve().parents[3]


def call(encoding: str, *arguments: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, arguments)],
        cwd=ROOT, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    return done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding)


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "utf-8"])
@pytest.mark.parametrize("command", [(), ("run-all",), ("sweep",), ("faceapi",)], ids=" ".join)
def test_help_on_any_console(command: tuple[str, ...], encoding: str) -> None:
    code, out, err = call(encoding, *command, "--help")
    assert (code, err) == (0, "")
    assert "?" not in out
    assert max(map(cell_len, out.splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "utf-8"])
def test_an_unknown_option_on_any_console(encoding: str) -> None:
    code, out, err = call(encoding, "run-all", "--에폭", "3")
    assert (code, out) == (2, "")
    said = "--??" if encoding == "ascii" else "--에폭"
    assert err.splitlines() == [f"error: no such option: {said}", "help: python -m orchestrator run-all --help"]


def test_korean_paths_and_markup_are_printed_as_they_are(tmp_path: Path) -> None:
    root = make_project(tmp_path / "감정 [bold]데이터[/]")
    code, out, err = call("utf-8", "plan", "--project-root", root, "--only", "probe_M1", "--weights", "없음[red].pt")
    assert (code, out) == (2, "")
    assert "--weights 없음[red].pt: no such file" in err
    code, out, err = call("utf-8", "run-all", "--project-root", root, "--only", "감정[/]", "--weights", "none")
    assert "--only 감정[/]: no such experiment" in err
    (root / "data_shared/cropped_faces_csv/val_M1.csv").unlink()
    code, out, err = call("utf-8", "plan", "--project-root", root, "--only", "probe_M1", "--weights", "none")
    assert f"{root}/data_shared/cropped_faces_csv/val_M1.csv: no such file" in err


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    line = f"{sys.executable} -m orchestrator run-all --help | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
