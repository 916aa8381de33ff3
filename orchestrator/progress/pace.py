"""How long epochs take, learned from those that have ended; stages differ by a factor of ten and more."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

REMEMBERED = 9
"""Epochs whose median counts, so that one that had to wait counts little and a faster machine is noticed soon."""
OVERHEAD_SECONDS = 0.2
"""A shorter epoch consists of overhead, and says nothing about a stage with more work."""


@dataclass(frozen=True)
class Left:
    """An estimate of the time that is left.

    Args:
        guessed: a part of it was derived from planned costs, since nobody has been in that stage yet.
        at_most: work that may be stopped early is counted to its end.
    """

    seconds: float
    guessed: bool = False
    at_most: bool = False

    def after(self, seconds: float) -> Left | None:
        """What is left so many seconds later; None where it should be over, since the estimate was wrong then."""
        return replace(self, seconds=self.seconds - seconds) if self.seconds >= seconds else None

    def __add__(self, other: Left) -> Left:
        return Left(self.seconds + other.seconds, self.guessed or other.guessed, self.at_most or other.at_most)


class Pace:
    """Seconds for a planned cost of 1 (see `orchestrator.planning.costs`), by training, by experiment and by stage.

    The first epoch of a training is no sample: it computes and keeps features, or finds them there.
    """

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], deque[float]] = defaultdict(partial(deque, maxlen=REMEMBERED))
        self._work: dict[int, deque[float]] = defaultdict(partial(deque, maxlen=REMEMBERED))

    def saw(self, name: str, experiment: str, stage: int, seconds: float, cost: float) -> None:
        """Learn from an epoch of the training `name` that was not its first."""
        for key in {name, experiment, ""}:
            self._samples[key, stage].append(seconds / cost)
        if seconds >= OVERHEAD_SECONDS:
            self._work[stage].append(seconds / cost)

    def epoch(self, name: str, experiment: str, stage: int, cost: float) -> Left | None:
        """The time that an epoch in `stage` will take; None where nothing is known.

        What this training showed in the stage counts first, then its experiment's other trainings, then all others.
        """
        for key in (name, experiment, ""):
            if (key, stage) in self._samples:
                return Left(statistics.median(self._samples[key, stage]) * cost)
        if not self._work:
            return None
        nearest = min(self._work, key=lambda known: (abs(known - stage), -known))
        return Left(statistics.median(self._work[nearest]) * cost, guessed=stage > nearest)


@dataclass
class Throughput:
    """Work that ends, over the time on the clock: how many trainings advance side by side, whoever pauses."""

    entries: deque[tuple[float, float, int]] = field(default_factory=partial(deque, maxlen=128))

    def add(self, now: float, seconds: float, images: int) -> None:
        """Note that an epoch of so many seconds and training images has ended. The clock starts with the first one:
        what processes need to start says nothing about the epochs to come."""
        if not self.entries:
            self.entries.append((now - seconds, 0.0, 0))
        self.entries.append((now, seconds, images))

    @property
    def at_once(self) -> float | None:
        """Seconds of work in a second; None before two epochs have ended."""
        return self._per_second(1)

    @property
    def images_per_second(self) -> float | None:
        return self._per_second(2)

    @property
    def last(self) -> float | None:
        """When the last epoch ended."""
        return self.entries[-1][0] if self.entries else None

    def _per_second(self, place: int) -> float | None:
        known = list(self.entries)
        if len(known) < 3 or known[-1][0] <= known[0][0]:
            return None
        return sum(entry[place] for entry in known[1:]) / (known[-1][0] - known[0][0]) or None


def stages_left(starts: Iterable[int], epochs: int, done: int) -> dict[int, int]:
    """How many epochs are to come in each stage, when `done` of `epochs` are done.

    Args:
        starts: the epochs (from 0) at which stages 1, 2 and 3 begin.
    """
    bounds = [*(min(start, epochs) for start in starts), epochs]
    left = {stage: max(0, end - max(start, done)) for stage, (start, end) in enumerate(pairwise(bounds), 1)}
    return {stage: count for stage, count in left.items() if count}
