"""The commands that run or plan: run-all, plan, sweep. All calls of planning and execution are here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from rich.console import Console

from orchestrator.cli.detach import go_on_in_background
from orchestrator.cli.estimate_table import print_estimate
from orchestrator.cli.hashing import hashing_bar
from orchestrator.cli.hours import check_budget, look_ahead, say_hours
from orchestrator.cli.look import Look
from orchestrator.cli.options import (
    Detach,
    FaceApi,
    Fresh,
    LogFormat,
    Machine,
    Only,
    Project,
    Space,
    SweepSearch,
    SweepSpace,
    Training,
    Verbose,
)
from orchestrator.cli.own_command import own_command
from orchestrator.cli.plan_table import print_plan
from orchestrator.cli.readiness import check_room, fetch_imagenet, say_how_imagenet_comes, wants_imagenet
from orchestrator.cli.simulate import Simulation, print_simulations
from orchestrator.cli.spending import Spending
from orchestrator.cli.sweep_reports import report_sweeps
from orchestrator.cli.terminal import Terminal, say, styled
from orchestrator.cli.tool_commands import write_report
from orchestrator.cli.tracking import Tracking, tracked
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.lock import is_running
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.price import keep_price
from orchestrator.planning.ray_environment import set_environment
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Settings
from orchestrator.planning.steps import FaceApiEvaluation, Run, Step
from orchestrator.simulation.plan import Planned
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.confirmation import remaining
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sweep import Sweep, left_to_do, plan_sweep
from orchestrator.tracking.choice import TrackerChoice
from search_spaces.runbook import Experiment
from trainable.base.command_line import option
from trainable.base.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.execution.runner import Outcome


def run_all(
    *,
    project: Project = Project(),
    only: Only = (),
    fresh: Fresh = False,
    verbose: Verbose = False,
    log_format: LogFormat = "auto",
    detach: Detach = False,
    training: Training = Training(),
    sweep: SweepSpace = None,
    search: SweepSearch = SweepSearch(),
    spending: Spending = Spending(),
    machine: Machine = Machine(),
    faceapi: FaceApi = FaceApi(),
    tracking: Tracking = Tracking(),
) -> int:
    """Run the seven experiments, print their table and write reports/. What is done is not run again; what was
    interrupted goes on. Exit code: 0 all done, 1 something failed, 2 bad input, 130 interrupted."""
    hardware, options, choice = machine.hardware, search.options(sweep, spending.deadline), tracking.choice
    set_environment(local=hardware.address is None)
    settings = Settings(training.recipe(), faceapi.settings)
    look = Look(log_format, verbose)
    planner, steps, sweeps = _plan(project.paths, select(only), settings, options, look.console, fresh=fresh)
    return _run(steps, sweeps, planner, hardware, choice, look, spending, fresh=fresh, detach=detach)


def plan(
    *,
    project: Project = Project(),
    only: Only = (),
    fresh: Fresh = False,
    training: Training = Training(),
    sweep: SweepSpace = None,
    search: SweepSearch = SweepSearch(),
    spending: Spending = Spending(),
    faceapi: FaceApi = FaceApi(),
    simulation: Simulation = Simulation(),
) -> None:
    """Show what run-all would do: on what data, what is done or stale and why, how long it would take here, and what it
    would cost. Takes those of run-all's options that say what runs."""
    simulation.check()
    options = search.options(sweep, spending.deadline)
    settings = Settings(training.recipe(), faceapi.settings)
    console = Terminal()
    planner, steps, sweeps = _plan(project.paths, select(only), settings, options, console, fresh=fresh)
    print_plan(console, steps, running=is_running(planner.paths), more=remaining(sweeps, planner))
    todo = left_to_do(steps, sweeps)
    check_room(todo, planner, Hardware(), console)
    if wants_imagenet(todo):
        say_how_imagenet_comes(console)
    asked = bool(sweeps) or spending != Spending() or simulation.on_cpus
    outlook = look_ahead(steps, sweeps, planner, Hardware(), console, measure=asked)
    if sweeps:
        print_estimate(console, sweeps, planner, outlook)
    say_hours(outlook, spending, console)
    if outlook.lacks_speed:
        say(console, "how long that takes is not known before a first run; --price-per-hour PRICE measures it")
    print_simulations(console, simulation, Planned(steps, sweeps, planner, spending.seconds), outlook)
    check_budget(outlook, spending)


