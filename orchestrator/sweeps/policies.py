"""Which trials of a sweep go on, by the value of `--scheduler`. No Ray, no torch."""

from __future__ import annotations

import statistics
from collections.abc import Collection

from orchestrator.sweeps.halving import Halving
from orchestrator.sweeps.policy import Decision, Policy, RunToTheEnd

SCHEDULERS = ("halving", "asha", "median", "none")


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

    def moved(self, waiting: Collection[str]) -> Collection[str]:
        return list(waiting)

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


def make_policy(scheduler: str) -> Policy:
    """The policy of a `--scheduler` value other than `asha`, which is Ray's own (`orchestrator.execution.asha`)."""
    return {"halving": Halving, "median": Median, "none": RunToTheEnd}[scheduler]()
