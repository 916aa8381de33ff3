"""How far an evaluation of FaceAPI is."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.progress.pace import Left, Pace
from orchestrator.progress.training import Status


@dataclass
class Evaluation:
    """An evaluation as its events have shown it.

    Args:
        total: photos in all.
        done: those that are evaluated, in earlier commands too.
        kept: those that earlier commands had evaluated.
        began, last, ended: when it started in this command, last came further, and ended.
    """

    name: str
    total: int
    status: Status = "waiting"
    done: int = 0
    kept: int | None = None
    began: float | None = None
    last: float | None = None
    ended: float | None = None

    def start(self, now: float) -> None:
        self.status, self.began, self.last, self.ended = "running", now, now, None

    def take(self, done: int, total: int, now: float) -> None:
        """Take in how many photos are done. What is told first was there before."""
        if self.kept is None:
            self.kept = done
        elif done > self.done:
            self.last = now
        self.done, self.total = done, total

    def end(self, status: Status, now: float) -> None:
        self.status, self.ended = status, now

    @property
    def images_per_second(self) -> float | None:
        """Photos evaluated in this command, over the time since its start."""
        fresh = self.done - (self.kept or 0)
        if self.began is None or self.last is None or not fresh or self.last <= self.began:
            return None
        return fresh / (self.last - self.began)

    def work_left(self, pace: Pace) -> Left | None:
        """Evaluations run beside the trainings and take no turn of theirs; None as long as nobody knows how fast."""
        return None if self.ended is None and self.images_per_second is None else Left(0.0)

    def left_now(self, pace: Pace, now: float) -> Left | None:
        """The time until its end; None where nobody knows."""
        rate = self.images_per_second
        if rate is None or self.last is None:
            return None
        return Left((self.total - self.done) / rate).after(now - self.last)
