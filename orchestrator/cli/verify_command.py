"""`python -m orchestrator verify`: whether results on disk are what their inputs and their own records say."""

from __future__ import annotations

from collections.abc import Sequence
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
    again = _to_do_again(rerun, epochs_at_most, chosen)
    inputs = check_inputs(chosen, settings, project.paths)
    planner = Planner(inputs, settings, project.paths, partial(hashing_bar, console))
    planner.hashes = ImageHashes()  # remembered ones would not tell of a change that kept a file's time and size
    steps = planner.plan(chosen)
    found = {step.name: compare_with_record(step, planner) for step in steps}
    again = [experiment for experiment in again if found[experiment.name].there]
    if not any(one.there for one in found.values()) or (rerun and not again):
        raise ConfigError(f"--output-root {planner.paths.output}: no result of {_names(rerun, chosen)} to verify")
    _print(console, list(found.values()), running=is_running(planner.paths))
    for step in [step for step in steps if step.experiment in again]:
        found[step.name] = _with_again(step, found[step.name], planner, epochs_at_most, console)
    return _conclude(console, [one for one in found.values() if one.there], len(again))


def _to_do_again(rerun: Sequence[str], epochs: int | None, chosen: Sequence[Experiment]) -> list[Experiment]:
    """The experiments of `--rerun`.

    Raises:
        ConfigError: one is unknown or not selected, or the number of epochs is no use.
    """
    if epochs is not None and not rerun:
        raise ConfigError("--epochs-at-most is about what is done again; say which with --rerun NAME")
    if epochs is not None and epochs < 1:
        raise ConfigError(f"--epochs-at-most must be at least 1, not {epochs}")
    names = [name.strip() for value in rerun for name in value.split(",")]
    asked = select(["*" if name == "all" else name for name in names], "--rerun") if rerun else ()
    left_out = [e.name for e in asked if e not in chosen]
    if left_out and "all" not in names:
        raise ConfigError(f"--rerun {', '.join(left_out)}: not among the experiments of --only")
    return [experiment for experiment in asked if experiment in chosen]


def _names(rerun: Sequence[str], chosen: Sequence[Experiment]) -> str:
    return ", ".join(rerun) or ", ".join(experiment.name for experiment in chosen)


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
