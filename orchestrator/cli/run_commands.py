"""The commands that run or plan: run-all, plan, sweep."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestrator.cli.hashing import hashing_bar
from orchestrator.cli.options import (
    Address,
    Batch,
    Config,
    Confirm,
    CpusPerTrial,
    Device,
    Epochs,
    FaceApiEngine,
    FaceApiLabel,
    FaceApiModels,
    FaceApiScript,
    Fresh,
    GpusPerTrial,
    InputSize,
    MaxConcurrent,
    NumCpus,
    NumSamples,
    Only,
    OutputRoot,
    Plain,
    ProjectRoot,
    Scheduler,
    ScoreThreshold,
    Search,
    Seed,
    Space,
    SweepSpace,
    TimeBudget,
    TrialsPerGpu,
    Verbose,
    Weights,
    Workers,
    faceapi_settings,
    flags,
    gpu_share,
    recipe,
    sweep_options,
)
from orchestrator.cli.plan_table import print_plan
from orchestrator.cli.tool_commands import refresh_report, write_report
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.lock import is_running
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner, Step
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Settings
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.confirmation import left
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from search_spaces.runbook import Experiment
from trainable.base.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.execution.runner import Outcome


def run_all(
    project_root: ProjectRoot = Path(),
    output_root: OutputRoot = None,
    only: Only = None,
    epochs: Epochs = None,
    batch: Batch = None,
    workers: Workers = None,
    weights: Weights = None,
    seed: Seed = None,
    config: Config = None,
    address: Address = None,
    device: Device = "auto",
    num_cpus: NumCpus = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    trials_per_gpu: TrialsPerGpu = None,
    max_concurrent: MaxConcurrent = None,
    sweep: SweepSpace = None,
    num_samples: NumSamples = None,
    search: Search = "sobol",
    scheduler: Scheduler = "asha",
    confirm: Confirm = 5,
    time_budget: TimeBudget = None,
    faceapi_engine: FaceApiEngine = "onnx",
    faceapi_script: FaceApiScript = None,
    faceapi_models: FaceApiModels = None,
    faceapi_label: FaceApiLabel = None,
    faceapi_input_size: InputSize = 416,
    faceapi_score_threshold: ScoreThreshold = 0.5,
    plain: Plain = False,
    fresh: Fresh = False,
    verbose: Verbose = False,
) -> None:
    """Run the seven experiments, print their table and write reports/. What is done is not run again; what was
    interrupted goes on. Exit code: 0 all done, 1 something failed, 2 bad input, 130 interrupted."""
    gpus = gpu_share(gpus_per_trial, trials_per_gpu)
    hardware = Hardware(address, device, workers, num_cpus, cpus_per_trial, gpus, plain, max_concurrent)
    options = sweep_options(sweep, num_samples, search, scheduler, confirm, time_budget)
    faceapi = faceapi_settings(
        faceapi_script, faceapi_models, faceapi_label, faceapi_input_size, faceapi_score_threshold, faceapi_engine
    )
    settings = Settings(flags(epochs=epochs, batch=batch, weights=weights, seed=seed), recipe(config), faceapi)
    planner, steps, sweeps = _plan(project_root, output_root, select(only or []), settings, options, fresh=fresh)
    _run(steps, sweeps, planner, hardware, fresh=fresh, verbose=verbose)


def plan(
    project_root: ProjectRoot = Path(),
    output_root: OutputRoot = None,
    only: Only = None,
    epochs: Epochs = None,
    batch: Batch = None,
    weights: Weights = None,
    seed: Seed = None,
    config: Config = None,
    sweep: SweepSpace = None,
    num_samples: NumSamples = None,
    search: Search = "sobol",
    scheduler: Scheduler = "asha",
    confirm: Confirm = 5,
    faceapi_engine: FaceApiEngine = "onnx",
    faceapi_script: FaceApiScript = None,
    faceapi_models: FaceApiModels = None,
    faceapi_label: FaceApiLabel = None,
    faceapi_input_size: InputSize = 416,
    faceapi_score_threshold: ScoreThreshold = 0.5,
    fresh: Fresh = False,
) -> None:
    """Show what run-all would do: on what data, what is done or stale and why, and how long a sweep would take here.
    Takes those of run-all's options that say what runs."""
    options = sweep_options(sweep, num_samples, search, scheduler, confirm, None)
    faceapi = faceapi_settings(
        faceapi_script, faceapi_models, faceapi_label, faceapi_input_size, faceapi_score_threshold, faceapi_engine
    )
    settings = Settings(flags(epochs=epochs, batch=batch, weights=weights, seed=seed), recipe(config), faceapi)
    planner, steps, sweeps = _plan(project_root, output_root, select(only or []), settings, options, fresh=fresh)
    print_plan(Console(), steps, running=is_running(planner.paths), more=left(sweeps, planner))
    if sweeps:
        from orchestrator.cli.estimate_table import print_estimate

        print_estimate(Console(), steps, sweeps)


