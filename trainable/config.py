"""The configuration of one training run: frozen dataclasses, no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from trainable.errors import ConfigError

Mode = Literal["probe", "finetune"]
PARTS = ("train", "val", "test")
IMAGE_SIZE = 160
DEFAULT_SEED = 1337


@dataclass(frozen=True)
class TrainConfig:
    """What decides the numbers a run ends with (runbook sections 4 and 5).

    `lr_backbone` is the rate of everything that trains besides the head; a probe has none. `stage2_epoch` and
    `stage3_epoch` count from 0 and default to 0.1 and 0.3 of the epochs. `amp` None means on for CUDA only.

    Raises:
        ConfigError: a value is out of range, or a finetune has no room for its three stages.
    """

    mode: Mode
    epochs: int
    lr_head: float
    lr_backbone: float | None = None
    batch: int = 1024
    weights: str = "imagenet"
    seed: int = DEFAULT_SEED
    weight_decay: float = 0.01
    stage2_epoch: int | None = None
    stage3_epoch: int | None = None
    amp: bool | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("probe", "finetune"):
            raise ConfigError(f"mode must be probe or finetune, not {self.mode!r}")
        self._check_ranges()
        if self.mode == "finetune":
            self._check_stages()

    def _check_ranges(self) -> None:
        for name, value, least in (
            ("epochs", self.epochs, 1),
            ("batch", self.batch, 1),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise ConfigError(f"{name} must be at least {least}, not {value}")
        rates = {"lr_head": self.lr_head, "weight_decay": self.weight_decay}
        if self.lr_backbone is not None:
            rates["lr_backbone"] = self.lr_backbone
        for name, rate in rates.items():
            if not 0 <= rate < float("inf") or (rate == 0 and name == "lr_head"):
                raise ConfigError(f"{name} must be a positive number, not {rate}")

    def _check_stages(self) -> None:
        if self.lr_backbone is None:
            raise ConfigError("a finetune needs lr_backbone")
        if self.epochs < 3:
            raise ConfigError(
                f"a finetune has three stages and needs at least 3 epochs, not {self.epochs} "
                "(use probe for a shorter run)"
            )
        second, third = self.stage_starts[1:]
        if not 0 < second < third < self.epochs:
            raise ConfigError(
                f"stages must begin in order within the {self.epochs} epochs: stage 2 at {second}, stage 3 at {third}"
            )

    @property
    def stage_starts(self) -> tuple[int, ...]:
        """Epoch (from 0) at which each stage begins; (0,) for a probe."""
        if self.mode == "probe":
            return (0,)
        second = self.stage2_epoch if self.stage2_epoch is not None else max(1, round(0.1 * self.epochs))
        third = self.stage3_epoch if self.stage3_epoch is not None else max(2, round(0.3 * self.epochs))
        return (0, second, third)

    def stage_at(self, epoch: int) -> int:
        """The stage (1, 2 or 3) that `epoch` (from 0) belongs to."""
        return sum(epoch >= start for start in self.stage_starts)

    def identity(self) -> dict[str, Any]:
        """The values that decide the result, with the stages written out. `weights` is not here: the file's
        content counts, not its name (see `trainable.identity`)."""
        values = asdict(self)
        values.pop("weights"), values.pop("stage2_epoch"), values.pop("stage3_epoch")
        if self.mode == "probe":
            values.pop("lr_backbone")
        return {**values, "stage_starts": list(self.stage_starts)}


@dataclass(frozen=True)
class RunSpec:
    """One training run: which data, into which folder, with which configuration."""

    project_root: Path
    csvs: dict[str, Path]
    out: Path
    config: TrainConfig

    @property
    def name(self) -> str:
        return self.out.name


@dataclass(frozen=True)
class Resources:
    """What a run may use. None of it is part of the run's identity.

    `tail` is (epoch from 0, threads): from there on this run has other CPUs to itself.

    `plain` decodes every image and runs every layer in every epoch, which gives the same numbers more slowly; `workers`
    are its DataLoader's.
    """

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    plain: bool = False
    tail: tuple[int, int] | None = None
