"""`--detach`: the same command in a process of its own, which no terminal and no connection can end."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console

from orchestrator.cli.own_command import own_command
from orchestrator.cli.terminal import say
from orchestrator.execution.folder_board import FolderBoard
from orchestrator.execution.interrupts import HANGUP
from orchestrator.execution.lock import only_one
from orchestrator.execution.notice import Notice
from orchestrator.planning.paths import ProjectPaths
from trainable.base.text import visible

LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
"""A run may wait for the first node of a cluster that grows; nobody waits for that here."""


def go_on_in_background(paths: ProjectPaths, address: str | None, console: Console) -> int:
    """Start the command of this process again without `--detach`, and wait until its run is under way.

    Returns:
        0 where it is. Where it has ended already, its exit code; what it has said is printed.

    Raises:
        ConfigError: another run is writing to the output folder, or nobody can.
    """
    with only_one(paths):
        pass
    paths.logs.mkdir(parents=True, exist_ok=True)
    log = paths.logs / f"detached-{datetime.now():%Y%m%d-%H%M%S-%f}.txt"
    with log.open("xb") as stream, _hangups_ignored():
        child = subprocess.Popen(
            [sys.executable, *(part for part in sys.orig_argv[1:] if part.partition("=")[0] != "--detach")],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    try:
        notice = _under_way(child, paths)
    except KeyboardInterrupt:
        child.terminate()
        raise
    if notice is None:
        return _ended(child, log)
    place = shlex.join(["--output-root", str(paths.output.resolve())])
    say(console, f"run {notice.run} goes on in the background (process {child.pid}); what it says: {log}")
    for verb, what in (("status", "look at it"), ("stop", "end it")):
        say(console, f"{what}: python -m orchestrator {verb} {place}")
    if address not in (None, "auto"):
        say(console, f"from elsewhere: python -m orchestrator status --address {address}")
    return 0


@contextmanager
def _hangups_ignored() -> Iterator[None]:
    """Processes that start here do not hear of a closed terminal, as under nohup."""
    if HANGUP is None:
        yield
        return
    before = signal.signal(HANGUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(HANGUP, before)


def _under_way(child: subprocess.Popen[bytes], paths: ProjectPaths) -> Notice | None:
    """What the child's run says of itself once it is under way; None where it has ended."""
    since, board = time.monotonic(), FolderBoard(paths)
    while child.poll() is None:
        for seen in board.seen():
            notice, waited = seen.notice, time.monotonic() - since
            begun = notice.state != "starting" or waited >= PATIENCE_SECONDS
            if notice.pid == child.pid and begun and notice.state != "ended":
                return notice
        time.sleep(LOOK_SECONDS)
    return None


def _ended(child: subprocess.Popen[bytes], log: Path) -> int:
    code = child.returncode
    text = visible(log.read_text(encoding="utf-8", errors="replace"), keep="\n")
    print(text, end="", file=sys.stderr if code else sys.stdout)
    if code < 0:
        print(f"the run in the background was ended by signal {-code} ({own_command()})", file=sys.stderr)
        return 128 - code
    return code
