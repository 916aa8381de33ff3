"""The options of all commands, in groups that the commands share, and the one place where a group becomes settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from faceapi.contract.settings import FaceApiSettings
from orchestrator.execution.hardware import Hardware
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.settings import Recipe, load_recipe
from orchestrator.sweeps.options import SEARCHES, SweepOptions
from orchestrator.sweeps.policies import SCHEDULERS
from trainable.base.command_line import flag, option, repeatable, whole
from trainable.base.errors import ConfigError
from trainable.data.spelling import spelled

RUN, TRAINING, SWEEP, MACHINE, FACEAPI = (
    Group(title, sort_key=place) for place, title in enumerate(("Run", "Training", "Sweep", "Machine", "FaceAPI"))
)
LOG_FORMATS = ("auto", "text", "json")
SPACES_HELP = "lr, lr-grid, recipe, or FILE.py:NAME, a dict in ray.tune's syntax."

Only = Annotated[
    tuple[str, ...],
    repeatable(
        "Experiments to run: names, commas between, repeated, or globs such as 'finetune_*'.", group=RUN, metavar="NAME"
    ),
]
Fresh = Annotated[bool, flag("Run again what is done already.", group=RUN)]
Verbose = Annotated[bool, flag("A line an epoch, also where a terminal shows rows.", group=RUN)]
Detach = Annotated[
    bool,
    flag("Go on in the background, whatever becomes of this terminal: see the commands status and stop.", group=RUN),
]
LogFormat = Annotated[
    str,
    option(
        "text (a line an event) or json (docs/progress.md). Default: rows on a terminal, else text.",
        choices=LOG_FORMATS,
        show_default=False,
        group=RUN,
    ),
]
SweepSpace = Annotated[
    str | None, option(f"Sweep every MobileNet experiment too: {SPACES_HELP}", group=SWEEP, metavar="SPACE")
]
Space = Annotated[str, option(SPACES_HELP, group=SWEEP, metavar="SPACE")]


@Parameter(name="*", group=RUN)
@dataclass(frozen=True, kw_only=True)
class Project:
    """Where the data lies and where results go."""

    project_root: Annotated[Path, option("Folder with data_shared/; the CSVs' image paths start there.")] = Path()
    output_root: Annotated[Path | None, option("Where results go. Default: the project root.")] = None

    @property
    def paths(self) -> ProjectPaths:
        root = spelled(self.project_root)
        return ProjectPaths(root, spelled(self.output_root) if self.output_root else root)


@Parameter(name="*", group=TRAINING)
@dataclass(frozen=True, kw_only=True)
class Training:
    """What changes of the runbook's values."""

    epochs: Annotated[int | None, whole("Epochs of every MobileNet experiment. Default: the runbook's.")] = None
    batch: Annotated[int | None, whole("Images per step. Default: 1024.")] = None
    weights: Annotated[str | None, option("imagenet (default), none, or the path of a state dict.")] = None
    seed: Annotated[int | None, whole("Default: 1337.")] = None
    config: Annotated[
        tuple[Path, ...], repeatable("JSON with values for all experiments or some (docs/data.md).", metavar="FILE")
    ] = ()

    def recipe(self) -> Recipe:
        """The file's values and, before them, the flags'.

        Raises:
            ConfigError: there is more than one file (the last must not win in silence), or as `load_recipe`.
        """
        if len(self.config) > 1:
            names = ", ".join(map(str, self.config))
            raise ConfigError(f"--config: {len(self.config)} files, but a run takes one: {names}")
        recipe = load_recipe(spelled(self.config[0])) if self.config else Recipe()
        weights = str(spelled(Path(self.weights))) if self.weights else None
        return recipe.with_flags(epochs=self.epochs, batch=self.batch, weights=weights, seed=self.seed)


@Parameter(name="*", group=SWEEP)
@dataclass(frozen=True, kw_only=True)
class SweepSearch:
    """How a sweep searches and compares."""

    num_samples: Annotated[
        int | None, whole("Trials of a sweep, the runbook's default among them. Default: 16; a grid's size.")
    ] = None
    search: Annotated[str, option("sobol (even over the space), random, or optuna (its TPE).", choices=SEARCHES)] = (
        "sobol"
    )
    scheduler: Annotated[
        str,
        option("halving, median, asha (Ray's own), or none: every trial goes to its end.", choices=SCHEDULERS),
    ] = "halving"
    confirm: Annotated[int, whole("New seeds on which the top two and the default run again: 2 or more; 0: none.")] = 5

    def options(self, space: str | None, deadline: float | None = None, option: str = "--sweep") -> SweepOptions | None:
        """None where nothing is swept. `option` is the option that names the space; for `deadline` see `SweepOptions`.

        Raises:
            ConfigError: a value that the option does not take, or an option of a sweep without one.
        """
        if space is None:
            if self.num_samples is not None:
                raise ConfigError("--num-samples is a sweep's; say which with --sweep SPACE")
            return None
        return SweepOptions(space, self.num_samples, self.search, self.scheduler, self.confirm, deadline, option)


