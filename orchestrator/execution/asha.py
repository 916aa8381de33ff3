"""`--scheduler asha`: Ray's own ASHAScheduler as a policy, for those who want it."""

from __future__ import annotations

from dataclasses import dataclass

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from orchestrator.sweeps.policy import Decision, RunToTheEnd
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

REDUCTION_FACTOR = 3


@dataclass(frozen=True)
class _Contestant:
    """As much of a Tune trial as ASHA looks at."""

    trial_id: str


class Asha(RunToTheEnd):
    """Asynchronous successive halving (Li et al. 2020), as Ray decides it.

    The rungs begin with the first epoch of the last stage, since scores of frozen stages say little about it; each is
    three times as long as the one before. Trials are compared at the same epoch, by that epoch's validation macro-F1.
    The default configuration is not stopped, but takes part.
    """

    def __init__(self) -> None:
        super().__init__()
        self._schedulers: dict[int, ASHAScheduler] = {}
        self._known: dict[str, int] = {}
        self._stopped: dict[str, int] = {}

    def add(self, name: str, config: TrainConfig, *, exempt: bool = False) -> None:
        super().add(name, config, exempt=exempt)
        self._known.setdefault(name, 0)

    def report(self, name: str, history: TrialHistory) -> None:
        super().report(name, history)
        contestant, scheduler = _Contestant(name), self._scheduler(self.contenders[name].config)
        for epoch in range(self._known[name] + 1, len(history) + 1):
            if epoch == 1:
                scheduler.on_trial_add(None, contestant)
            result = {"epoch": epoch, "val_macro_f1": history.scores[epoch - 1]}
            action = scheduler.on_trial_result(None, contestant, result)
            if action == TrialScheduler.STOP and epoch < self.contenders[name].config.epochs:
                self._stopped.setdefault(name, epoch)
        self._known[name] = max(self._known[name], len(history))

    def decision(self, name: str) -> Decision:
        return "stop" if name in self._stopped and not self.contenders[name].exempt else "go"

    def why(self, name: str) -> str:
        return f"stopped by ASHA after epoch {self._stopped[name]}"

    def _scheduler(self, config: TrainConfig) -> ASHAScheduler:
        """Trials of different lengths are compared with their like."""
        if config.epochs not in self._schedulers:
            grace = max(1, config.stage_starts[-1] + 1) if config.mode == "finetune" else 1
            self._schedulers[config.epochs] = ASHAScheduler(
                time_attr="epoch",
                metric="val_macro_f1",
                mode="max",
                max_t=config.epochs,
                grace_period=min(grace, config.epochs),
                reduction_factor=REDUCTION_FACTOR,
            )
        return self._schedulers[config.epochs]
