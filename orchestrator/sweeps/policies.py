"""Which trials of a sweep go on: successive halving, the median rule, or all of them. No Ray, no torch.

A policy hears every epoch's validation macro-F1 and compares the trials of one sweep, only ever within the same stage:
a score of stage 1, where the head alone trains, says little about stage 3.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, Protocol

from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

Decision = Literal["go", "wait", "stop"]
SCHEDULERS = ("halving", "asha", "median", "none")


@dataclass
class Contender:
    """A trial as its policy sees it.

    Args:
        order: its place among the trials, in the order of drawing.
        exempt: the trial is the runbook's default. It goes to its end, so that a gain is measured in the same run.
        left: the trial will show nothing more: it failed, ended, or was stopped for another reason.
    """

    config: TrainConfig
    order: int
    exempt: bool = False
    history: TrialHistory = field(default_factory=TrialHistory)
    left: bool = False


class Policy(Protocol):
    """How the trials of one sweep are judged. Trials are known by their names."""

    contenders: dict[str, Contender]

    def add(self, name: str, config: TrainConfig, *, exempt: bool = False) -> None:
        """Take in a trial that is to come; once more where its configuration was chosen later."""

    def report(self, name: str, history: TrialHistory) -> None:
        """Take note of all epochs of a trial so far."""

    def leave(self, name: str) -> None:
        """Stop waiting for a trial: it failed, or will not go on for another reason."""

    def decision(self, name: str) -> Decision:
        """Say whether a trial goes on. "wait": others must come as far first, or a CPU be idle (see `release`)."""

    def release(self, name: str) -> None:
        """Let a waiting trial go on although others may still turn out better."""

    def rank(self, name: str) -> tuple[float, ...]:
        """Order the waiting trials: the least is the first to be released."""

    def why(self, name: str) -> str:
        """Say in words why a trial was stopped."""


class RunToTheEnd:
    """`--scheduler none`: every trial goes to its end."""

    def __init__(self) -> None:
        self.contenders: dict[str, Contender] = {}

    def add(self, name: str, config: TrainConfig, *, exempt: bool = False) -> None:
        known = self.contenders.get(name)
        self.contenders[name] = Contender(config, known.order if known else len(self.contenders), exempt)

    def report(self, name: str, history: TrialHistory) -> None:
        # NaN would be no worse than any score.
        scores = tuple(0.0 if math.isnan(score) else score for score in history.scores)
        self.contenders[name].history = replace(history, scores=scores)

    def leave(self, name: str) -> None:
        self.contenders[name].left = True

    def decision(self, name: str) -> Decision:
        return "go"

    def release(self, name: str) -> None:
        pass

    def rank(self, name: str) -> tuple[float, ...]:
        return (self.contenders[name].order,)

    def why(self, name: str) -> str:
        return ""


class Median(RunToTheEnd):
    """`--scheduler median`: in the last stage, stop a trial below the median of the others at the same epoch of it.

    A trial is compared with the running averages of at least `LEAST_OTHERS` trials (Golovin et al. 2017, Vizier).
    """

    LEAST_OTHERS, GRACE = 3, 1 / 9

    def decision(self, name: str) -> Decision:
        return "stop" if self._median_above(name) is not None else "go"

    def why(self, name: str) -> str:
        epochs = len(self.contenders[name].history)
        return f"below the others' median ({self._median_above(name) or 0:.4f}) after epoch {epochs}"

    def _median_above(self, name: str) -> float | None:
        """The median of the others, where the trial is below it."""
        mine = self.contenders[name]
        start = mine.config.stage_starts[-1]
        within = len(mine.history) - start
        if mine.exempt or within < max(1, self.GRACE * (mine.config.epochs - start)):
            return None
        others = [other for other_name, other in self.contenders.items() if other_name != name]
        last_stages = [other.history.scores[other.config.stage_starts[-1] :][:within] for other in others]
        # not fmean: of equal scores it may lie an ulp above them, and a tie would be stopped
        averages = [statistics.mean(scores) for scores in last_stages if len(scores) == within]
        if len(averages) < self.LEAST_OTHERS:
            return None
        median = statistics.median(averages)
        return median if mine.history.best_of_stage(len(mine.history)) < median else None


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

    def add(self, name: str, config: TrainConfig, *, exempt: bool = False) -> None:
        super().add(name, config, exempt=exempt)
        self.at_rungs[name] = []

    def report(self, name: str, history: TrialHistory) -> None:
        super().report(name, history)
        history = self.contenders[name].history
        reached = [rung for rung in rungs(self.contenders[name].config) if rung.epochs <= len(history)]
        self.at_rungs[name] = [history.best_of_stage(rung.epochs) for rung in reached]

    def decision(self, name: str) -> Decision:
        if self.contenders[name].exempt:
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
        order, last = self.contenders[name].order, len(self.at_rungs[name]) - 1
        return (self._better(name, last), -last, order) if last >= 0 else (0, 0, order)

    def why(self, name: str) -> str:
        contender, rung = self.contenders[name], self.stopped[name]
        epochs = rungs(contender.config)[rung].epochs
        room, stage = self._room(name, rung), contender.history.stages[epochs - 1]
        return f"not among the best {room} of {len(list(self._ranked()))} in stage {stage}, epoch {epochs}"

    def _ranked(self) -> Iterator[str]:
        """The names of the trials that are compared: all but the default."""
        return (name for name, contender in self.contenders.items() if not contender.exempt)

    def _room(self, name: str, rung: int) -> int:
        """How many trials go on from this rung."""
        keep = rungs(self.contenders[name].config)[rung].keep
        return max(self.LEAST_KEPT, math.ceil(keep * len(list(self._ranked()))))

    def _better(self, name: str, rung: int) -> int:
        """How many trials came out better at this rung; of two alike, the one that was drawn first."""

        def standing(trial: str) -> tuple[float, int]:
            return self.at_rungs[trial][rung], -self.contenders[trial].order

        arrived = [other for other in self._ranked() if len(self.at_rungs[other]) > rung and other != name]
        return sum(standing(other) > standing(name) for other in arrived)

    def _to_come(self, rung: int) -> int:
        """How many trials may still arrive at this rung; a trial of few epochs has fewer rungs."""

        def coming(name: str) -> bool:
            contender = self.contenders[name]
            on_its_way = len(self.at_rungs[name]) <= rung < len(rungs(contender.config))
            return on_its_way and not contender.left and name not in self.stopped

        return sum(coming(name) for name in self._ranked())


MakePolicy = Callable[[str], Policy]
"""The policy of a `--scheduler` value."""


def make_policy(scheduler: str) -> Policy:
    """The policy of a `--scheduler` value other than `asha`, which is Ray's own (`orchestrator.execution.asha`)."""
    return {"halving": Halving, "median": Median, "none": RunToTheEnd}[scheduler]()
