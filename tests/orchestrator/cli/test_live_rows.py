"""The rows on a terminal: each is there once, below all that was said, whatever happens and however small it is."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from by_hand import RUNS
from hypothesis import given
from hypothesis import strategies as st
from ray_runs import ROOT, command
from screen import Screen
from work import EVERYTHING, Clock, histories

from orchestrator.cli.live_rows import LiveRows
from orchestrator.cli.progress import ProgressView
from orchestrator.cli.row_layout import draw
from orchestrator.cli.terminal import Terminal
from orchestrator.progress.event import Event
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Machine, Usage

WORDS = st.text("ab 기쁨[/]", max_size=200).map(lambda text: f"<{text}>")


class Still(Machine):
    """A machine that always shows the same, so that what is drawn depends on the events alone."""

    def __init__(self) -> None:
        self.usage = Usage(0.5, 10**9, 2 * 10**9)

    def look(self) -> None:
        pass


def wrapped(text: str, width: int) -> list[str]:
    screen = Screen(width, 1000)
    screen.feed(text)
    return screen.lines


@given(histories(), st.lists(WORDS, max_size=8), st.integers(60, 130), st.integers(5, 40), st.randoms())
def test_the_rows_lie_below_what_was_said(told: list, said: list[str], width: int, height: int, random) -> None:  # type: ignore[no-untyped-def]
    out, clock, state = io.StringIO(), Clock(), RunState()
    look = Terminal(file=out, width=width, height=height, force_terminal=True, _environ={"TERM": "xterm"})
    printer = LiveRows(look, state, Still(), verbose=False)
    printer.period = 1000.0
    quiet = [(now, event) for now, event in told if event.kind not in ("failed", "retried")]
    with ProgressView(state, printer, Still(), clock) as view:
        view.add(EVERYTHING)
        for now, event in sorted(quiet + [(random.uniform(0, 1e6), Event("note", values={"text": t})) for t in said],
                                 key=lambda pair: pair[0]):  # fmt: skip
            clock.now = now
            state.apply(event, now)
            printer.show(event, now)
            if random.random() < 0.5:
                printer.tick(now)
    screen = Screen(width, height)
    screen.feed(out.getvalue())
    rows = [line.plain.rstrip() for line in draw(state, Still().usage, clock.now, width, height - 1)]
    above = [line for text in said for line in wrapped(text, width)]
    assert sorted(screen.lines[: len(above)]) == sorted(line.rstrip() for line in above)
    assert screen.lines[len(above) :] == [*rows, ""]
    assert screen.cursor_shown


def test_nothing_is_drawn_where_nothing_changes() -> None:
    out, clock, state = io.StringIO(), Clock(), RunState()
    look = Terminal(file=out, width=80, height=24, force_terminal=True, _environ={"TERM": "xterm"})
    printer = LiveRows(look, state, Still(), verbose=False)
    with ProgressView(state, printer, Still(), clock) as view:
        view.add(EVERYTHING)
        printer.tick(1.0)
        drawn = len(out.getvalue())
        for tick in range(10):
            printer.tick(1.0 + tick / 2)
        assert len(out.getvalue()) == drawn


def in_a_terminal(line: list[str], width: int, height: int) -> tuple[int, Screen]:
    """Run a command in a terminal of that size, with nothing on stdin. Returns its exit code and what is shown."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True,
        env={**environment, "TERM": "xterm-256color", "PYTHONUTF8": "1"},
    )  # fmt: skip
    os.close(slave)
    printed = b""
    try:
        while block := _read(master):
            printed += block
        code = process.wait(60)
    finally:
        process.kill()
        os.close(master)
    screen = Screen(width, height)
    screen.feed(printed.decode("utf-8"))
    return code, screen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody writes any more
        return b""


@pytest.mark.ray
@pytest.mark.parametrize(("width", "height"), [(80, 24), pytest.param(120, 12, marks=pytest.mark.nightly)])
def test_a_run_in_a_terminal(width: int, height: int, shared_project: Path, tmp_path: Path) -> None:
    """One experiment of each kind and a sweep, with Korean folders."""
    output = tmp_path / "결과 [old]"
    line = command(shared_project, output, "--only", "faceapi_M1,probe_M1", "--epochs", 3, "--sweep", "lr",
                   "--num-samples", 3, "--confirm", 0)  # fmt: skip
    code, screen = in_a_terminal(line, width, height)
    assert code == 0, "\n".join(screen.lines)
    assert (output / RUNS / "probe_M1_160/manifest.json").is_file()
    rows = [row.split() for row in screen.lines if row.split()[-1:] == ["done"]]
    assert [row[0] for row in rows] == ["faceapi_M1", "probe_M1", "probe_M1"]
    assert rows[1][1] == "1" and "3/3" in rows[1]
    assert "sweep" in rows[2] and "2/2" in rows[2]
    assert sum("this machine: CPU" in line for line in screen.lines) == 1
    assert sum("3 done" in line for line in screen.lines) == 1
    assert not any("started" in line for line in screen.lines)
    assert screen.cursor_shown


def test_where_the_table_is_higher_than_the_terminal_it_says_where_it_begins(seven: Path) -> None:
    for height in (12, 80):
        line = command(seven, seven, verb="report")[:3]
        code, screen = in_a_terminal([*line, "report", "--output-root", str(seven)], 80, height)
        last = max(number for number, text in enumerate(screen.lines) if text.startswith("report: "))
        told = "".join(screen.lines[last:])
        assert code == 0
        if height == 80:
            assert "lines above" not in told
        else:
            lines = int(told.partition("(the table begins ")[2].partition(" lines above)")[0])
            assert "Method" in screen.lines[last - lines + 1]
