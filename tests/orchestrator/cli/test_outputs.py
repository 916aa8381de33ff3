"""Nobody reads what is printed, or there is no room for it: a command does its work and ends as it would otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator.demo.dataset import FOLDERS, MARKER, DemoSize, _marker

ROOT = Path(__file__).resolve().parents[3]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
LOST = "error: the output could not be written: "
WITHOUT_STDOUT = (
    "import sys; sys.stdout = None; sys.argv = ['orchestrator', *sys.argv[1:]]\n"
    "from orchestrator.__main__ import main; main()"
)
"""As a program of Windows without a console is started, and as some services are."""

Ended = tuple[int, str]


def call(arguments: Sequence[object], redirections: str = "", *, code: str | None = None) -> Ended:
    """The exit code and stderr of a command in a shell, which redirects its streams."""
    line = [sys.executable, *(("-c", code) if code else ("-m", "orchestrator")), *map(str, arguments)]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirections}', "bash", *line],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stderr


def without_a_reader(arguments: Sequence[object]) -> Ended:
    """Stdout is a pipe whose reader has gone before anything is written."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        line = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
        done = subprocess.run(line, cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


WAYS: dict[str, tuple[Callable[[Sequence[object]], Ended], Ended]] = {
    "reader-gone": (without_a_reader, (0, "")),
    "stdout-closed": (lambda arguments: call(arguments, ">&-"), (0, "")),
    "all-closed": (lambda arguments: call(arguments, "<&- >&- 2>&-"), (0, "")),
    "no-stdout": (lambda arguments: call(arguments, code=WITHOUT_STDOUT), (0, "")),
    "read-only": (lambda arguments: call(arguments, "1</dev/null"), (1, f"{LOST}Bad file descriptor\n")),
    "full-disk": (lambda arguments: call(arguments, "> /dev/full"), (1, f"{LOST}No space left on device\n")),
    "both-on-a-full-disk": (lambda arguments: call(arguments, "> /dev/full 2>&1"), (1, "")),
}  # fmt: skip
each_way = pytest.mark.parametrize(
    "way", [pytest.param(way, marks=needs_full if "full" in way else ()) for way in WAYS]
)


@each_way
def test_a_plan(way: str, shared_project: Path) -> None:
    run, ended = WAYS[way]
    assert run(["plan", "--project-root", shared_project, "--only", "probe_*", "--weights", "none"]) == ended


@each_way
def test_a_report_is_written_all_the_same(way: str, seven: Path) -> None:
    run, ended = WAYS[way]
    assert run(["report", "--output-root", seven]) == ended
    files = {file.name for file in (seven / "reports").iterdir()}
    assert len(files) == 25
    assert (seven / "reports/index.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert (seven / "reports/summary_overall_7exp.csv").read_text(encoding="utf-8").startswith("experiment,split,")


@each_way
def test_demo_data_that_is_there_already(way: str, tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / MARKER).write_text(_marker(1337, DemoSize()), encoding="utf-8")
    run, ended = WAYS[way]
    assert run(["demo-data", tmp_path]) == ended
    assert (tmp_path / "recipe.json").read_text(encoding="utf-8").startswith("{")


@each_way
@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_help_and_version(asked: str, way: str) -> None:
    run, ended = WAYS[way]
    assert run([asked]) == ended


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", pytest.param("2> /dev/full", marks=needs_full)])
def test_a_bad_input_keeps_its_exit_code(redirection: str, tmp_path: Path) -> None:
    code, said = call(["plan", "--project-root", tmp_path / "nosuch"], redirection)
    assert code == 2
    assert said == ("" if "2>" in redirection else f"error: --project-root {tmp_path}/nosuch: no such folder\n")


def test_a_file_that_is_opened_later_gets_no_output(seven: Path, tmp_path: Path) -> None:
    """With stdout closed, the first file that a program opens gets its number, and what is printed with it."""
    code = (
        "import sys; from trainable.base.command_line import run_app, make_app\n"
        f"app = make_app('x', ''); file = {str(tmp_path / 'data.csv')!r}\n"
        "@app.default\n"
        "def main():\n"
        "    with open(file, 'w') as opened:\n"
        "        print('printed', flush=True); import os; os.write(1, b'written'); opened.write('row')\n"
        "sys.exit(run_app(lambda: app, []))"
    )
    assert call([], ">&-", code=code) == (0, "")
    assert (tmp_path / "data.csv").read_text(encoding="utf-8") == "row"


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "euc-kr"])
def test_an_encoding_that_lacks_characters(encoding: str, seven: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "report", "--output-root", str(seven)],
        cwd=ROOT, capture_output=True, timeout=120, check=False, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert "74.94%" in done.stdout.decode(encoding)
