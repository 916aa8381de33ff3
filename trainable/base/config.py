"""The configuration of one training run: frozen dataclasses, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from trainable.base.errors import ConfigError

Mode = Literal["probe", "finetune"]
ClassWeighting = Literal["none", "inverse", "effective-number"]
Schedule = Literal["constant", "cosine"]
PARTS = ("train", "val", "test")
IMAGE_SIZE = 160
DEFAULT_SEED = 1337
LARGEST_SEED = 2**32 - 1
_LATER_FIELDS = ("label_smoothing", "class_weighting", "schedule")

NAMED_WEIGHTS = ("imagenet", "none")
"""What `weights` may be besides the path of a state dict."""


@dataclass(frozen=True)
class TrainConfig:
    """The values that decide a run's numbers (runbook sections 4 and 5).

    Args:
        mode: `probe` trains the head only, `finetune` goes through three stages.
        epochs: of all stages together.
        lr_head: learning rate of the head.
        lr_backbone: learning rate of everything else that trains; a probe has none.
        batch: images of one step.
        weights: `imagenet`, `none`, or the path of a state dict.
        seed: decides the new head, order, flips and dropout (see `trainable.base.seeds`).
        stage2_epoch: the epoch (from 0) at which stage 2 begins; None for 0.1 of the epochs.
        stage3_epoch: the epoch (from 0) at which stage 3 begins; None for 0.3 of the epochs.
        amp: mixed precision; None for CUDA only.
        label_smoothing: applies to the training loss alone (see `trainable.run.objective`). Validation and test losses
            are plain cross-entropy, so that runs compare.
        class_weighting: applies to the training loss alone too.
        schedule: how all learning rates change from epoch to epoch.

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
    label_smoothing: float = 0.0
    class_weighting: ClassWeighting = "none"
    schedule: Schedule = "constant"

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
        if self.seed > LARGEST_SEED:
            raise ConfigError(f"seed must be at most {LARGEST_SEED}, not {self.seed}")
        rates = {"lr_head": self.lr_head, "weight_decay": self.weight_decay}
        if self.lr_backbone is not None:
            rates["lr_backbone"] = self.lr_backbone
        for name, rate in rates.items():
            if not 0 <= rate < float("inf") or (rate == 0 and name == "lr_head"):
                raise ConfigError(f"{name} must be a positive number, not {rate}")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing must be at least 0 and below 1, not {self.label_smoothing}")
        for name, choice, choices in (
            ("class_weighting", self.class_weighting, get_args(ClassWeighting)),
            ("schedule", self.schedule, get_args(Schedule)),
        ):
            if choice not in choices:
                raise ConfigError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not {choice!r}")

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

    def rates_at(self, epoch: int) -> tuple[float, float | None]:
        """The learning rates of the head and of the rest in `epoch` (from 0).

        They are a function of the epoch alone, so that a resumed run needs no schedule. A cosine begins at the full
        rates and would reach 0 with the epoch after the last. It goes over the whole run, whatever the stages.
        """
        if self.schedule == "constant":
            return self.lr_head, self.lr_backbone
        factor = 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
        return self.lr_head * factor, None if self.lr_backbone is None else self.lr_backbone * factor

    def identity(self) -> dict[str, Any]:
        """The values that decide the result, with the stages written out.

        `weights` is left out, since the content of the file counts and not its name (see `trainable.run.identity`).
        An option that was added after the first results is left out at its default, so that those are not stale.
        """
        values = asdict(self)
        values.pop("weights"), values.pop("stage2_epoch"), values.pop("stage3_epoch")
        if self.mode == "probe":
            values.pop("lr_backbone")
        for name in _LATER_FIELDS:
            if values[name] == getattr(TrainConfig, name):
                values.pop(name)
        return {**values, "stage_starts": list(self.stage_starts)}


@dataclass(frozen=True)
class RunSpec:
    """One training run.

    Args:
        project_root: the folder that image paths are relative to.
        csvs: the CSV of each part of the split.
        out: the folder of the results.
        test: whether the test set is evaluated. A trial of a sweep never reads the test set, and leaves no weights.
    """

    project_root: Path
    csvs: dict[str, Path]
    out: Path
    config: TrainConfig
    test: bool = True

    @property
    def name(self) -> str:
        """The name of the folder, which stands for the run in logs and in the manifest."""
        return self.out.name

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the split that this run reads."""
        return PARTS if self.test else PARTS[:2]

    def to_json(self) -> dict[str, Any]:
        """JSON values, which travel to the process that trains."""
        return {
            "project_root": str(self.project_root),
            "csvs": {part: str(path) for part, path in self.csvs.items()},
            "out": str(self.out),
            "config": asdict(self.config),
            "test": self.test,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the values of `to_json`, which may stand among others.

        Raises:
            ConfigError: the configuration is out of range.
        """
        return cls(
            project_root=Path(values["project_root"]),
            csvs={part: Path(path) for part, path in values["csvs"].items()},
            out=Path(values["out"]),
            config=TrainConfig(**values["config"]),
            test=values["test"],
        )


_FOLDERS = ("shares", "seats")


@dataclass(frozen=True)
class Resources:
    """What a run may use and put up with, which is no part of its identity.

    Args:
        device: auto, cpu or cuda.
        threads: CPU threads; None for all CPUs that may be used.
        workers: DataLoader workers where `plain`; None for the device's default.
        plain: decode every image and run every layer in every epoch, which gives the same numbers more slowly.
        shares: a file that says how many threads the run may use at the moment, which goes before `threads` (see
            `trainable.base.cpu_share`).
        seats: on a node of a cluster: the folder by which its trials divide `threads`, which are all the node's (see
            `trainable.base.seats`).
        deterministic: only kernels that give a GPU's results bit for bit again. On a CPU all do.
        allow_corrupt: go on where more than a tenth of a part's images are corrupt.
    """

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    plain: bool = False
    shares: Path | None = None
    seats: Path | None = None
    deterministic: bool = False
    allow_corrupt: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON values, which travel to the process that trains."""
        return {**asdict(self), **{name: str(path) if (path := getattr(self, name)) else None for name in _FOLDERS}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the values of `to_json`."""
        return cls(**{**values, **{name: Path(path) if (path := values[name]) else None for name in _FOLDERS}})


Job = dict[str, Any]
"""A run for another process: the values of `RunSpec.to_json`, and `resources` and `identity` beside them."""


def make_job(spec: RunSpec, resources: Resources, identity: Mapping[str, Any]) -> Job:
    """A run for another process, as JSON values, which Tune also writes into its own records."""
    return {**spec.to_json(), "resources": resources.to_json(), "identity": dict(identity)}
