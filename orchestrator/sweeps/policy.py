"""What judges the trials of a sweep, and the policy that lets all of them go on. No Ray, no torch.

A policy hears every epoch's validation macro-F1 and compares the trials of one sweep, only ever within the same stage:
a score of stage 1, where the head alone trains, says little about stage 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

Decision = Literal["go", "wait", "stop"]


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

    def moved(self, waiting: Collection[str]) -> Collection[str]:
        """Those of the `waiting` trials whose decision may have changed since the last call, by what others did.

        A trial that has shown nothing yet goes on in any case. Each trial is known to have changed once only.
        """


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

    def moved(self, waiting: Collection[str]) -> Collection[str]:
        return ()


MakePolicy = Callable[[str], Policy]
"""The policy of a `--scheduler` value."""
