"""Odd environments: no home folder, nothing that can be written to, terminals and locales of little use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from by_hand import Cli, changes, listing

from orchestrator.cli.terminal import TABLE_COLUMNS, Terminal

ROOT = Path(__file__).resolve().parents[3]
PROC = Path("/proc/self/nothing")
"""A place where nobody can make a folder, root neither."""
ENVIRONMENTS = {
    "dumb": {"TERM": "dumb"},
    "no-columns": {"COLUMNS": "0"},
    "one-column": {"COLUMNS": "1"},
    "20-columns": {"COLUMNS": "20"},
    "columns-of-letters": {"COLUMNS": "abc"},
    "c-locale": {"LC_ALL": "C"},
    "posix-locale-as-it-was": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "korean-locale": {"LANG": "ko_KR.EUC-KR", "LC_ALL": "ko_KR.EUC-KR"},
    "strict-encoding": {"PYTHONIOENCODING": "euc-kr:strict"},
    "home-not-writable": {"HOME": str(PROC)},
    "cache-not-writable": {"EMOSWEEP_CACHE": str(PROC / "cache")},
    "temporary-folder-missing": {"TMPDIR": "/nonexistent/tmp"},
}


def call(environment: dict[str, str], *arguments: object, cwd: Path = ROOT) -> tuple[int, str, str]:
    unset = {name: value for name, value in os.environ.items() if name not in ("EMOSWEEP_CACHE", "COLUMNS")}
    cache = {"EMOSWEEP_CACHE": os.environ["EMOSWEEP_CACHE"]} if "HOME" not in environment else {}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, arguments)], cwd=cwd, capture_output=True, timeout=120,
        check=False, env={**unset, **cache, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    encoding = environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    return done.returncode, *(text.decode(encoding, "replace") for text in (done.stdout, done.stderr))


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_every_question_is_answered(environment: dict[str, str], shared_project: Path, seven: Path) -> None:
    plan = ("plan", "--project-root", shared_project, "--only", "probe_M1", "--weights", "none")
    for arguments, words in (
        (plan, "to run: probe_M1"),
        (("report", "--output-root", seven), "74.94%"),
        (("--help",), "run-all"),
        (("--version",), "."),
        (("cache",), "at most"),
    ):
        code, out, err = call(environment, *arguments)
        assert (code, err) == (0, ""), arguments
        assert words in out, arguments


def test_a_user_without_a_home_folder(shared_project: Path, seven: Path) -> None:
    """`docker run --user 12345`: there is neither $HOME nor an entry in /etc/passwd."""
    code = (
        "import os, sys, pwd\n"
        "os.environ.pop('HOME', None)\n"
        "def unknown(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = unknown\n"  # no test may add a user who is not in /etc/passwd
        "from orchestrator.__main__ import main; sys.argv[0] = 'orchestrator'; main()"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("EMOSWEEP_CACHE", "XDG_CACHE_HOME")
    }

    def ask(*arguments: object) -> tuple[int, str]:
        line = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr

    said = "error: this user has no home folder for caches: set HOME to a folder that can be written to\n"
    assert ask("plan", "--project-root", shared_project, "--only", "probe_M1", "--weights", "none") == (2, said)
    assert ask("cache") == (2, said)
    for arguments in (("report", "--output-root", seven), ("--help",), ("--version",)):
        assert ask(*arguments) == (0, "")


def test_a_table_is_whole_in_a_narrow_terminal(seven: Path) -> None:
    """Rich would leave figures out; a terminal goes on in the next line."""
    wide, *narrow = (call({"COLUMNS": n}, "report", "--output-root", seven)[1] for n in ("80", "0", "1", "20", "60"))
    assert narrow == [wide] * 4
    assert "…" not in wide


def test_bars_know_how_wide_the_terminal_is() -> None:
    console = Terminal(_environ={"COLUMNS": "40"})
    assert (console.columns, console.width) == (40, TABLE_COLUMNS)
    assert Terminal(width=40).width == 40


def test_a_report_is_shown_where_it_cannot_be_written(seven: Path, cli: Cli) -> None:
    (seven / "reports").touch()
    before = listing(seven)
    done = cli("report", "--output-root", seven)
    assert done.returncode == 1
    assert "74.94%" in done.stdout
    assert "report:" not in done.stdout
    assert done.stderr.startswith(f"error: {seven}/reports: cannot be written to (")
    assert not changes(before, listing(seven))


def test_demo_data_that_cannot_be_written(cli: Cli) -> None:
    done = cli("demo-data", PROC / "demo")
    assert done.returncode == 2
    assert done.stderr == f"error: {PROC}/demo: cannot be written to (No such file or directory)\n"


@pytest.mark.parametrize("content", [b"\xba\xd0\xb3\xeb", b"\xff\xfe\0"])
def test_demo_data_beside_a_marker_of_another_origin(content: bytes, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "data_raw").mkdir()
    (tmp_path / "data_raw/demo.json").write_bytes(content)
    done = cli("demo-data", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{tmp_path}/data_raw exists and is not demo data" in done.stderr


def test_demo_data_where_a_folder_is_a_file(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "data_shared").touch()
    done = cli("demo-data", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}/data_shared exists and is not demo data" in done.stderr
