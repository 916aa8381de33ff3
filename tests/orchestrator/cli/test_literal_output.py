"""Whatever text comes from outside, it is on the terminal as it is: no markup, no emoji, no control characters."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from by_hand import RUNS, Cli, write_json, write_rows
from hypothesis import given
from hypothesis import strategies as st
from projects import make_project
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from orchestrator.cli.event_lines import TextLines
from orchestrator.cli.live_rows import LiveRows
from orchestrator.cli.look import Look
from orchestrator.cli.plan_table import print_plan
from orchestrator.cli.progress import ProgressView
from orchestrator.cli.summary_table import print_summary
from orchestrator.cli.terminal import Terminal, say, styled
from orchestrator.planning.steps import FaceApiEvaluation
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Machine
from orchestrator.reporting.results import Result
from search_spaces.runbook import EXPERIMENTS
from trainable.base.errors import Failure
from trainable.base.log import LOG
from trainable.base.text import one_line, visible
from trainable.cache.claims import Claims, Patience

HASTY = Patience(silent=0.1, still=2.0)

ROOT = Path(__file__).resolve().parents[3]
FACEAPI = EXPERIMENTS[0]
EVALUATION = FaceApiEvaluation(experiment=FACEAPI, rows=(1,), csv=Path(), manifest=Path(), begun=Path())
MACHINE = Machine()
AWKWARD = st.text(st.sampled_from("[]:/\\=@abold기쁨😀\x1b\r\n\t\u202e")) | st.text() | st.sampled_from(
    ["[/y]", "[old]", ":100:", ":smile:", "[bold]x[/]", "\\[x]", "[link=file:///x]y[/link]", "[@click=f]x", "\x1b[31m"]
)  # fmt: skip
ORDINARY = AWKWARD.map(visible).filter(lambda text: " ".join(text.split()) == text and (cell_len(text) > 0 or not text))
"""Text that layout leaves alone: rich strips the spaces at a line's ends, and what has no width."""


def printed(text: object, width: int = 4000, *, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Terminal(file=out, width=width, force_terminal=terminal, color_system=None)
    console.print(text)
    return out.getvalue()


@given(AWKWARD)
def test_a_sentence(text: str) -> None:
    out = io.StringIO()
    say(Terminal(file=out, width=20), text)
    assert out.getvalue() == visible(text) + "\n"


@given(AWKWARD, AWKWARD)
def test_a_sentence_with_a_style(one: str, other: str) -> None:
    out = io.StringIO()
    say(Terminal(file=out, width=20), styled((one, "red"), other))
    assert out.getvalue() == visible(one) + visible(other) + "\n"


@given(AWKWARD)
def test_what_is_printed_without_any_care(text: str) -> None:
    """A caller that forgets to ask for one line still gets no control characters onto the terminal."""
    table = Table(text, text.upper())
    table.add_row(text, text)
    said = printed(text) + printed(table)
    assert visible(said, keep="\n") == said


@given(ORDINARY)
def test_cells_and_headings_of_a_table(text: str) -> None:
    table = Table("before", text, box=None)
    table.add_row("|", text)
    table.add_row("|", Text(text))
    lines = [line.rstrip().split(maxsplit=1)[1:] for line in printed(table).splitlines()]
    assert lines == [[text] if text else []] * 3


@given(ORDINARY)
def test_why_a_step_is_stale(text: str) -> None:
    out = io.StringIO()
    step = FaceApiEvaluation(experiment=FACEAPI, rows=(1,), csv=Path(), manifest=Path(), begun=Path(), why=text)
    print_plan(Terminal(file=out, width=4000), [step], running=False, more=[f"more {text}."])
    row = out.getvalue().splitlines()[3]
    assert row.partition(" new ")[2].strip() == one_line(text)
    assert out.getvalue().splitlines()[-1] == f"to run: {FACEAPI.name}, more {text}."


@given(AWKWARD)
def test_notes_below_the_table(text: str) -> None:
    out = io.StringIO()
    print_summary(Terminal(file=out, width=80), [Result(FACEAPI, notes=(text,))])
    assert out.getvalue().splitlines()[-1] == f"{FACEAPI.name}: {visible(text)}"


@pytest.mark.parametrize("rows", [False, True], ids=["lines", "rows"])
@given(text=AWKWARD)
def test_a_failure_and_a_stopped_trial_in_the_progress(rows: bool, text: str) -> None:
    out = io.StringIO()
    look = Terminal(file=out, width=1000, force_terminal=rows, color_system=None, _environ={"TERM": "xterm"})
    state = RunState()
    printer = LiveRows(look, state, MACHINE, verbose=True) if rows else TextLines(look, state, MACHINE)
    with ProgressView(state, printer, MACHINE) as view:
        view.log = Path("the.log")
        view.add([EVALUATION])
        view.started(FACEAPI.name)
        view.failed(FACEAPI.name, Failure(text))
        view.stopped("probe_M1#1", text, None)
    lines = [line.rstrip() for line in out.getvalue().replace("\x1b[2K", "").split("\n")]
    for said in (f"{FACEAPI.name}: failed: {one_line(text)} (log: the.log)", f"probe_M1#1: {one_line(text)}"):
        assert [line for line in lines if said.rstrip() in line], lines


@pytest.mark.parametrize("name", ["a [/y] b", "[old]", "run :100: x", "\x1b[31m", "a\nb", "\u202egpj", "감정 [bold]"])
def test_folders_of_any_name(name: str, tmp_path: Path) -> None:
    """In a process of its own, with every command that prints the folder."""
    root = make_project(tmp_path / name)
    (root / RUNS / "probe_M1_160").mkdir(parents=True)

    def call(*arguments: object) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
            encoding="utf-8", timeout=60, check=False, env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "80"},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    code, said = call("report", "--output-root", root)
    assert (code, said.splitlines()[-1]) == (0, f"report: {visible(str(root))}/reports/index.html")
    (root / "data_shared/cropped_faces_csv/val_M1.csv").unlink()
    code, said = call("plan", "--project-root", root, "--only", "probe_M1", "--weights", "none")
    assert (code, len(said.splitlines())) == (2, 2)
    assert f"{visible(str(root))}/data_shared/cropped_faces_csv/val_M1.csv: no such file" in said
    code, said = call("demo-data", root)
    assert code == 2
    assert f"{visible(str(root), keep=chr(10))}/data_raw exists and is not demo data" in said


