"""Ctrl-C outside of a run, and a terminal whose cursor was hidden."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOW_CURSOR = b"\x1b[?25h"
INTERRUPTED_IMPORT = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
sys.argv = ["orchestrator", "plan"]
from orchestrator.__main__ import main
main()
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """A process of Python with SIGINT as a terminal would leave it; a background job of a shell inherits it ignored."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "module", ["rich.markup", "cyclopts", "pydantic", "orchestrator.cli.app", "orchestrator.planning.planner"]
)
def test_ctrl_c_while_the_program_is_loaded(module: str) -> None:
    process = start("-c", INTERRUPTED_IMPORT.format(module=module))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_ctrl_c_outside_of_a_run(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    os.mkfifo(recipe)
    process = start("-m", "orchestrator", "plan", "--config", str(recipe))
    with recipe.open("w"):  # opens when the program opens it; nothing is ever written
        time.sleep(0.5)  # a signal that comes before the program waits for what is written is heard only afterwards
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def on_a_terminal(code: str) -> tuple[int, bytes]:
    """Run Python code with a terminal of its own and both output streams elsewhere: exit code, and what came there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT, stdin=slave, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
    )  # fmt: skip
    code_, seen = process.wait(60), b""
    os.set_blocking(master, False)
    os.close(slave)
    with contextlib.suppress(OSError):  # nothing was written
        seen = os.read(master, 1000)
    os.close(master)
    return code_, seen


def test_the_cursor_is_shown_again_whatever_became_of_the_streams() -> None:
    assert on_a_terminal("from orchestrator.cli.terminal import restore_terminal as r; r()") == (0, SHOW_CURSOR)
    code, seen = on_a_terminal(INTERRUPTED_IMPORT.format(module="orchestrator.cli.app"))
    assert (code, seen) == (130, SHOW_CURSOR)


def test_without_a_terminal_nothing_is_restored() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from orchestrator.cli.terminal import restore_terminal as r; r()"],
        cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True, check=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"", b"")
