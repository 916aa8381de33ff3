"""Which of a sweep's trials go on: successive halving, the median rule, or all of them (pure: no Ray, no torch).

A policy is told every epoch's validation macro-F1 and holds trials of one sweep against each other, only ever within
the same stage: a score of stage 1, where the head alone trains, says little about stage 3.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, Protocol

from trainable.base.config import TrainConfig

Decision = Literal["go", "wait", "stop"]
SCHEDULERS = ("asha", "none", "median")
TIME_BUDGET = "time budget"
"""Why a trial was stopped that may go on some day."""


@dataclass
class Past:
    """What a trial has shown: its validation macro-F1 and stage, an item an epoch."""

    config: TrainConfig
    order: int
    kept: bool = False
    """The runbook's default: it goes to the end, so that a gain is measured in the same run."""
    scores: list[float] = field(default_factory=list)
    stages: list[int] = field(default_factory=list)
    gone: bool = False

    def best_of_stage(self, epochs: int) -> float:
        """The best score among the first `epochs` epochs that is of the last one's stage."""
        stage = self.stages[epochs - 1]
        pairs = zip(self.scores[:epochs], self.stages[:epochs], strict=True)
        return max(score for score, s in pairs if s == stage)


class Policy(Protocol):
    """How the trials of one sweep are judged; they are known by name."""

    pasts: dict[str, Past]

    def add(self, name: str, config: TrainConfig, *, kept: bool = False) -> None:
        """A trial to come; once more where its configuration was chosen later."""

    def report(self, name: str, scores: Sequence[float], stages: Sequence[int]) -> None:
        """All epochs of a trial so far."""

    def leave(self, name: str) -> None:
        """The trial failed, or will not go on for another reason."""

    def back(self, name: str) -> None:
        """A trial that had left goes on after all."""

    def decision(self, name: str) -> Decision:
        """ "wait": others must come as far first, or a CPU be free with nothing surer to do (`release`)."""

    def release(self, name: str) -> None:
        """A waiting trial goes on although others may still turn out better."""

    def rank(self, name: str) -> tuple[float, ...]:
        """Orders the waiting trials: the least is the first to be released."""

    def why(self, name: str) -> str:
        """Why a trial was stopped, in words."""


class RunToTheEnd:
    """`--scheduler none`."""

    def __init__(self) -> None:
        self.pasts: dict[str, Past] = {}

    def add(self, name: str, config: TrainConfig, *, kept: bool = False) -> None:
        known = self.pasts.get(name)
        self.pasts[name] = Past(config, known.order if known else len(self.pasts), kept)

    def report(self, name: str, scores: Sequence[float], stages: Sequence[int]) -> None:
        past = self.pasts[name]
        past.scores, past.stages = list(scores), list(stages)

    def leave(self, name: str) -> None:
        self.pasts[name].gone = True

    def back(self, name: str) -> None:
        self.pasts[name].gone = False

    def decision(self, name: str) -> Decision:
        return "go"

    def release(self, name: str) -> None:
        pass

    def rank(self, name: str) -> tuple[float, ...]:
        return (self.pasts[name].order,)

    def why(self, name: str) -> str:
        return ""


class Median(RunToTheEnd):
    """`--scheduler median`: in the last stage, stop what is below the median of the others at the same epoch of it.

    A trial is held against the running averages of at least `LEAST_OTHERS` trials (Golovin et al. 2017, Vizier).
    """

    LEAST_OTHERS, GRACE = 3, 1 / 9

    def decision(self, name: str) -> Decision:
        return "stop" if self._median(name) is not None else "go"

    def why(self, name: str) -> str:
        return f"below the others' median ({self._median(name) or 0:.4f}) after epoch {len(self.pasts[name].scores)}"

    def _median(self, name: str) -> float | None:
        """The median of the others, where the trial is below it."""
        past = self.pasts[name]
        start = past.config.stage_starts[-1]
        within = len(past.scores) - start
        if past.kept or within < max(1, self.GRACE * (past.config.epochs - start)):
            return None
        others = [p.scores[p.config.stage_starts[-1] :][:within] for n, p in self.pasts.items() if n != name]
        # not fmean: of equal scores it may lie an ulp above them, and a tie would be stopped
        averages = [statistics.mean(scores) for scores in others if len(scores) == within]
        if len(averages) < self.LEAST_OTHERS:
            return None
        median = statistics.median(averages)
        return median if past.best_of_stage(len(past.scores)) < median else None


