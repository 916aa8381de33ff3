"""Successive halving among the trials of a sweep. No Ray, no torch.

An answer takes a time that hardly grows with the number of trials: those of a rung are kept in order.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache

from orchestrator.sweeps.policy import Decision, RunToTheEnd
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory


@dataclass(frozen=True)
class Rung:
    """A number of epochs after which trials are compared; the share `keep` of the sweep's trials goes on."""

    epochs: int
    keep: float


@cache
def rungs(config: TrainConfig) -> tuple[Rung, ...]:
    """The end of the stage before the last, and a ninth and a third of the last stage; a probe has no stage before.

    The first rung keeps most trials: it lies where the frozen stages end, whose scores say less about stage 3.
    """
    start = config.stage_starts[-1]
    length = config.epochs - start
    places = [(start, 3 / 4), (start + math.ceil(length / 9), 1 / 4), (start + math.ceil(length / 3), 1 / 8)]
    found = [Rung(epochs, keep) for epochs, keep in places if 0 < epochs < config.epochs]
    return tuple(rung for i, rung in enumerate(found) if i + 1 == len(found) or rung.epochs < found[i + 1].epochs)


@dataclass
class _Arrivals:
    """The trials of a rung.

    Args:
        standings: score, order of drawing (negative) and name of those that have come as far, the best last.
        coming: how many may still arrive; a trial of few epochs has fewer rungs.
        keeps: the shares of trials that go on from here, which differ where the trials' stages do.
    """

    standings: list[tuple[float, int, str]] = field(default_factory=list)
    coming: int = 0
    keeps: set[float] = field(default_factory=set)


class Halving(RunToTheEnd):
    """`--scheduler halving`: successive halving that neither waits idly nor decides early.

    ASHA (Li et al. 2020) decides on the trials that have arrived at a rung, so the first ones always go on. Here the
    number of trials is known. A trial goes on when it is sure to be among the best, stops when it is sure not to be,
    and waits in between. Where a CPU would be idle, the best of the waiting trials goes on; it may still be stopped
    later.
    """

    LEAST_KEPT = 2
    """The top two are confirmed beside the default, which is left out of the ranks and takes nobody's place."""

    def __init__(self) -> None:
        super().__init__()
        self.at_rungs: dict[str, list[float]] = {}
        self.released: set[tuple[str, int]] = set()
        self.stopped: dict[str, int] = {}
        self._rungs = defaultdict[int, _Arrivals](_Arrivals)
        self._judged = 0
        """How many trials are compared: all but the default."""
        self._moved: set[str] = set()

    def add(self, name: str, config: TrainConfig, *, exempt: bool = False) -> None:
        if name in self.contenders:
            self._count(name, -1)
        super().add(name, config, exempt=exempt)
        self.at_rungs[name] = []
        self._count(name, 1)
        self._moved.update(self.contenders)  # there is room for more of them

    def report(self, name: str, history: TrialHistory) -> None:
        super().report(name, history)
        history, before = self.contenders[name].history, self.at_rungs[name]
        reached = [rung for rung in rungs(self.contenders[name].config) if rung.epochs <= len(history)]
        found = [history.best_of_stage(rung.epochs) for rung in reached]
        if found == before:
            return
        self._count(name, -1)
        self.at_rungs[name] = found
        self._count(name, 1)
        if found[: len(before)] == before:
            self._note_moved(range(len(before), len(found)))
        else:  # the trial goes on from an earlier epoch
            self._moved.update(self.contenders)

    def leave(self, name: str) -> None:
        self._count(name, -1)
        super().leave(name)
        self._count(name, 1)
        self._note_moved(range(len(self.at_rungs[name]), len(rungs(self.contenders[name].config))))

    def decision(self, name: str) -> Decision:
        if self.contenders[name].exempt:
            return "go"
        reached = len(self.at_rungs[name])
        for rung in range(reached):
            if self._better(name, rung) >= self._room(name, rung):
                self._note_stopped(name, rung)
                return "stop"
        last = reached - 1
        if reached == 0 or (name, last) in self.released:
            return "go"
        return "go" if self._better(name, last) + self._rungs[last].coming < self._room(name, last) else "wait"

    def release(self, name: str) -> None:
        self.released.add((name, len(self.at_rungs[name]) - 1))

    def rank(self, name: str) -> tuple[float, ...]:
        order, last = self.contenders[name].order, len(self.at_rungs[name]) - 1
        return (self._better(name, last), -last, order) if last >= 0 else (0, 0, order)

    def why(self, name: str) -> str:
        contender, rung = self.contenders[name], self.stopped[name]
        epochs = rungs(contender.config)[rung].epochs
        room, stage = self._room(name, rung), contender.history.stages[epochs - 1]
        return f"not among the best {room} of {self._judged} in stage {stage}, epoch {epochs}"

    def moved(self, waiting: Collection[str]) -> Collection[str]:
        found = [name for name in self._moved if name in waiting]
        self._moved.clear()
        return found

    def _room(self, name: str, rung: int) -> int:
        """How many trials go on from this rung."""
        return self._place(rungs(self.contenders[name].config)[rung].keep)

    def _place(self, keep: float) -> int:
        return max(self.LEAST_KEPT, math.ceil(keep * self._judged))

    def _better(self, name: str, rung: int) -> int:
        """How many trials came out better at this rung; of two alike, the one that was drawn first."""
        standings = self._rungs[rung].standings
        return len(standings) - bisect_right(standings, self._standing(name, rung))

    def _standing(self, name: str, rung: int) -> tuple[float, int, str]:
        return self.at_rungs[name][rung], -self.contenders[name].order, name

    def _note_stopped(self, name: str, rung: int) -> None:
        if name not in self.stopped:
            self._count(name, -1)
            self.stopped[name] = rung
            self._count(name, 1)
            self._note_moved(range(len(self.at_rungs[name]), len(rungs(self.contenders[name].config))))

    def _count(self, name: str, sign: int) -> None:
        """Count a trial where it is compared and where it may still arrive, or (-1) take it out again."""
        contender = self.contenders[name]
        if contender.exempt:
            return
        self._judged += sign
        for number, rung in enumerate(rungs(contender.config)):
            arrivals = self._rungs[number]
            arrivals.keeps.add(rung.keep)
            if number >= len(self.at_rungs[name]):
                arrivals.coming += sign * (not contender.left and name not in self.stopped)
            elif sign > 0:
                insort(arrivals.standings, self._standing(name, number))
            else:
                del arrivals.standings[bisect_left(arrivals.standings, self._standing(name, number))]

    def _note_moved(self, changed: Collection[int]) -> None:
        """Note the trials whose decision one more arrival at these rungs, or one less to come, may have changed: the
        best of those that have no room, and the last of those that are sure of it."""
        for number in changed:
            arrivals = self._rungs[number]
            for room in map(self._place, arrivals.keeps):
                for better in (room, room - arrivals.coming - 1):
                    if 0 <= better < len(arrivals.standings):
                        self._moved.add(arrivals.standings[-1 - better][-1])
