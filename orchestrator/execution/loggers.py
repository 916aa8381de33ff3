"""What Tune records of each trial: result.json, progress.csv, and TensorBoard's files from the first result on."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, LoggerCallback, TBXLoggerCallback


def loggers() -> list[LoggerCallback]:
    """Those that Tune adds by itself where `TUNE_DISABLE_AUTO_CALLBACK_LOGGERS` is not set."""
    return [JsonLoggerCallback(), CSVLoggerCallback(), _LateTensorBoard()]


class _LateTensorBoard(LoggerCallback):
    """Tune's own is made before the first trial's process is asked for, and imports torch, which takes seconds."""

    @cached_property
    def _tensorboard(self) -> TBXLoggerCallback:
        return TBXLoggerCallback()

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self._tensorboard.log_trial_result(iteration, trial, result)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._tensorboard.log_trial_end(trial, failed)