@dataclass(frozen=True)
class Rung:
    """A place where trials are held against each other; `keep` of all of the sweep's go on."""

    epochs: int
    keep: float


@cache
def rungs(config: TrainConfig) -> tuple[Rung, ...]:
    """The end of the stage before the last, and a ninth and a third of the last stage; a probe has no stage before.

    The first one is lenient: it lies where the frozen stages end, whose scores say less about the end of stage 3.
    """
    start = config.stage_starts[-1]
    length = config.epochs - start
    places = [(start, 3 / 4), (start + math.ceil(length / 9), 1 / 4), (start + math.ceil(length / 3), 1 / 8)]
    found = [Rung(epochs, keep) for epochs, keep in places if 0 < epochs < config.epochs]
    return tuple(rung for i, rung in enumerate(found) if i + 1 == len(found) or rung.epochs < found[i + 1].epochs)


class Halving(RunToTheEnd):
    """`--scheduler asha`: successive halving that neither waits idly nor decides early.

    ASHA (Li et al. 2020) decides on what has arrived at a rung, so the first trials always go on. Here the number of
    trials is known, so a trial goes on when it is sure to be among the best, stops when it is sure not to be, and waits
    in between; where a CPU would be idle, the best of the waiting goes on, and may still be stopped later.
    """

    LEAST_KEPT = 2
    """The top two are confirmed beside the default, which is left out of the ranks and takes nobody's place."""

    def __init__(self) -> None:
        super().__init__()
        self.at_rungs: dict[str, list[float]] = {}
        self.released: set[tuple[str, int]] = set()
        self.stopped: dict[str, int] = {}

    def add(self, name: str, config: TrainConfig, *, kept: bool = False) -> None:
        super().add(name, config, kept=kept)
        self.at_rungs[name] = []

    def report(self, name: str, scores: Sequence[float], stages: Sequence[int]) -> None:
        super().report(name, scores, stages)
        past = self.pasts[name]
        reached = [rung for rung in rungs(past.config) if rung.epochs <= len(scores)]
        self.at_rungs[name] = [past.best_of_stage(rung.epochs) for rung in reached]

    def decision(self, name: str) -> Decision:
        if self.pasts[name].kept:
            return "go"
        reached = len(self.at_rungs[name])
        for rung in range(reached):
            if self._better(name, rung) >= self._room(name, rung):
                self.stopped.setdefault(name, rung)
                return "stop"
        last = reached - 1
        if reached == 0 or (name, last) in self.released:
            return "go"
        return "go" if self._better(name, last) + self._to_come(last) < self._room(name, last) else "wait"

    def release(self, name: str) -> None:
        self.released.add((name, len(self.at_rungs[name]) - 1))

    def rank(self, name: str) -> tuple[float, ...]:
        order, last = self.pasts[name].order, len(self.at_rungs[name]) - 1
        return (self._better(name, last), -last, order) if last >= 0 else (0, 0, order)

    def why(self, name: str) -> str:
        past, rung = self.pasts[name], self.stopped[name]
        epochs = rungs(past.config)[rung].epochs
        room = self._room(name, rung)
        return f"not among the best {room} of {self._judged} in stage {past.stages[epochs - 1]}, epoch {epochs}"

    @property
    def _judged(self) -> int:
        return sum(not past.kept for past in self.pasts.values())

    def _room(self, name: str, rung: int) -> int:
        """How many go on from this rung."""
        keep = rungs(self.pasts[name].config)[rung].keep
        return max(self.LEAST_KEPT, math.ceil(keep * self._judged))

    def _better(self, name: str, rung: int) -> int:
        """How many came out better at this rung; of two alike, the one that was drawn first."""
        mine = (self.at_rungs[name][rung], -self.pasts[name].order)
        others = ((s[rung], -self.pasts[n].order) for n, s in self._judged_scores() if len(s) > rung and n != name)
        return sum(other > mine for other in others)

    def _judged_scores(self) -> list[tuple[str, list[float]]]:
        return [(name, scores) for name, scores in self.at_rungs.items() if not self.pasts[name].kept]

    def _to_come(self, rung: int) -> int:
        """How many may still arrive there; a trial of few epochs has fewer rungs."""
        waited_for = (n for n, s in self._judged_scores() if len(s) <= rung < len(rungs(self.pasts[n].config)))
        return sum(not self.pasts[name].gone and name not in self.stopped for name in waited_for)


def make_policy(scheduler: str) -> Policy:
    """The policy of a `--scheduler` value."""
    return {"asha": Halving, "median": Median, "none": RunToTheEnd}[scheduler]()
