"""The command line's options, shared by its commands, and what they mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from faceapi.contract.settings import FaceApiSettings
from orchestrator.planning.settings import Overrides, Recipe, load_recipe
from orchestrator.sweeps.options import SweepOptions
from trainable.base.errors import ConfigError

ProjectRoot = Annotated[Path, typer.Option(help="Folder with data_shared/; the CSVs' image paths start there.")]
OutputRoot = Annotated[Path | None, typer.Option(help="Where results go. Default: the project root.")]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Experiments to run: names, commas between, repeated, or globs such as 'finetune_*'."),
]
Epochs = Annotated[int | None, typer.Option(help="Epochs of every MobileNet experiment. Default: the runbook's.")]
Batch = Annotated[int | None, typer.Option(help="Images per step. Default: 1024.")]
Weights = Annotated[str | None, typer.Option(help="imagenet (default), none, or the path of a state dict.")]
Seed = Annotated[int | None, typer.Option(help="Default: 1337.")]
Config = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="JSON with values for all experiments or some (docs/data.md).")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again what is done already.")]
FaceApiEngine = Annotated[str, typer.Option(help="onnx (in Python) or node (face-api.js itself).")]
FaceApiScript = Annotated[Path | None, typer.Option(help="Your own evaluator, called as in runbook 5.4.")]
FaceApiModels = Annotated[Path | None, typer.Option(help="Folder with face-api's weights.")]
FaceApiLabel = Annotated[
    list[str] | None, typer.Option(help="NAME=CLASS: a label of your CSV and face-api's class for it. Repeatable.")
]
InputSize = Annotated[int, typer.Option(help="Size at which the detector looks, a multiple of 32.")]
ScoreThreshold = Annotated[float, typer.Option(help="Least score of a detection.")]
Workers = Annotated[int | None, typer.Option(help="DataLoader workers of --plain.")]
Address = Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="An existing Ray cluster: host:port, or auto.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
NumCpus = Annotated[int | None, typer.Option(help="CPUs of the Ray started here. Default: all.")]
CpusPerTrial = Annotated[int | None, typer.Option(help="Default: so that trials fill the CPUs.")]
GpusPerTrial = Annotated[float | None, typer.Option(help="A part such as 0.5 shares a GPU. Default: 1.")]
TrialsPerGpu = Annotated[
    str | None, typer.Option(help="N shares each GPU among N trials; auto measures how many pay. Default: 1.")
]
MaxConcurrent = Annotated[int | None, typer.Option(help="Trials that run at once, at most. Default: what fits.")]
Plain = Annotated[bool, typer.Option("--plain", help="Decode and compute everything in every epoch.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="A line an epoch.")]
SPACES_HELP = "lr, lr-grid, recipe, or FILE.py:NAME, a dict in ray.tune's syntax."
SweepSpace = Annotated[str | None, typer.Option(help=f"Sweep every MobileNet experiment too: {SPACES_HELP}")]
Space = Annotated[str, typer.Option(help=SPACES_HELP)]
NumSamples = Annotated[
    int | None, typer.Option(help="Trials of a sweep, the runbook's default among them. Default: 16; a grid's size.")
]
Search = Annotated[str, typer.Option(help="sobol (even over the space), random, or optuna (its TPE).")]
Scheduler = Annotated[
    str, typer.Option(help="halving, median, asha (Ray's own), or none: every trial goes to its end.")
]
Confirm = Annotated[
    int, typer.Option(help="New seeds on which the top two and the default run again: 2 or more; 0: none.")
]
TimeBudget = Annotated[str | None, typer.Option(help="End the sweep after 90m, 1h30m or 5400s; it can go on later.")]


def flags(**values: object) -> Overrides:
    return Overrides.model_validate(values)


def recipe(config: list[Path] | None) -> Recipe:
    """Of the one `--config`.

    Raises:
        ConfigError: there is more than one (it must not be the last that wins in silence), or as `load_recipe`.
    """
    if config and len(config) > 1:
        raise ConfigError(f"--config: {len(config)} files, but a run takes one: {', '.join(map(str, config))}")
    return load_recipe(config[0]) if config else Recipe()


def faceapi_settings(
    script: Path | None,
    models: Path | None,
    labels: list[str] | None,
    input_size: int,
    threshold: float,
    engine: str,
) -> FaceApiSettings:
    pairs = [text.partition("=") for text in labels or ()]
    for name, sign, target in pairs:
        if not (name.strip() and sign and target.strip()):
            raise ConfigError(f"--faceapi-label {name}{sign}{target}: must be NAME=CLASS")
    return FaceApiSettings(input_size, threshold, script, models, {n.strip(): t.strip() for n, _, t in pairs}, engine)


def sweep_options(
    space: str | None,
    samples: int | None,
    search: str,
    scheduler: str,
    confirm: int,
    budget: str | None,
    option: str = "--sweep",
) -> SweepOptions | None:
    """None where nothing is swept. `option` is what names the space.

    Raises:
        ConfigError: a value that is none of the option's, or an option of a sweep without one.
    """
    if space is None:
        for given, value in (("--num-samples", samples), ("--time-budget", budget)):
            if value is not None:
                raise ConfigError(f"{given} is a sweep's; say which with --sweep SPACE")
        return None
    time = seconds(budget) if budget is not None else None
    return SweepOptions(space, samples, search, scheduler, confirm, time, option)


def seconds(text: str) -> float:
    """Of "90m", "1h30m" or "5400s"; a bare number could be minutes as well."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().replace(" ", ""))
    if not found or not any(found.groups()):
        raise ConfigError(f"--time-budget {text}: must be a time such as 90m, 1h30m or 5400s")
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60 * minutes + rest


def gpu_share(gpus_per_trial: float | None, trials_per_gpu: str | None) -> float | Literal["auto"] | None:
    """The part of a GPU that each trial gets; None for the default, "auto" where it is to be measured."""
    if trials_per_gpu is None:
        return gpus_per_trial
    if gpus_per_trial is not None:
        raise ConfigError("--gpus-per-trial and --trials-per-gpu say the same thing; leave one out")
    if trials_per_gpu == "auto":
        return "auto"
    if not trials_per_gpu.isdecimal() or int(trials_per_gpu) < 1:
        raise ConfigError(f"--trials-per-gpu must be auto or a number from 1 on, not {trials_per_gpu}")
    return 1 / int(trials_per_gpu)
