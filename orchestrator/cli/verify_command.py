"""`python -m orchestrator verify`: whether results on disk are what their inputs and their own records say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

from rich.console import Console

from orchestrator.cli.hashing import hashing_bar
from orchestrator.cli.options import RUN, FaceApi, Project, Training
from orchestrator.cli.terminal import Terminal, say, styled
from orchestrator.execution.lock import is_running
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Settings
from orchestrator.planning.steps import FaceApiEvaluation, Run
from orchestrator.verification.outcome import Verification
from orchestrator.verification.recorded import compare_with_record
from search_spaces.runbook import Experiment
from trainable.base.command_line import repeatable, whole
from trainable.base.errors import ConfigError
from trainable.cache.hashes import ImageHashes

Which = Annotated[
    tuple[str, ...],
    repeatable("Experiments to verify: names, commas between, repeated, or globs.", group=RUN, metavar="NAME"),
]
Rerun = Annotated[
    tuple[str, ...],
    repeatable(
        "Experiments to do again and to compare bit for bit: names as in --only, or all.", group=RUN, metavar="NAME"
    ),
]
EpochsAtMost = Annotated[
    int | None, whole("With --rerun: only the first N epochs of each training. Default: all.", group=RUN, metavar="N")
]


def verify(
    *,
    project: Project = Project(),
    only: Which = (),
    rerun: Rerun = (),
    epochs_at_most: EpochsAtMost = None,
    training: Training = Training(),
    faceapi: FaceApi = FaceApi(),
) -> int:
    """Say what changed since results were made: data, weights, recipe, and the results' own files. Takes the options of
    the run that made them. Exit code: 0 all the same, 1 something differs or could not be compared, 2 bad input."""
    settings, chosen, console = Settings(training.recipe(), faceapi.settings), select(only), Terminal()
    asked = _asked(rerun, epochs_at_most, chosen)
    inputs = check_inputs(chosen, settings, project.paths)
    planner = Planner(inputs, settings, project.paths, partial(hashing_bar, console))
    planner.hashes = ImageHashes()  # remembered ones would not tell of a change that kept a file's time and size
    steps = planner.plan(chosen)
    found = {step.name: compare_with_record(step, planner) for step in steps}
    _check_that_results_are_there(found, asked, planner)
    _print(console, list(found.values()), running=is_running(planner.paths))
    names = {experiment.name for experiments in asked.values() for experiment in experiments}
    again = [step for step in steps if step.name in names and found[step.name].there]
    for step in again:
        found[step.name] = _with_again(step, found[step.name], planner, epochs_at_most, console)
    return _conclude(console, [one for one in found.values() if one.there], len(again))


def _asked(rerun: Sequence[str], epochs: int | None, chosen: Sequence[Experiment]) -> dict[str, list[Experiment]]:
    """What each name or glob of `--rerun` means among the chosen experiments.

    Raises:
        ConfigError: a name is unknown or means none of them, or the number of epochs is no use.
    """
    if epochs is not None and not rerun:
        raise ConfigError("--epochs-at-most is about what is done again; say which with --rerun NAME")
    if epochs is not None and epochs < 1:
        raise ConfigError(f"--epochs-at-most must be at least 1, not {epochs}")
    names = {name.strip(): None for value in rerun for name in value.split(",") if name.strip()}
    globs = {name: "*" if name == "all" else name for name in names}
    if rerun:
        select(list(globs.values()) or rerun, "--rerun")  # all unknown names in one message
    meant = {name: [e for e in select([glob], "--rerun") if e in chosen] for name, glob in globs.items()}
    left_out = [name for name, experiments in meant.items() if not experiments]
    if left_out:
        raise ConfigError(f"--rerun {', '.join(left_out)}: not among the experiments of --only")
    return meant


def _check_that_results_are_there(
    found: Mapping[str, Verification], asked: Mapping[str, Sequence[Experiment]], planner: Planner
) -> None:
    """Raises ConfigError where nothing is, or nothing of what a name of `--rerun` means."""
    where = f"--output-root {planner.paths.output}"
    if not any(one.there for one in found.values()):
        raise ConfigError(f"{where}: no result of {', '.join(found)} to verify")
    absent = [name for name, experiments in asked.items() if not any(found[e.name].there for e in experiments)]
    if absent:
        raise ConfigError(f"--rerun {', '.join(absent)}: no result to compare with ({where})")


def _print(console: Console, found: Sequence[Verification], *, running: bool) -> None:
    """A line each, and what is not the same about the machine, once for all of which it holds."""
    for one in found:
        colour = "dim" if not one.there else "red" if one.differences else "yellow" if one.unverified else "green"
        say(console, styled((one.name, colour), f": {one.words}"))
    for remarks in dict.fromkeys(one.remarks for one in found if one.remarks):
        names = ", ".join(one.name for one in found if one.remarks == remarks)
        say(console, styled((f"since {names} (no failure): {'; '.join(remarks)}", "dim")))
    if running:
        say(console, "a run is writing here now: what it has not finished is not compared")


def _with_again(
    step: Run | FaceApiEvaluation, found: Verification, planner: Planner, epochs: int | None, console: Console
) -> Verification:
    from orchestrator.verification.again import do_again  # and ONNX Runtime's and Node's callers

    again = do_again(step, found, planner, epochs, lambda text: say(console, f"{step.name}: {text}"))
    say(console, f"{step.name}: {again.words}")
    return found.with_again(again)


def _conclude(console: Console, found: Sequence[Verification], again: int) -> int:
    """Print the first difference, or that there is none; returns the exit code."""
    for title, colour, trouble in (
        ("differs", "red", [(one, one.differences) for one in found]),
        ("not verified", "yellow", [(one, one.unverified) for one in found]),
    ):
        if first := next(((one, what[0]) for one, what in trouble if what), None):
            say(console, styled((f"{title}:", colour), f" {first[0].name}: {first[1]}"))
            return 1
    done = f", {again} of them done again" if again else ""
    say(console, f"{len(found)} result{'s' if len(found) > 1 else ''} verified{done}")
    return 0
