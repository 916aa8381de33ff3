"""`status` and `stop`: a run that goes on elsewhere, looked at and ended from outside."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Annotated

from orchestrator.cli.event_lines import write_json_line
from orchestrator.cli.options import RUN
from orchestrator.cli.run_place import RunPlace
from orchestrator.cli.seen_run import print_run, run_values
from orchestrator.cli.terminal import Terminal, say
from orchestrator.execution.notice import Board, Seen, Wish
from trainable.base.command_line import flag
from trainable.base.errors import ConfigError

LOOK_SECONDS = 0.5


def status(
    *,
    place: RunPlace = RunPlace(),
    json: Annotated[bool, flag("A JSON object for each run, for programs (docs/progress.md).", group=RUN)] = False,
) -> None:
    """Show a run from outside: its rows, what runs where, what waits and why. From its output folder, or through the
    head of its cluster."""
    found = place.chosen(place.board())
    console = Terminal()
    for number, seen in enumerate(found):
        if json:
            write_json_line(sys.stdout, datetime.now(), "run", run_values(seen))
            continue
        if number:
            say(console, "")
        print_run(console, seen)


def stop(
    *,
    place: RunPlace = RunPlace(),
    now: Annotated[bool, flag("At once; the epochs in hand are lost.", group=RUN)] = False,
) -> None:
    """End a run as Ctrl-C does: the epochs in hand are saved, and the same command goes on later. Waits until it has
    ended."""
    board = place.board()
    seen = _under_way(place, board)
    wish: Wish = "now" if now else "stop"
    board.ask(seen.notice.run, wish)
    console = Terminal()
    how = "ends at once" if now else "ends when the epochs in hand are saved"
    say(console, f"asked the run in {seen.notice.output} on {seen.notice.host}: it {how}")
    last = _ended(board, seen)
    if last.notice.state != "ended":
        say(console, "it has ended without a word")
    elif last.notice.exit_code == 0:
        say(console, "it had come to its end (exit code 0)")
    else:
        say(console, f"it has ended (exit code {last.notice.exit_code}); go on with: {last.notice.command}")


def _under_way(place: RunPlace, board: Board) -> Seen:
    """The one run that goes on.

    Raises:
        ConfigError: there is none, or more than one.
    """
    running = [seen for seen in place.chosen(board) if seen.goes_on]
    if not running:
        raise ConfigError(f"no run is under way in {place.named}")
    if len(running) > 1:
        names = ", ".join(f"--run {seen.notice.run} ({seen.notice.output})" for seen in running)
        raise ConfigError(f"{len(running)} runs are under way in {place.named}; say which: {names}")
    return running[0]


def _ended(board: Board, asked: Seen) -> Seen:
    """The last that is seen of a run. Another run may have taken its place since."""
    last = asked
    while last.goes_on:
        time.sleep(LOOK_SECONDS)
        found = [seen for seen in board.seen() if seen.notice.run == asked.notice.run]
        if not found:
            return last
        last = found[0]
    return last
