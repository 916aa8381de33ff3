"""The command line: options in, calls out. Torch and Ray are imported only by what needs them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.inputs import check_inputs
from orchestrator.lock import is_running
from orchestrator.paths import ProjectPaths
from orchestrator.plan import Planner, Step
from orchestrator.plan_table import print_plan
from orchestrator.selection import select
from orchestrator.settings import FaceApiSettings, Overrides, Recipe, Settings, load_recipe
from trainable.errors import ConfigError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="FaceAPI vs MobileNetV3 on M1, M2 and K7: seven experiments, one command.",
)

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
Config = Annotated[Path | None, typer.Option(help="JSON with values for all experiments or some (docs/data.md).")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run again what is done already.")]
FaceApiEngine = Annotated[str, typer.Option(help="onnx (in Python) or node (face-api.js itself).")]
FaceApiScript = Annotated[Path | None, typer.Option(help="Your own evaluator, called as in runbook 5.4.")]
FaceApiModels = Annotated[Path | None, typer.Option(help="Folder with face-api's weights.")]
FaceApiLabel = Annotated[
    list[str] | None, typer.Option(help="NAME=CLASS: a label of your CSV and face-api's class for it. Repeatable.")
]
InputSize = Annotated[int, typer.Option(help="Size at which the detector looks, a multiple of 32.")]
ScoreThreshold = Annotated[float, typer.Option(help="Least score of a detection.")]


@app.command("run-all")
def run_all(
    project_root: ProjectRoot = Path(),
    output_root: OutputRoot = None,
    only: Only = None,
    epochs: Epochs = None,
    batch: Batch = None,
    workers: Annotated[int | None, typer.Option(help="DataLoader workers of --plain.")] = None,
    weights: Weights = None,
    seed: Seed = None,
    config: Config = None,
    address: Annotated[
        str | None, typer.Option(envvar="RAY_ADDRESS", help="An existing Ray cluster: host:port, or auto.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    num_cpus: Annotated[int | None, typer.Option(help="CPUs of the Ray started here. Default: all.")] = None,
    cpus_per_trial: Annotated[int | None, typer.Option(help="Default: so that trials fill the CPUs.")] = None,
    gpus_per_trial: Annotated[float | None, typer.Option(help="A part such as 0.5 shares a GPU. Default: 1.")] = None,
    faceapi_engine: FaceApiEngine = "onnx",
    faceapi_script: FaceApiScript = None,
    faceapi_models: FaceApiModels = None,
    faceapi_label: FaceApiLabel = None,
    faceapi_input_size: InputSize = 416,
    faceapi_score_threshold: ScoreThreshold = 0.5,
    plain: Annotated[bool, typer.Option("--plain", help="Decode and compute everything in every epoch.")] = False,
    fresh: Fresh = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="A line an epoch.")] = False,
) -> None:
    """Run the seven experiments, print their table and write reports/. What is done is not run again; what was
    interrupted goes on. Exit code: 0 all done, 1 something failed, 2 bad input, 130 interrupted."""
    from orchestrator.run import Hardware, run_steps

    hardware = Hardware(address, device, workers, num_cpus, cpus_per_trial, gpus_per_trial, plain)
    overrides = _flags(epochs=epochs, batch=batch, weights=weights, seed=seed)
    faceapi = _faceapi(
        faceapi_script, faceapi_models, faceapi_label, faceapi_input_size, faceapi_score_threshold, faceapi_engine
    )
    planner, steps = _plan(project_root, output_root, only, Settings(overrides, _recipe(config), faceapi), fresh)
    console = Console()
    outcome = run_steps(steps, planner, hardware, console, fresh=fresh, verbose=verbose)
    _report(planner.paths, console, outcome.failures)
    done = [step.name for step in steps if not step.to_do]
    if done:
        console.print(f"done before: {' '.join(done)}", highlight=False, soft_wrap=True)
    if outcome.interrupted:
        again = shlex.join([*(a for a in sys.argv[1:] if a != "--fresh")])
        console.print(f"interrupted; go on with: python -m orchestrator {again}", highlight=False, soft_wrap=True)
    elif outcome.failures:
        names = ", ".join(outcome.failures)
        console.print(f"[red]failed:[/] {names}; the same command tries again", highlight=False, soft_wrap=True)
    raise typer.Exit(outcome.exit_code)


@app.command()
def plan(
    project_root: ProjectRoot = Path(),
    output_root: OutputRoot = None,
    only: Only = None,
    epochs: Epochs = None,
    batch: Batch = None,
    weights: Weights = None,
    seed: Seed = None,
    config: Config = None,
    faceapi_engine: FaceApiEngine = "onnx",
    faceapi_script: FaceApiScript = None,
    faceapi_models: FaceApiModels = None,
    faceapi_label: FaceApiLabel = None,
    faceapi_input_size: InputSize = 416,
    faceapi_score_threshold: ScoreThreshold = 0.5,
    fresh: Fresh = False,
) -> None:
    """Show what run-all would do with the same options: on what data, and what is done or stale and why."""
    overrides = _flags(epochs=epochs, batch=batch, weights=weights, seed=seed)
    faceapi = _faceapi(
        faceapi_script, faceapi_models, faceapi_label, faceapi_input_size, faceapi_score_threshold, faceapi_engine
    )
    planner, steps = _plan(project_root, output_root, only, Settings(overrides, _recipe(config), faceapi), fresh)
    print_plan(Console(), steps, running=is_running(planner.paths))


@app.command()
def report(project_root: ProjectRoot = Path(), output_root: OutputRoot = None) -> None:
    """Rebuild the table and reports/ from what is on disk."""
    paths = ProjectPaths(project_root, output_root or project_root)
    if not paths.output.is_dir():
        raise ConfigError(f"{paths.output}: no such folder; nothing to report on")
    _report(paths, Console(), {})


@app.command("faceapi")
def faceapi_command(
    project_root: ProjectRoot = Path(),
    output_root: OutputRoot = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Run both engines on a sample; exit code 1 if they differ.")
    ] = False,
    sample: Annotated[int, typer.Option(help="Rows per split to compare.")] = 64,
    faceapi_engine: FaceApiEngine = "onnx",
    faceapi_script: FaceApiScript = None,
    faceapi_models: FaceApiModels = None,
    faceapi_label: FaceApiLabel = None,
    faceapi_input_size: InputSize = 416,
    faceapi_score_threshold: ScoreThreshold = 0.5,
) -> None:
    """Show which engine and weights FaceAPI would run with, or compare both engines on M1 and M2."""
    from orchestrator.faceapi.command import show_comparison, show_setup

    settings = _faceapi(
        faceapi_script, faceapi_models, faceapi_label, faceapi_input_size, faceapi_score_threshold, faceapi_engine
    )
    paths = ProjectPaths(project_root, output_root or project_root)
    if not compare:
        show_setup(settings, paths, Console())
    elif not show_comparison(select(["faceapi_*"]), settings, paths, Console(), sample):
        raise typer.Exit(1)


@app.command("demo-data")
def demo_data(
    root: Annotated[Path, typer.Argument(help="Folder to make; it becomes a project root.")],
    seed: Annotated[int, typer.Option(help="Other seeds draw other faces.")] = 1337,
) -> None:
    """Draw the built-in data set of synthetic faces, laid out as a project, with a recipe.json to train it with."""
    from orchestrator.demo.dataset import write_demo
    from search_spaces.demo import RECIPE
    from trainable.atomic import write_json

    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root}: is a file, but must be a folder")
    typer.echo("drawing faces; this takes about a minute")
    try:
        summary = write_demo(root, seed)
    except FileExistsError as error:
        raise ConfigError(str(error)) from error
    write_json(root / "recipe.json", RECIPE)
    done = "drawn" if summary.created else "there already"
    typer.echo(f"{sum(summary.rows.values())} photos and their crops {done}: {root}")


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it; what is needed is made again.")] = False,
) -> None:
    """Show the decoded images and frozen features that this machine keeps, or delete them."""
    from orchestrator.cache_table import print_cache, size_text, usable_root
    from trainable.cache import clear as delete

    if clear:
        root = usable_root()
        typer.echo(f"{size_text(delete(root))} freed: {root}")
    else:
        print_cache(Console())


def _flags(**values: object) -> Overrides:
    return Overrides.model_validate(values)


def _recipe(config: Path | None) -> Recipe:
    return load_recipe(config) if config else Recipe()


def _faceapi(
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


def _plan(
    project_root: Path, output_root: Path | None, only: list[str] | None, settings: Settings, fresh: bool
) -> tuple[Planner, list[Step]]:
    paths = ProjectPaths(project_root, output_root or project_root)
    experiments = select(only or [])
    planner = Planner(check_inputs(experiments, settings, paths), settings, paths)
    return planner, planner.plan(experiments, fresh=fresh)


def _report(paths: ProjectPaths, console: Console, failures: dict[str, str]) -> None:
    from orchestrator.report import write_reports
    from orchestrator.results import collect
    from orchestrator.summary import print_summary

    results = collect(paths, failures)
    write_reports(paths, results)
    print_summary(console, results)
    console.print(f"report: {paths.index}", highlight=False, soft_wrap=True)
