"""`python -m trainable`: one experiment, with the runbook's own flags (sections 5.1 to 5.3), without Ray."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, Token

from trainable.base.config import DEFAULT_SEED, Resources, RunSpec, TrainConfig
from trainable.base.errors import ConfigError, EmosweepError, InputError, InterruptedRun
from trainable.run.checks import check_run


def whole_number(kind: type, tokens: Sequence[Token]) -> int:
    """An integer. By itself cyclopts would round 1.5.

    Raises:
        ValueError: the text is no integer; cyclopts names the flag.
    """
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"must be a whole number, not {tokens[0].value!r}") from None


Count = Annotated[int, Parameter(converter=whole_number)]

app = App(
    name="python -m trainable",
    version=lambda: version("emosweep"),
    version_flags="--version",
    help_format="plaintext",
    default_parameter=Parameter(negative=(), allow_repeating=True),
)
PROBE_RATE, FINETUNE_RATE, BACKBONE_RATE = 7e-4, 5e-4, 1e-4


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The files that a run reads and writes."""

    train_csv: Path
    """Training rows: path and label."""
    val_csv: Path
    """Validation rows, which choose the best epoch."""
    test_csv: Path
    """Test rows, evaluated once with the best weights."""
    out: Path
    """Folder for the results."""
    project_root: Path = Path()
    """The folder that the image paths of the CSVs are relative to."""

    def spec(self, config: TrainConfig) -> RunSpec:
        csvs = {"train": self.train_csv, "val": self.val_csv, "test": self.test_csv}
        return RunSpec(self.project_root, csvs, self.out, config)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options that decide the numbers."""

    mode: str
    """probe (head only) or finetune (three stages)."""
    epochs: Count
    """Epochs in all stages together."""
    lr_head: float | None = None
    """Learning rate of the head. Default: 7e-4 for probe, 5e-4 for finetune."""
    lr_backbone: float = BACKBONE_RATE
    """Learning rate of everything else that trains."""
    batch: Count = 1024
    """Images per step."""
    weights: str = "imagenet"
    """imagenet, none, or the path of a state dict or a best.pt."""
    seed: Count = DEFAULT_SEED
    """Decides head, order, flips and dropout."""

    def config(self) -> TrainConfig:
        """Raises ConfigError where a value is out of range."""
        if self.mode not in ("probe", "finetune"):
            raise ConfigError(f"--mode must be probe or finetune, not {self.mode!r}")
        rate = PROBE_RATE if self.mode == "probe" else FINETUNE_RATE
        return TrainConfig(
            mode=self.mode,  # type: ignore[arg-type]  # checked above
            epochs=self.epochs,
            lr_head=rate if self.lr_head is None else self.lr_head,
            lr_backbone=self.lr_backbone if self.mode == "finetune" else None,
            batch=self.batch,
            weights=self.weights,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class HardwareOptions:
    """The options that change no number."""

    device: str = "auto"
    """auto, cpu or cuda."""
    threads: Count | None = None
    """CPU threads. Default: PyTorch's."""
    workers: Count | None = None
    """DataLoader workers of --plain."""
    plain: bool = False
    """Decode and compute everything in every epoch."""

    def resources(self) -> Resources:
        """Raises ConfigError where a value is out of range."""
        for name, value, least in (("workers", self.workers, 0), ("threads", self.threads, 1)):
            if value is not None and value < least:
                raise ConfigError(f"--{name} must be at least {least}, not {value}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"--device must be auto, cpu or cuda, not {self.device!r}")
        return Resources(self.device, self.threads, self.workers, self.plain)


@app.default
def train(
    *,
    training: Annotated[TrainingOptions, Parameter(name="*")],
    data: Annotated[DataOptions, Parameter(name="*")],
    hardware: Annotated[HardwareOptions, Parameter(name="*")] = HardwareOptions(),
    fresh: bool = False,
    verbose: bool = False,
) -> None:
    """Train and evaluate one MobileNetV3-Small experiment.

    Parameters
    ----------
    fresh:
        Begin anew in spite of a checkpoint.
    verbose:
        Print a line for each epoch.
    """
    config, resources = training.config(), hardware.resources()
    spec = data.spec(config)
    tables = check_run(spec)

    from trainable.run.trainer import Trainer

    log = (lambda text: print(text, flush=True)) if verbose else (lambda text: None)
    trainer = Trainer(spec, resources, tables=tables, fresh=fresh, log=log)
    try:
        test = trainer.run()
    except KeyboardInterrupt as interrupt:
        raise InterruptedRun("interrupted; call again to go on from the last whole epoch") from interrupt
    best = trainer.state.best["metrics"]
    print(
        f"{spec.name}: val macro-F1 {best['macro_f1']:.4f} (epoch {best['epoch']}), "
        f"test macro-F1 {test['macro_f1']:.4f}, Top-1 {100 * test['accuracy']:.2f}% -> {spec.out}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments`, or with those of the process, and exit.

    An error that the user can mend is one message on stderr and an exit code: 2 for a bad option or bad input, 130
    after an interrupt, 1 otherwise.
    """
    try:
        app(arguments, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        _fail(f"error: {' '.join(str(error).split())} (see --help)", ConfigError.exit_code)
    except InputError as error:
        _fail(error.summary(), error.exit_code)
    except InterruptedRun as error:
        _fail(str(error), error.exit_code)
    except EmosweepError as error:
        _fail(f"error: {error}", error.exit_code)
    except OSError as error:  # a full disk, a folder that cannot be written to
        _fail(f"error: {error}", 1)
    sys.exit(0)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
