"""What Ctrl-C and SIGTERM do to a run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130
"""The exit code of a process that the user interrupted."""


@contextmanager
def graceful_interrupts(stop: threading.Event, say: Callable[[str], None], leave: Callable[[], None]) -> Iterator[None]:
    """The first signal sets `stop`, so that the epochs in hand are finished. The second one ends the process at once,
    after `leave`; those epochs are lost."""

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            leave()
            os._exit(INTERRUPTED)
        stop.set()
        say("stopping when the epochs in hand are saved; once more to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
