"""How far a run is, as a value that travels to those who look from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from orchestrator.progress.pace import Left
from orchestrator.progress.place import Place
from orchestrator.progress.row import Row
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Gpu, Usage


@dataclass(frozen=True)
class Work:
    """A training that runs. `place` is None before its first epoch has ended."""

    name: str
    place: Place | None


@dataclass(frozen=True)
class Wait:
    """Work that waits, and why: so many trials of the sweep `name`, or the one piece of work of this name."""

    name: str
    why: str
    count: int


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    Args:
        rows: what a terminal shows.
        seconds: since its start.
        left: the time until its end; None where nobody knows.
        usage: of the machine that runs the command.
        working, waiting: which trainings run, and where; what waits, and why.
        device_seconds: CPU and GPU time that trainings have had, by device (cpu, cuda).
        price_per_hour: of the machine or cluster, where the command names it.
    """

    rows: tuple[Row, ...]
    seconds: float
    left: Left | None
    usage: Usage
    working: tuple[Work, ...]
    waiting: tuple[Wait, ...]
    device_seconds: Mapping[str, float]
    price_per_hour: float | None = None

    @classmethod
    def of(cls, state: RunState, usage: Usage, now: float, price_per_hour: float | None = None) -> Self:
        """The snapshot of a state."""
        working = tuple(Work(t.name, t.place) for t in state.trainings.values() if t.status == "running")
        waiting = tuple(Wait(name, why, count) for (name, why), count in Counter(state.waits()).items())
        spent: Counter[str] = sum((t.had.seconds(t.place, now) for t in state.trainings.values()), Counter())
        return cls(
            tuple(state.rows(now)), now - state.began, state.left(now), usage, working, waiting, dict(spent),
            price_per_hour,
        )  # fmt: skip

    @property
    def cost(self) -> float | None:
        """What the run has cost so far; None without a price."""
        return None if self.price_per_hour is None else self.seconds / 3600 * self.price_per_hour

    def to_json(self) -> dict[str, Any]:
        """JSON values, without loss; Python's own JSON also knows NaN."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the values of `to_json`."""
        usage = values["usage"]
        return cls(
            rows=tuple(map(_row, values["rows"])),
            seconds=values["seconds"],
            left=_left(values["left"]),
            usage=Usage(**{**usage, "gpus": tuple(Gpu(**gpu) for gpu in usage["gpus"])}),
            working=tuple(map(_work, values["working"])),
            waiting=tuple(Wait(**one) for one in values["waiting"]),
            device_seconds=values["device_seconds"],
            price_per_hour=values["price_per_hour"],
        )


def _work(values: Mapping[str, Any]) -> Work:
    return Work(values["name"], None if values["place"] is None else Place(**values["place"]))


def _row(values: Mapping[str, Any]) -> Row:
    trials = values["trials"]
    return Row(
        **{
            **values,
            "left": _left(values["left"]),
            "scores": tuple(values["scores"]),
            "trials": None if trials is None else (trials[0], trials[1], trials[2]),
        }
    )


def _left(values: Mapping[str, Any] | None) -> Left | None:
    return None if values is None else Left(**values)
