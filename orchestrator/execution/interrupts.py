"""What Ctrl-C, SIGTERM and a terminal that is closed do to a run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

INTERRUPTED = 130
"""The exit code of a process that the user interrupted."""

HANGUP = None if sys.platform == "win32" else signal.SIGHUP
"""What the processes of a terminal get when it is closed."""


class Interrupts:
    """What ends a run before its time, from a signal or from any thread.

    Args:
        stop: set where the epochs in hand are to be the last.
        say: tells the user.
        leave: is called before the process ends at once.
    """

    def __init__(self, stop: threading.Event, say: Callable[[str], None], leave: Callable[[], None]) -> None:
        self.stop, self._say, self._leave = stop, say, leave

    def ask(self) -> None:
        """Let the run end when the epochs in hand are saved."""
        if not self.stop.is_set():
            self.stop.set()
            with suppress(Exception):  # a message must not keep the epochs from being saved
                self._say("stopping when the epochs in hand are saved; once more to stop at once and lose them")

    def end(self) -> None:
        """End the process at once; the epochs in hand are lost."""
        try:
            self._leave()
        finally:
            os._exit(INTERRUPTED)


@contextmanager
def graceful_interrupts(
    stop: threading.Event, say: Callable[[str], None], leave: Callable[[], None]
) -> Iterator[Interrupts]:
    """The first signal sets `stop`, so that the epochs in hand are finished. The second one ends the process at once,
    after `leave`; those epochs are lost.

    A terminal that is closed counts as a first signal and never as a second one, since the system and the shell both
    tell of it. Under `nohup`, which ignores that, the run goes on.
    """
    interrupts = Interrupts(stop, say, leave)

    def handle(number: int, frame: Any) -> None:
        if not stop.is_set():
            interrupts.ask()
        elif number != HANGUP:
            interrupts.end()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN:
        numbers.append(HANGUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        with _hangups(hold=False):
            yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hangups_held_back() -> AbstractContextManager[None]:
    """This process hears of a closed terminal in `graceful_interrupts` or when this block ends, and the processes that
    it starts here never do.

    Ray's are among them: they would end with the terminal, and take the epochs in hand with them.
    """
    return _hangups(hold=True)


@contextmanager
def _hangups(*, hold: bool) -> Iterator[None]:
    if HANGUP is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK if hold else signal.SIG_UNBLOCK, {HANGUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
