"""What Tune records of each trial: result.json and progress.csv. Curves are the trackers' (`orchestrator.tracking`)."""

from __future__ import annotations

from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback, LoggerCallback


def loggers() -> list[LoggerCallback]:
    """Those that Tune adds by itself where `TUNE_DISABLE_AUTO_CALLBACK_LOGGERS` is not set, TensorBoard's aside."""
    return [JsonLoggerCallback(), CSVLoggerCallback()]
