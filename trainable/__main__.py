"""`python -m trainable`: one experiment, with the runbook's own flags (sections 5.1 to 5.3), without Ray."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from trainable.base.config import DEFAULT_SEED, PARTS, Resources, RunSpec, TrainConfig
from trainable.base.errors import ConfigError, EmosweepError, InputError, InterruptedRun
from trainable.run.checks import check_run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train(
    mode: Annotated[str, typer.Option(help="probe (head only) or finetune (three stages).")],
    epochs: Annotated[int, typer.Option(help="Epochs in all stages together.")],
    train_csv: Annotated[Path, typer.Option(help="Training rows: path and label.")],
    val_csv: Annotated[Path, typer.Option(help="Validation rows, which choose the best epoch.")],
    test_csv: Annotated[Path, typer.Option(help="Test rows, evaluated once with the best weights.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    lr_head: Annotated[float | None, typer.Option(help="Default: 7e-4 for probe, 5e-4 for finetune.")] = None,
    lr_backbone: Annotated[float, typer.Option(help="Rate of everything that trains besides the head.")] = 1e-4,
    batch: Annotated[int, typer.Option(help="Images per step.")] = 1024,
    workers: Annotated[int | None, typer.Option(help="DataLoader workers of --plain.")] = None,
    project_root: Annotated[Path, typer.Option(help="What the CSVs' image paths are relative to.")] = Path(),
    weights: Annotated[str, typer.Option(help="imagenet, none, or the path of a state dict.")] = "imagenet",
    seed: Annotated[int, typer.Option(help="Decides head, order, flips and dropout.")] = DEFAULT_SEED,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: PyTorch's.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Decode and compute everything in every epoch.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew in spite of a checkpoint.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="A line an epoch.")] = False,
) -> None:
    """Train and evaluate one MobileNetV3-Small experiment."""
    if mode not in ("probe", "finetune"):
        raise ConfigError(f"--mode must be probe or finetune, not {mode!r}")
    for name, value, least in (("workers", workers, 0), ("threads", threads, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name} must be at least {least}, not {value}")
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device must be auto, cpu or cuda, not {device!r}")
    rate = lr_head if lr_head is not None else (7e-4 if mode == "probe" else 5e-4)
    config = TrainConfig(
        mode=mode,  # type: ignore[arg-type]
        epochs=epochs,
        lr_head=rate,
        lr_backbone=lr_backbone if mode == "finetune" else None,
        batch=batch,
        weights=weights,
        seed=seed,
    )
    csvs = dict(zip(PARTS, (train_csv, val_csv, test_csv), strict=True))
    spec = RunSpec(project_root, csvs, out, config)
    check_run(spec)
    _train(spec, Resources(device, threads, workers, plain), fresh=fresh, verbose=verbose)


def _train(spec: RunSpec, resources: Resources, *, fresh: bool, verbose: bool) -> None:
    from trainable.run.trainer import Trainer

    log = (lambda text: print(text, flush=True)) if verbose else (lambda text: None)
    trainer = Trainer(spec, resources, fresh=fresh, log=log)
    try:
        test = trainer.run()
    except KeyboardInterrupt as interrupt:  # typer would exit without a word
        raise InterruptedRun("interrupted; call again to go on from the last whole epoch") from interrupt
    best = trainer.best["metrics"]
    print(
        f"{spec.name}: val macro-F1 {best['macro_f1']:.4f} (epoch {best['epoch']}), "
        f"test macro-F1 {test['macro_f1']:.4f}, Top-1 {100 * test['accuracy']:.2f}% -> {spec.out}"
    )


def main() -> None:
    """Run the command; errors of ours are one message on stderr and an exit code."""
    try:
        app()
    except InputError as error:
        print(error.summary(), file=sys.stderr)
        sys.exit(error.exit_code)
    except InterruptedRun as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except EmosweepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that cannot be written to
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
