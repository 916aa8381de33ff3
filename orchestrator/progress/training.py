"""How far one training is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.planning.costs import stage_cost
from orchestrator.planning.steps import TrainingStep
from orchestrator.progress.pace import Left, Pace, stages_left
from orchestrator.progress.place import DeviceTime, Place
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

Status = Literal["waiting", "running", "paused", "done", "stopped", "failed"]
ENDED: tuple[Status, ...] = ("done", "stopped", "failed")


@dataclass
class Training:
    """A training as its events have shown it.

    Args:
        experiment: the experiment that it belongs to, as a trial does.
        rows: images in train, val and test.
        epoch: how many epochs are done, those of earlier commands among them.
        scores: the validation macro-F1 of each.
        seconds: of the last epoch.
        began, last, ended: when it started in this command, was last heard of, and ended.
        place: where its last epoch was trained.
        had: the CPU or GPU time that it has taken in this command.
    """

    name: str
    experiment: str
    config: TrainConfig
    rows: Sequence[int]
    status: Status = "waiting"
    epoch: int = 0
    stage: int | None = None
    scores: tuple[float, ...] = ()
    seconds: float | None = None
    began: float | None = None
    last: float | None = None
    ended: float | None = None
    place: Place | None = None
    had: DeviceTime = field(default_factory=DeviceTime)

    @classmethod
    def of(cls, step: TrainingStep, name: str = "") -> Training:
        """The training that a step announces. `name` is for one that a search will choose and `step` stands for."""
        return cls(name or step.name, step.experiment.name, step.config, step.rows)

    def start(self, now: float) -> None:
        self.status, self.last, self.ended = "running", now, None
        self.began = now if self.began is None else self.began
        self.had.start(now)

    def take(self, row: Mapping[str, Any], now: float, pace: Pace) -> None:
        """Take in an epoch that has ended (see `RunEvents.epoch`)."""
        history = TrialHistory.from_json(row)
        self.place = Place.of(row["place"]) if row.get("place") else self.place
        self.had.count(self.place, now)
        self.last, self.seconds = now, float(row["seconds"])
        self.epoch, self.stage = int(row["epoch"]), int(row["stage"])
        self.scores = history.scores or (*self.scores, float(row["val_macro_f1"]))
        if self.epoch > 1 and self.seconds > 0:
            cost = stage_cost(self.stage, self.rows)
            pace.saw(self.name, self.experiment, self.stage, self.seconds, cost)

    def pause(self, now: float) -> None:
        self.status = "paused"
        self.had.stop(self.place, now)

    def end(self, status: Status, now: float) -> None:
        self.status, self.last, self.ended = status, now, now
        self.had.stop(self.place, now)

    @property
    def best(self) -> float | None:
        """The highest validation macro-F1 so far."""
        return max((score for score in self.scores if score == score), default=None)  # NaN equals nothing

    @property
    def images_per_second(self) -> float | None:
        """Training images over the time of the last epoch, its validation included."""
        return self.rows[0] / self.seconds if self.seconds else None

    def work_left(self, pace: Pace, ends: int | None = None) -> Left | None:
        """The time that its epochs to come take, the one in hand from its beginning; None where nobody knows.

        Args:
            ends: the epoch after which it is expected to end, where that is not its last.
        """
        total = Left(0.0)
        if self.status in ENDED:
            return total
        epochs = self.config.epochs if ends is None else ends
        for stage, count in stages_left(self.config.stage_starts, epochs, self.epoch).items():
            one = pace.epoch(self.name, self.experiment, stage, stage_cost(stage, self.rows))
            if one is None:
                return None
            total += Left(one.seconds * count, one.guessed)
        return total

    def left_now(self, pace: Pace, now: float) -> Left | None:
        """As `work_left`, less the time since the epoch in hand began."""
        left = self.work_left(pace)
        if left is None or self.last is None or self.status != "running":
            return left
        return left.after(now - self.last)