def sweep(
    experiments: Annotated[tuple[str, ...], option("Names or globs, such as finetune_M1 or 'finetune_*'.")],
    /,
    *,
    project: Project = Project(),
    fresh: Fresh = False,
    verbose: Verbose = False,
    log_format: LogFormat = "auto",
    detach: Detach = False,
    training: Training = Training(),
    space: Space = "lr",
    search: SweepSearch = SweepSearch(),
    spending: Spending = Spending(),
    machine: Machine = Machine(),
    tracking: Tracking = Tracking(),
) -> int:
    """Search around an experiment's defaults, run the best again on new seeds, and say what may be said: better, worse
    or cannot tell. Writes reports/sweeps/. Exit codes as run-all's."""
    hardware, choice = machine.hardware, tracking.choice
    options = search.options(space, spending.deadline, "--space")
    set_environment(local=hardware.address is None)
    settings = Settings(training.recipe())
    chosen = select(experiments, "sweep")
    faceapi = [e.name for e in chosen if not e.trains]
    if faceapi:
        raise ConfigError(f"{', '.join(faceapi)}: trains nothing, so there is nothing to sweep")
    look = Look(log_format, verbose)
    planner, _, sweeps = _plan(project.paths, chosen, settings, options, look.console, fixed=False, fresh=fresh)
    return _run([], sweeps, planner, hardware, choice, look, spending, fresh=fresh, detach=detach)


def _plan(
    paths: ProjectPaths,
    experiments: Sequence[Experiment],
    settings: Settings,
    options: SweepOptions | None,
    console: Console,
    *,
    fixed: bool = True,
    fresh: bool,
) -> tuple[Planner, list[Run | FaceApiEvaluation], list[Sweep]]:
    """The experiments, and a sweep of each that trains.

    Args:
        fixed: the experiments themselves run too, and are the sweeps' defaults; else only where they are done.
    """
    inputs = check_inputs(experiments, settings, paths)
    planner = Planner(inputs, settings, paths, partial(hashing_bar, console))
    steps = planner.plan(experiments, fresh=fresh)
    if options is None:
        return planner, steps, []
    if not inputs.configs:
        raise ConfigError("--sweep: none of the experiments trains, so there is nothing to sweep")
    spaces = plan_spaces(inputs.configs, options)
    sweeps = [
        plan_sweep(base, spaces[base.name], options, planner, fixed=fixed or base.status == "done", fresh=fresh)
        for base in steps
        if isinstance(base, Run)
    ]
    return planner, steps, sweeps


def _run(
    steps: Sequence[Step],
    sweeps: Sequence[Sweep],
    planner: Planner,
    hardware: Hardware,
    choice: TrackerChoice,
    look: Look,
    spending: Spending,
    *,
    fresh: bool,
    detach: bool,
) -> int:
    console, todo = look.console, left_to_do(steps, sweeps)
    outlook = look_ahead(steps, sweeps, planner, hardware, console, measure=spending.budget is not None)
    check_budget(outlook, spending)
    say_hours(outlook, spending, console)
    check_room(todo, planner, hardware, console)
    if wants_imagenet(todo):
        fetch_imagenet(console)
    if detach:
        return go_on_in_background(planner.paths, hardware.address, console)
    from orchestrator.execution.interrupts import hangups_held_back
    from orchestrator.execution.runner import run_steps

    preload = ["orchestrator.reporting.report"]
    command = "run-all" if steps else "sweep"
    with hangups_held_back(), tracked(choice, planner.paths, command, sweeps) as run:
        make_view = look.make_view(sweeps, planner, spending.price_per_hour)
        outcome = run.outcome = run_steps(
            steps, sweeps, planner, hardware, make_view, fresh=fresh, preload=preload, tracker=run.tracker,
            command=own_command(without=("--fresh",)),
        )  # fmt: skip
        keep_price(planner.paths, spending.price_per_hour)
        found = report_sweeps(sweeps, planner, console, alone=not steps)
        failures = {name: failure.message for name, failure in outcome.failures.items()}
        results = write_report(planner.paths, console, failures) if steps else []
    _say_how_it_ended(outcome, [step.name for step in steps if not step.to_do], console)
    look.tell_results(results, found, planner.paths, outcome)
    return outcome.exit_code


def _say_how_it_ended(outcome: Outcome, done: Sequence[str], console: Console) -> None:
    for name, clause in outcome.restored.items():
        say(console, f"{name}: {clause}")
    if done := [name for name in done if name not in {*outcome.restored, *outcome.failures}]:
        say(console, f"done before: {' '.join(done)}")
    if outcome.interrupted:
        say(console, f"interrupted; go on with: {own_command(without=('--fresh',))}")
    elif outcome.failures:
        names = ", ".join(outcome.failures)
        say(console, styled(("failed:", "red"), f" {names}; the same command tries again"))
