"""What a process does when it is told to end, as machines that are taken back tell all of theirs (no torch)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any


def before_the_end(act: Callable[[], object]) -> None:
    """On SIGTERM `act` is called, in the main thread; then follows what was to follow.

    Only the main thread can listen to signals; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, before)
        try:
            act()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
