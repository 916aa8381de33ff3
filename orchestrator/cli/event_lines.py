"""A run without a terminal: a line an event, for people (`TextLines`) or for programs (`JsonLines`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import IO, Any

from rich.console import Console

from orchestrator.cli.sentences import sentence, status
from orchestrator.cli.terminal import say
from orchestrator.progress.event import Event
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Machine

SILENCE_SECONDS = 60.0
"""After how long without an event a line says how far the run is."""
_TOLD_OF = 10
"""How many lines at most tell of the images of an evaluation, or of those that are decoded."""
_UNSAID = ("scores", "stages", "total_seconds", "place")


class _Lines:
    """What both kinds of lines have in common."""

    period = 1.0

    def __init__(self, state: RunState, machine: Machine) -> None:
        self.state, self.machine = state, machine
        self._spoke = state.began
        self._told: dict[tuple[str, str], int] = {}

    def open(self, now: float) -> None:
        pass

    def added(self, now: float) -> None:
        pass

    def show(self, event: Event, now: float) -> None:
        if self._worth_telling(event):
            self._event(event, now)
            self._spoke = now

    def tick(self, now: float) -> None:
        if now - self._spoke >= SILENCE_SECONDS:
            self._status(now)
            self._spoke = now

    def close(self, now: float) -> None:
        pass

    def _event(self, event: Event, now: float) -> None:
        raise NotImplementedError

    def _status(self, now: float) -> None:
        raise NotImplementedError

    def _worth_telling(self, event: Event) -> bool:
        """Images are told of a tenth at a time."""
        if event.kind not in ("decoded", "progress"):
            return True
        total = event.values["total"]
        tenth = _TOLD_OF * event.values["done"] // total if total else 0
        known = self._told.get((event.kind, event.name), 0)
        self._told[event.kind, event.name] = tenth
        return bool(tenth > known)


class TextLines(_Lines):
    """A sentence an event, after the date and the time.

    Args:
        clock: the time of day.
    """

    def __init__(
        self, console: Console, state: RunState, machine: Machine, clock: Callable[[], datetime] = datetime.now
    ) -> None:
        super().__init__(state, machine)
        self.console, self.clock = console, clock

    def _event(self, event: Event, now: float) -> None:
        self._say(sentence(event, self.state.row_of(event.name, now)))

    def _status(self, now: float) -> None:
        state = self.state
        self._say(status(state.rows(now), state.left(now), now - state.began, self.machine.usage))

    def _say(self, text: str) -> None:
        say(self.console, f"{self.clock():%Y-%m-%d %H:%M:%S}  {text}")


class JsonLines(_Lines):
    """A JSON object an event; docs/progress.md says what they hold."""

    def __init__(
        self, file: IO[str], state: RunState, machine: Machine, clock: Callable[[], datetime] = datetime.now
    ) -> None:
        super().__init__(state, machine)
        self.file, self.clock = file, clock

    def added(self, now: float) -> None:
        self._status(now)

    def _event(self, event: Event, now: float) -> None:
        values = {key: value for key, value in event.values.items() if key not in _UNSAID}
        name = {"name": event.name} if event.name else {}
        row = self.state.row_of(event.name, now)
        if row is not None and event.kind in ("epoch", "progress"):
            values |= {"images_per_second": row.images_per_second}
            values |= {"seconds_left": None if row.left is None else row.left.seconds}
        if event.kind == "epoch" and event.name in self.state.trainings:
            values |= {"best_val_macro_f1": self.state.trainings[event.name].best}
        write_json_line(self.file, self.clock(), event.kind, {**name, **values})

    def _status(self, now: float) -> None:
        state, left = self.state, self.state.left(now)
        values = {
            "seconds": now - state.began,
            "seconds_left": None if left is None else left.seconds,
            "rows": [row.to_json() for row in state.rows(now)],
            **self.machine.usage.to_json(),
        }
        write_json_line(self.file, self.clock(), "status", values)


def write_json_line(file: IO[str], time: datetime, event: str, values: Mapping[str, Any]) -> None:
    """Write an object in one line, in characters that the file's encoding has; what is no number in JSON is null."""
    record = _plain({"time": time.astimezone().isoformat(timespec="seconds"), "event": event, **values})
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(file, "encoding", None) or "ascii")
    except (LookupError, UnicodeEncodeError):
        text = json.dumps(record, allow_nan=False)
    file.write(f"{text}\n")
    file.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
