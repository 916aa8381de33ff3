"""What there is to show of an experiment or a sweep at one moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from orchestrator.progress.pace import Left
from orchestrator.progress.training import Status

Unit = Literal["epochs", "images"]


@dataclass(frozen=True)
class Row:
    """An experiment, a sweep, the confirmation of a sweep, or the decoding of images.

    Args:
        done, total: how far it is, in `unit`.
        stage: of its last epoch; None for what has no stages, and before the first epoch.
        images_per_second: None before anybody knows, and where nothing runs.
        score: the last validation macro-F1, `best` the highest, `scores` all of them: of epochs, and of a sweep's
            trials that have ended.
        elapsed: seconds since its start, or until its end; None before.
        left: the time until its end; None where nobody knows.
        trials: of a sweep: how many are over, how many there are in all, and how many run.
        message: why it failed.
    """

    name: str
    status: Status
    done: int
    total: int
    unit: Unit = "epochs"
    stage: int | None = None
    images_per_second: float | None = None
    score: float | None = None
    scores: tuple[float, ...] = ()
    best: float | None = None
    elapsed: float | None = None
    left: Left | None = None
    trials: tuple[int, int, int] | None = None
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/progress.md says what they mean."""
        values = {name: value for name, value in asdict(self).items() if name not in ("scores", "left", "trials")}
        over, trials, running = self.trials or (None, None, None)
        left = self.left
        return {
            **values,
            "trials": trials,
            "trials_over": over,
            "trials_running": running,
            "seconds_left": None if left is None else left.seconds,
            "seconds_left_guessed": None if left is None else left.guessed,
            "seconds_left_at_most": None if left is None else left.at_most,
        }
