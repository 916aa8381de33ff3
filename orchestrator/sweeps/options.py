"""What a sweep is to do, as the command line says it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from orchestrator.sweeps.policies import SCHEDULERS
from orchestrator.sweeps.sampling import SAMPLES
from trainable.base.errors import ConfigError

SEARCHES = ("sobol", "random", "optuna")


@dataclass(frozen=True)
class SweepOptions:
    """What is swept and how.

    `num_samples` counts the default configuration; None is 16, and a grid's own size. `confirm` is on how many new
    seeds the best are run again. `deadline`, of `time.monotonic`, is when the budget is spent. `option` is what
    named the space, for messages.
    """

    space: str = "lr"
    num_samples: int | None = None
    search: str = "sobol"
    scheduler: str = "halving"
    confirm: int = 5
    deadline: float | None = None
    option: str = "--space"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("--search", self.search, SEARCHES),
            ("--scheduler", self.scheduler, SCHEDULERS),
        ):
            if value not in known:
                raise ConfigError(f"{name} must be {', '.join(known[:-1])} or {known[-1]}, not {value!r}")
        if self.search == "optuna" and find_spec("optuna") is None:
            raise ConfigError("--search optuna needs a package that is not installed: pip install optuna")
        if self.num_samples is not None and self.num_samples < 2:
            raise ConfigError(f"--num-samples must be at least 2 (the default is one of them), not {self.num_samples}")
        if self.confirm < 0 or self.confirm == 1:
            raise ConfigError(f"--confirm must be 0, or at least 2 seeds, not {self.confirm}")

    @property
    def where(self) -> str:
        """How messages name the space."""
        return f"{self.option} {self.space}"

    @property
    def samples(self) -> int:
        """Draws, the default's place among them."""
        return self.num_samples or SAMPLES
