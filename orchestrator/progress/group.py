"""How far a sweep is: its trials together, or the best of them on new seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from orchestrator.progress.pace import Left, Pace, Throughput
from orchestrator.progress.training import ENDED, Status, Training


@dataclass
class Group:
    """Trainings that share a row.

    Args:
        title: what the row is called.
        trainings: by name, those among them that a search has still to choose.
        ends: the epochs after which the planned trainings are expected to end; none where all go to their end.
        at_most: the rule that stops trials may stop any number of them.
        default: the fixed run that serves as a sweep's trial 0, where it runs in the same command.
        best_before: the best score that earlier commands have found.
    """

    title: str
    trainings: dict[str, Training]
    ends: tuple[int, ...] = ()
    at_most: bool = False
    default: Training | None = None
    best_before: float | None = None
    throughput: Throughput = field(default_factory=Throughput)

    def took(self, training: Training, now: float) -> None:
        """A training of the group has ended an epoch."""
        self.throughput.add(now, training.seconds or 0.0, training.rows[0])

    def count(self, *status: Status) -> int:
        return sum(training.status in status for training in self.trainings.values())

    @property
    def status(self) -> Status:
        if self.count(*ENDED) == len(self.trainings):
            return "failed" if self.count("failed") == len(self.trainings) else "done"
        return "waiting" if self.began is None else "running"

    @property
    def began(self) -> float | None:
        return min((t.began for t in self.trainings.values() if t.began is not None), default=None)

    @property
    def ended(self) -> float | None:
        ends = [t.ended for t in self.trainings.values()]
        known = [end for end in ends if end is not None]
        return max(known, default=None) if len(known) == len(ends) else None

    @property
    def best(self) -> float | None:
        """The highest validation macro-F1 of all so far."""
        default = [self.default.best] if self.default is not None else []
        return _highest([self.best_before, *default, *(training.best for training in self.trainings.values())])

    @property
    def scores(self) -> tuple[float, ...]:
        """The best score of each training that has ended, in the order of their ends."""
        over = sorted((t.ended, t.best) for t in self.trainings.values() if t.ended is not None and t.best is not None)
        return tuple(best for _, best in over)

    def expected_ends(self) -> dict[str, int]:
        """The epoch after which each training is expected to end: the furthest one as far as any that was planned."""
        planned = sorted(self.ends, reverse=True)
        over = [training for training in self.trainings.values() if training.status in ENDED]
        for training in over:
            if training.epoch in planned:
                planned.remove(training.epoch)
            elif planned:
                planned.pop()
        alive = sorted((t for t in self.trainings.values() if t.status not in ENDED), key=lambda t: -t.epoch)
        planned += [max(t.config.epochs for t in alive)] * (len(alive) - len(planned)) if alive else []
        expected = {training.name: training.epoch for training in over}
        for training, end in zip(alive, planned, strict=False):
            expected[training.name] = max(training.epoch, min(end, training.config.epochs))
        return expected

    @property
    def epochs(self) -> tuple[int, int]:
        """Epochs that are done, and those that are expected in all."""
        done = sum(training.epoch for training in self.trainings.values())
        return done, max(done, sum(self.expected_ends().values()))

    def work_left(self, pace: Pace) -> Left | None:
        """The seconds of all epochs to come, one after the other; None where nobody knows."""
        expected = self.expected_ends()
        total = Left(0.0, at_most=self.at_most)
        for training in self.trainings.values():
            left = training.work_left(pace, expected[training.name])
            if left is None:
                return None
            total += left
        return total

    def left_now(self, pace: Pace, now: float) -> Left | None:
        """The time on the clock until the group is done; None where nobody knows."""
        return clock_time(self.work_left(pace), self.throughput, now)


def clock_time(work: Left | None, throughput: Throughput, now: float) -> Left | None:
    """The time in which work is done that goes on as before, less the time since the last epoch ended."""
    if work is None or throughput.at_once is None or throughput.last is None:
        return None
    return replace(work, seconds=work.seconds / throughput.at_once).after(now - throughput.last)


def _highest(scores: Iterable[float | None]) -> float | None:
    return max((score for score in scores if score is not None), default=None)
