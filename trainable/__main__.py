"""`python -m trainable`: one experiment, with the runbook's own flags (sections 5.1 to 5.3), without Ray."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trainable.base.command_line import flag, installed_version, make_app, option, run_app, whole
from trainable.base.config import DEFAULT_SEED, PARTS, Mode, Resources, RunSpec, TrainConfig
from trainable.base.errors import ConfigError, InterruptedRun
from trainable.run.checks import check_run


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Run:
    """What is trained, on what and into which folder."""

    mode: Annotated[Mode, option("probe (head only) or finetune (three stages).")]
    epochs: Annotated[int, whole("Epochs in all stages together.")]
    train_csv: Annotated[Path, option("Training rows: path and label.")]
    val_csv: Annotated[Path, option("Validation rows, which choose the best epoch.")]
    test_csv: Annotated[Path, option("Test rows, evaluated once with the best weights.")]
    out: Annotated[Path, option("Folder for the results.")]
    lr_head: Annotated[float | None, option("Default: 7e-4 for probe, 5e-4 for finetune.")] = None
    lr_backbone: Annotated[float, option("Rate of everything that trains besides the head.")] = 1e-4
    batch: Annotated[int, whole("Images per step.")] = 1024
    project_root: Annotated[Path, option("What the CSVs' image paths are relative to.")] = Path()
    weights: Annotated[str, option("imagenet, none, or the path of a state dict.")] = "imagenet"
    seed: Annotated[int, whole("Decides head, order, flips and dropout.")] = DEFAULT_SEED

    @property
    def spec(self) -> RunSpec:
        """Raises ConfigError where a value is out of range."""
        config = TrainConfig(
            mode=self.mode,
            epochs=self.epochs,
            lr_head=self.lr_head if self.lr_head is not None else (7e-4 if self.mode == "probe" else 5e-4),
            lr_backbone=self.lr_backbone if self.mode == "finetune" else None,
            batch=self.batch,
            weights=self.weights,
            seed=self.seed,
        )
        csvs = dict(zip(PARTS, (self.train_csv, self.val_csv, self.test_csv), strict=True))
        return RunSpec(self.project_root, csvs, self.out, config)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the run may use; none of it changes what is computed."""

    device: Annotated[str, option("auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))] = "auto"
    threads: Annotated[int | None, whole("CPU threads. Default: as many as CPUs may be used.")] = None
    workers: Annotated[int | None, whole("DataLoader workers of --plain.")] = None
    plain: Annotated[bool, flag("Decode and compute everything in every epoch.")] = False
    deterministic: Annotated[bool, flag("On a GPU, kernels that give the same bits again.")] = False
    allow_corrupt: Annotated[bool, flag("Go on where more than a tenth of the images are corrupt.")] = False

    @property
    def resources(self) -> Resources:
        """Raises ConfigError where a value is out of range."""
        for name, value, least in (("workers", self.workers, 0), ("threads", self.threads, 1)):
            if value is not None and value < least:
                raise ConfigError(f"--{name} must be at least {least}, not {value}")
        return Resources(
            self.device, self.threads, self.workers, self.plain,
            deterministic=self.deterministic, allow_corrupt=self.allow_corrupt,
        )  # fmt: skip


def train(
    *,
    run: Run,
    machine: Machine = Machine(),
    fresh: Annotated[bool, flag("Begin anew in spite of a checkpoint.")] = False,
    verbose: Annotated[bool, flag("A line an epoch.")] = False,
) -> None:
    """Train and evaluate one MobileNetV3-Small experiment."""
    resources, spec = machine.resources, run.spec
    tables = check_run(spec)

    from trainable.run.trainer import Trainer

    log = (lambda text: print(text, flush=True)) if verbose else (lambda text: None)
    trainer = Trainer(spec, resources, tables=tables, fresh=fresh, log=log)
    try:
        test = trainer.run()
    except KeyboardInterrupt as interrupt:
        raise InterruptedRun("interrupted; call again to go on from the last whole epoch") from interrupt
    for note in () if verbose else trainer.state.notes:  # else they have been told
        print(f"{spec.name}: {note}")
    best = trainer.state.best["metrics"]
    print(
        f"{spec.name}: val macro-F1 {best['macro_f1']:.4f} (epoch {best['epoch']}), "
        f"test macro-F1 {test['macro_f1']:.4f}, Top-1 {100 * test['accuracy']:.2f}% -> {spec.out}"
    )


app = make_app("python -m trainable", "Train and evaluate one MobileNetV3-Small experiment.", version=installed_version)
app.default(train)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with `arguments`, or with those of the process, and end the process with its exit code."""
    sys.exit(run_app(lambda: app, sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    main()
