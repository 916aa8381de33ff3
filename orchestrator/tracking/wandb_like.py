"""What W&B and Trackio share: a client's run object for each run, which takes the steps in their order only."""

from __future__ import annotations

from typing import Any

from orchestrator.tracking.tracker import Ending, Epoch, Report, TrackedRun, Tracker


class WandbLike(Tracker):
    """A tracker whose client makes run objects with a `log` method.

    An epoch that was told before is left out. One that an earlier command trained and did not tell is not told later:
    the runs take no step before their last one.
    """

    def __init__(self) -> None:
        self._runs: dict[str, Any] = {}
        self._told: dict[str, int] = {}

    def start(self, run: TrackedRun) -> Any:
        """The client's run, new or going on."""
        raise NotImplementedError

    def finish(self, there: Any, ending: Ending) -> None:
        """Tell the client how its run ended, with the final metrics and files."""
        raise NotImplementedError

    def begin(self, run: TrackedRun) -> None:
        self._run(run)

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        if epoch.number > self._told.get(run.key, 0):
            self._run(run).log(dict(epoch.metrics), step=epoch.number)
            self._told[run.key] = epoch.number

    def end(self, run: TrackedRun, ending: Ending) -> None:
        there = self._run(run)
        for epoch in () if run.resumed else ending.history:
            self.epoch(run, epoch)
        self.finish(there, ending)
        del self._runs[run.key]

    def close(self, report: Report) -> None:
        while self._runs:
            _, there = self._runs.popitem()
            self.finish(there, Ending("KILLED"))

    def _run(self, run: TrackedRun) -> Any:
        if run.key not in self._runs:
            self._runs[run.key] = self.start(run)
        return self._runs[run.key]
