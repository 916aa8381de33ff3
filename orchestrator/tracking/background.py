"""Calls a tracker in a thread of its own, so that one that is slow, down or broken costs a run nothing."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from orchestrator.tracking.tracker import Ending, Epoch, Report, TrackedRun, Tracker
from trainable.base.errors import Failure
from trainable.base.log import LOG
from trainable.base.text import one_line

CALLS = 1000
"""How many calls may wait. A run of 50 epochs makes 52."""
FLUSH_SECONDS = 60.0
"""How long the end of the command waits for the calls that are left."""
PAUSE_SECONDS = 15.0
"""For so long after an error no epoch is told. Each try may take seconds, and a run's end brings all its epochs."""
POLL_SECONDS = 0.2
LONGEST = 160
"""Characters of an error that are shown; the log has all of it."""


class Background(Tracker):
    """Calls `tracker` in a thread.

    What goes wrong is said once, in one line, and written with its traceback to `log`.
    """

    def __init__(
        self, tracker: Tracker, log: Path, *, calls: int = CALLS, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self.tracker, self.title, self.log, self.flush_seconds = tracker, tracker.title, log, flush_seconds
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(calls)
        self._said = False
        self._quiet_until = 0.0
        self._thread = threading.Thread(target=self._work, name=f"tracking-{self.title}", daemon=True)
        self._thread.start()

    def begin(self, run: TrackedRun) -> None:
        self._put(partial(self.tracker.begin, run))

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        self._put(partial(self._epoch, run, epoch))

    def end(self, run: TrackedRun, ending: Ending) -> None:
        self._put(partial(self.tracker.end, run, ending))

    def close(self, report: Report) -> None:
        """Wait until the tracker has taken everything, for `flush_seconds` at most."""
        deadline = time.monotonic() + self.flush_seconds
        for call in (partial(self.tracker.close, report), None):
            while time.monotonic() < deadline:
                try:
                    self._calls.put(call, timeout=POLL_SECONDS)
                    break
                except queue.Full:
                    continue
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(POLL_SECONDS)  # a plain join would keep signals waiting
        if self._thread.is_alive():
            self._say(f"has not taken everything within {self.flush_seconds:.0f} s")

    def _put(self, call: Callable[[], None]) -> None:
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._say(f"is too slow: {self._calls.maxsize} calls wait already")

    def _epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        if time.monotonic() >= self._quiet_until:
            self.tracker.epoch(run, epoch)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException as error:  # some libraries end the process where their server is down
                self._quiet_until = time.monotonic() + PAUSE_SECONDS
                self._say(_reason(error), "".join(traceback.format_exception(error)))

    def _say(self, what: str, details: str = "") -> None:
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {self.title}: {what}\n{details}")
        except OSError:
            pass  # what is wrong with the disk is said by who needs it
        if not self._said:
            self._said = True
            LOG.warning("%s: %s; the run goes on, and its results are on disk (more in %s)", self.title, what, self.log)


def _reason(error: BaseException) -> str:
    """What an error says, in short. Clients of servers wrap the system's word for it several times."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return Failure.of(cause).message
        cause = cause.__cause__ or cause.__context__
    return one_line(Failure.of(error).message, LONGEST)