def sweep(
    experiments: Annotated[list[str], typer.Argument(help="Names or globs, such as finetune_M1 or 'finetune_*'.")],
    space: Space = "lr",
    num_samples: NumSamples = None,
    search: Search = "sobol",
    scheduler: Scheduler = "asha",
    confirm: Confirm = 5,
    time_budget: TimeBudget = None,
    project_root: ProjectRoot = Path(),
    output_root: OutputRoot = None,
    epochs: Epochs = None,
    batch: Batch = None,
    workers: Workers = None,
    weights: Weights = None,
    seed: Seed = None,
    config: Config = None,
    address: Address = None,
    device: Device = "auto",
    num_cpus: NumCpus = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = None,
    trials_per_gpu: TrialsPerGpu = None,
    max_concurrent: MaxConcurrent = None,
    plain: Plain = False,
    fresh: Fresh = False,
    verbose: Verbose = False,
) -> None:
    """Search around an experiment's defaults, run the best again on new seeds, and say what may be said: better, worse
    or cannot tell. Writes reports/sweeps/. Exit codes as run-all's."""
    gpus = gpu_share(gpus_per_trial, trials_per_gpu)
    hardware = Hardware(address, device, workers, num_cpus, cpus_per_trial, gpus, plain, max_concurrent)
    options = sweep_options(space, num_samples, search, scheduler, confirm, time_budget, "--space")
    settings = Settings(flags(epochs=epochs, batch=batch, weights=weights, seed=seed), recipe(config))
    chosen = select(experiments, "sweep")
    faceapi = [e.name for e in chosen if not e.trains]
    if faceapi:
        raise ConfigError(f"{', '.join(faceapi)}: trains nothing, so there is nothing to sweep")
    planner, _, sweeps = _plan(project_root, output_root, chosen, settings, options, fixed=False, fresh=fresh)
    _run([], sweeps, planner, hardware, fresh=fresh, verbose=verbose)


def _plan(
    project_root: Path,
    output_root: Path | None,
    experiments: Sequence[Experiment],
    settings: Settings,
    options: SweepOptions | None,
    *,
    fixed: bool = True,
    fresh: bool,
) -> tuple[Planner, list[Step], list[Sweep]]:
    """The experiments, and a sweep of each that trains.

    Args:
        fixed: the experiments themselves run too, and are the sweeps' defaults; else only where they are done.
    """
    paths = ProjectPaths(project_root, output_root or project_root)
    watch = partial(hashing_bar, Console())
    planner = Planner(check_inputs(experiments, settings, paths), settings, paths, watch)
    if options is None:
        return planner, planner.plan(experiments, fresh=fresh), []
    if not planner.inputs.configs:
        raise ConfigError("--sweep: none of the experiments trains, so there is nothing to sweep")
    spaces = plan_spaces(planner.inputs.configs, options)
    steps = planner.plan(experiments, fresh=fresh)
    bases = [step for step in steps if step.config is not None]
    return (
        planner,
        steps,
        [
            plan_sweep(base, spaces[base.name], options, planner, fixed=fixed or not base.to_do, fresh=fresh)
            for base in bases
        ],
    )


def _run(
    steps: Sequence[Step],
    sweeps: Sequence[Sweep],
    planner: Planner,
    hardware: Hardware,
    *,
    fresh: bool,
    verbose: bool,
) -> None:
    from orchestrator.execution.runner import run_steps

    console = Console()
    outcome = run_steps(steps, planner, hardware, console, fresh=fresh, verbose=verbose, sweeps=sweeps)
    _report_sweeps(sweeps, planner, console, alone=not steps)
    if steps:
        write_report(planner.paths, console, outcome.failures)
    _say_how_it_ended(outcome, [step.name for step in steps if not step.to_do], console)
    raise typer.Exit(outcome.exit_code)


def _report_sweeps(sweeps: Sequence[Sweep], planner: Planner, console: Console, *, alone: bool) -> None:
    """Files and tables of the sweeps; the page too where no experiment's table follows."""
    if sweeps:
        from orchestrator.cli.sweep_table import print_sweep
        from orchestrator.reporting.sweep_results import sweep_result, write_sweep

        for found in [sweep_result(sweep, planner) for sweep in sweeps]:
            write_sweep(found, planner)
            print_sweep(console, found)
        if alone:
            refresh_report(planner.paths)
            console.print(f"report: {planner.paths.index}", highlight=False, soft_wrap=True)


def _say_how_it_ended(outcome: Outcome, done: Sequence[str], console: Console) -> None:
    if done:
        console.print(f"done before: {' '.join(done)}", highlight=False, soft_wrap=True)
    if outcome.interrupted:
        again = shlex.join([*(a for a in sys.argv[1:] if a != "--fresh")])
        console.print(f"interrupted; go on with: python -m orchestrator {again}", highlight=False, soft_wrap=True)
    elif outcome.failures:
        names = ", ".join(outcome.failures)
        console.print(f"[red]failed:[/] {names}; the same command tries again", highlight=False, soft_wrap=True)