def test_labels_of_any_kind_in_a_message(project: Path, cli: Cli) -> None:
    csv = project / "data_shared/cropped_faces_csv/val_M1.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace("happy", "[/y]:100:\x1b[31m\u202e"), encoding="utf-8")
    done = cli("plan", "--project-root", project, "--weights", "none", "--only", "probe_M1")
    assert done.returncode == 2
    assert "'[/y]:100:\\x1b[31m\\u202e'" in done.stderr
    assert "\x1b" not in done.stderr and "\u202e" not in done.stderr


def test_labels_of_any_kind_in_a_report(seven: Path, cli: Cli) -> None:
    out, labels = seven / RUNS / "probe_M1_160", ["[/y]", ":100:", "\x1b[2J"]
    write_json(out / "classes.json", {"classes": labels})
    write_rows(out / "test_preds.csv", ("path", "true", "pred"), [("a", "[/y]", "\x1b[2J"), ("b", ":100:", "\x1b[2J")])
    done = cli("report", "--output-root", seven)
    assert (done.returncode, done.stderr) == (0, "")
    assert "probe_M1: predicts one class only: \\x1b[2J" in done.stdout
    page = (seven / "reports/index.html").read_text(encoding="utf-8")
    assert all(f'<th scope="col">{label}</th>' in page for label in ("[/y]", ":100:", "\\x1b[2J"))
    assert "\x1b" not in page


def test_an_argument_of_any_kind_in_a_message(cli: Cli) -> None:
    for text in ("[/y]", ":100:", "\x1b[2J"):
        assert visible(text) in cli("plan", "--only", text).stderr
        assert visible(text) in cli("plan", f"--{text}").stderr
        assert "\x1b" not in cli("plan", "--config", text).stderr


def test_every_console_of_the_command_line_is_a_terminal() -> None:
    """A `rich.console.Console` would read markup; only `Terminal` is made here."""
    for source in (ROOT / "orchestrator").rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        assert " Console(" not in text.replace("class Terminal(Console)", "") and "=Console(" not in text, source
        assert "rich.markup" not in text and "from_markup" not in text, source


def test_the_view_is_the_plain_one_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a terminal cannot move its cursor; rich would draw nothing at all."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    monkeypatch.setenv("TERM", "dumb")
    look = Look("auto", verbose=False)
    with look.make_view([], None)(out) as view:
        view.add([EVALUATION])
        view.started(FACEAPI.name)
        view.finished(FACEAPI.name)
    said = [line.split(maxsplit=2)[2] for line in out.getvalue().splitlines()]
    assert said == [f"{FACEAPI.name}: started", f"{FACEAPI.name}: done"]


def test_who_is_waited_for_is_shown(tmp_path: Path) -> None:
    """What code without a view says of its waiting; a run sends stderr to its log, where nobody looks meanwhile."""
    out = io.StringIO()
    with Claims(tmp_path, Patience()) as holder:
        assert holder.take("0")
        lines = TextLines(Terminal(file=out, width=1000), RunState(), MACHINE)
        with ProgressView(lines.state, lines, MACHINE), Claims(tmp_path, HASTY) as claims:
            claims.wait("0", lambda: None)
    assert f"s for process {os.getpid()} on " in out.getvalue()
    LOG.warning("after the run")
    assert "after the run" not in out.getvalue()