@Parameter(name="*", group=MACHINE)
@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where things run; none of it changes what is computed."""

    address: Annotated[
        str | None, option("An existing Ray cluster: host:port, or auto. Default: $RAY_ADDRESS.", metavar="HOST:PORT")
    ] = None
    device: Annotated[str, option("auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))] = "auto"
    num_cpus: Annotated[int | None, whole("CPUs of the Ray started here. Default: all.")] = None
    cpus_per_trial: Annotated[int | None, whole("Default: those that no other trial needs just then.")] = None
    gpus_per_trial: Annotated[float | None, option("A part such as 0.5 shares a GPU. Default: 1.")] = None
    trials_per_gpu: Annotated[
        str | None,
        option("N shares each GPU among N trials; auto measures how many pay. Default: 1.", metavar="N"),
    ] = None
    accelerator_type: Annotated[
        str, option("Train on the cluster's nodes with GPUs of this type alone: A10G, H100.", metavar="TYPE")
    ] = ""
    max_concurrent: Annotated[int | None, whole("Trials that run at once, at most. Default: what fits.")] = None
    plain: Annotated[bool, flag("Decode and compute everything in every epoch.")] = False
    workers: Annotated[int | None, whole("DataLoader workers of --plain.")] = None
    deterministic: Annotated[bool, flag("On a GPU, kernels that give the same bits again; slower.")] = False
    allow_corrupt: Annotated[bool, flag("Go on where more than a tenth of a split's images are corrupt.")] = False

    @property
    def hardware(self) -> Hardware:
        """Raises ConfigError where a value is out of range or two contradict each other."""
        address = os.environ.get("RAY_ADDRESS") if self.address is None else self.address
        if address and self.address is None and self.num_cpus:  # `Hardware` would speak of --address
            raise ConfigError(
                f"--num-cpus is for a Ray that is started here; the cluster at $RAY_ADDRESS={address} has its own "
                "(unset RAY_ADDRESS to start one here)"
            )
        return Hardware(
            address=address or None,  # an empty one is none
            device=self.device,
            workers=self.workers,
            num_cpus=self.num_cpus,
            cpus_per_trial=self.cpus_per_trial,
            gpus_per_trial=self._gpu_share(),
            plain=self.plain,
            deterministic=self.deterministic,
            max_concurrent=self.max_concurrent,
            allow_corrupt=self.allow_corrupt,
            accelerator_type=self.accelerator_type,
        )

    def _gpu_share(self) -> float | Literal["auto"] | None:
        """The part of a GPU that each trial gets; None for the default, "auto" where it is to be measured."""
        count = self.trials_per_gpu
        if count is None:
            return self.gpus_per_trial
        if self.gpus_per_trial is not None:
            raise ConfigError("--gpus-per-trial and --trials-per-gpu say the same thing; leave one out")
        if count == "auto":
            return "auto"
        if not count.isdecimal() or int(count) < 1:
            raise ConfigError(f"--trials-per-gpu must be auto or a number from 1 on, not {count}")
        return 1 / int(count)


@Parameter(name="*", group=FACEAPI)
@dataclass(frozen=True, kw_only=True)
class FaceApi:
    """How the FaceAPI baseline is evaluated."""

    faceapi_engine: Annotated[
        str, option("onnx (in Python) or node (face-api.js itself).", choices=("onnx", "node"))
    ] = "onnx"
    faceapi_script: Annotated[Path | None, option("Your own evaluator, called as in runbook 5.4.")] = None
    faceapi_models: Annotated[Path | None, option("Folder with face-api's weights.")] = None
    faceapi_label: Annotated[
        tuple[str, ...],
        repeatable("NAME=CLASS: a label of your CSV and face-api's class for it. Repeatable.", metavar="NAME=CLASS"),
    ] = ()
    faceapi_input_size: Annotated[int, whole("Size at which the detector looks, a multiple of 32.")] = 416
    faceapi_score_threshold: Annotated[float, option("Least score of a detection.")] = 0.5

    @property
    def settings(self) -> FaceApiSettings:
        """Raises ConfigError where a value is out of range or a label is not NAME=CLASS."""
        return FaceApiSettings(
            input_size=self.faceapi_input_size,
            score_threshold=self.faceapi_score_threshold,
            script=self.faceapi_script,
            models=self.faceapi_models,
            labels=dict(map(_label, self.faceapi_label)),
            engine=self.faceapi_engine,
        )


def _label(text: str) -> tuple[str, str]:
    name, _, target = (part.strip() for part in text.partition("="))
    if not (name and target):
        raise ConfigError(f"--faceapi-label {text}: must be NAME=CLASS")
    return name, target
