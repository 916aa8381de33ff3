"""Where a run is to take place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from trainable.base.config import Resources
from trainable.base.errors import ConfigError


@dataclass(frozen=True)
class Hardware:
    """The user's wishes about where things run, and what they put up with; none of it changes what is computed."""

    address: str | None = None
    device: str = "auto"
    workers: int | None = None
    num_cpus: int | None = None
    cpus_per_trial: int | None = None
    gpus_per_trial: float | Literal["auto"] | None = None
    plain: bool = False
    max_concurrent: int | None = None
    deterministic: bool = False
    allow_corrupt: bool = False
    accelerator_type: str = ""

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"--device must be auto, cpu or cuda, not {self.device!r}")
        for name, least in (("workers", 0), ("num_cpus", 1), ("cpus_per_trial", 1), ("gpus_per_trial", 0),
                            ("max_concurrent", 1)):  # fmt: skip
            value = getattr(self, name)
            if value not in (None, "auto") and not value >= least:  # also what is not a number
                raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, not {value:g}")
        if self.gpus_per_trial not in (None, "auto") and self.device == ("cpu" if self.gpus_per_trial else "cuda"):
            raise ConfigError(f"--gpus-per-trial {self.gpus_per_trial:g} goes against --device {self.device}")
        if self.accelerator_type and (self.device == "cpu" or self.gpus_per_trial == 0):
            raise ConfigError(f"--accelerator-type {self.accelerator_type} goes against training on CPUs")
        if self.accelerator_type and not self.address:
            raise ConfigError("--accelerator-type chooses among a cluster's nodes; give its --address, too")
        if self.address and self.num_cpus:
            raise ConfigError("--num-cpus is for a Ray that is started here; a cluster at --address has its own")

    def resources(self, **share: Any) -> Resources:
        """What one training may use and put up with. `share`: the values of `Resources` that say how much it gets."""
        wishes = ("workers", "plain", "deterministic", "allow_corrupt")
        return Resources(**{name: getattr(self, name) for name in wishes}, **share)
