"""`python -m orchestrator history`: the earlier results of each experiment, and their deletion."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from rich.console import Console

from orchestrator.cli.options import Project
from orchestrator.cli.terminal import Terminal, say, styled
from orchestrator.execution.lock import only_one
from orchestrator.history.listing import Kept, delete, finish_time, kept_results, to_prune
from orchestrator.history.place import Place
from orchestrator.history.store import changes
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.room import size_text
from orchestrator.planning.selection import select
from orchestrator.reporting.formats import percent, score
from search_spaces.runbook import Experiment
from trainable.base.command_line import flag, option, whole
from trainable.base.errors import ConfigError, ExperimentError
from trainable.base.files import read_json
from trainable.base.paths import RunPaths
from trainable.base.text import one_line
from trainable.run.identity import Identity


def history(
    experiments: Annotated[tuple[str, ...], option("Names or globs. Default: all.", show_default=False)] = (),
    /,
    *,
    project: Project = Project(),
    prune: Annotated[bool, flag("Delete earlier results, never the current ones; say which.")] = False,
    keep: Annotated[int | None, whole("With --prune: the newest of each experiment that stay.", metavar="N")] = None,
    older_than: Annotated[
        float | None, option("With --prune: delete only what is older than so many days.", metavar="DAYS")
    ] = None,
) -> None:
    """List earlier results: when, how their recipe differs from the current one's, scores and sizes. run-all with an
    earlier recipe brings its result back without training."""
    paths, console, chosen = project.paths, Terminal(), select(experiments, "history")
    if not paths.output.is_dir():
        raise ConfigError(f"{paths.output}: no such folder (--project-root, --output-root)")
    _check(prune, keep, older_than)
    if prune:
        with only_one(paths):
            _prune(chosen, paths, keep, older_than, console)
        return
    kept = {experiment: kept_results(paths.place(experiment)) for experiment in chosen}
    for experiment, found in kept.items():
        _print(experiment, paths.place(experiment), found, console)
    count, size = sum(map(len, kept.values())), sum(one.size for found in kept.values() for one in found)
    say(console, f"{count} earlier result{'' if count == 1 else 's'}, {size_text(size)}" if count else _NOTHING)


_NOTHING = "no earlier results"


def _check(prune: bool, keep: int | None, older_than: float | None) -> None:
    """Raises ConfigError where the options say nothing that can be done."""
    limits = {"--keep": keep, "--older-than": older_than}
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        if not prune:
            raise ConfigError(f"{name} says what --prune deletes; give --prune, too")
        if not 0 <= value < 1e6:  # NaN is neither
            raise ConfigError(f"{name} must be 0 or more, not {value}")
    if prune and not given:
        raise ConfigError("--prune deletes results: say which with --keep N or --older-than DAYS")


def _print(experiment: Experiment, place: Place, found: list[Kept], console: Console) -> None:
    """A line each, with what differs from the current result below; nothing where there is no earlier one."""
    if not found:
        return
    say(console, styled((experiment.name, "bold")))
    current = place.current
    if current:
        when = finish_time(current)
        size = sum(file.stat().st_size for file in (*place.files, place.manifest) if file.is_file())
        say(console, _line("current", when, _scores(experiment, place, place.manifest.parent), size))
    for one in found:
        scores = _scores(experiment, place, one.folder) if one.epoch is None else f"unfinished, after epoch {one.epoch}"
        say(console, _line(one.folder.name.partition(".")[0], one.when, scores, one.size))
        say(console, styled((f"    {_difference(one, current.get('identity'))}", "dim")))


def _difference(one: Kept, current: Identity | None) -> str:
    if not one.record:
        return "nothing says what made it"
    if current is None:
        return "no current result to compare it with"
    return one_line(f"{changes(current, one.record['identity'])} (current -> this)")


def _line(name: str, when: datetime | None, scores: str, size: int) -> str:
    date = f"{when.astimezone():%Y-%m-%d %H:%M}" if when else "unknown date"
    return f"  {name:<12} {date:<16}  {scores:<37} {size_text(size):>8}"


def _scores(experiment: Experiment, place: Place, folder: Path) -> str:
    """The main scores of a result; dashes where its files do not say them."""
    if experiment.trains:
        val, test = read_json(RunPaths(folder).val_metrics), read_json(RunPaths(folder).test_metrics)
        macro_f1 = [score(_number(values, "macro_f1")) for values in (val, test)]
        return f"F1 val {macro_f1[0]} test {macro_f1[1]} Top-1 {percent(_number(test, 'accuracy'))}"
    from orchestrator.reporting.faceapi_counts import count_rows  # and pandas
    from orchestrator.reporting.frames import read_rows

    try:
        whole = count_rows(read_rows(folder / place.files[0].name), []).iloc[0]
    except (OSError, ExperimentError, KeyError, ValueError):
        return "Top-1 –"
    return f"Top-1 {percent(float(whole['matched_top1']))} coverage {percent(float(whole['coverage']))}"


def _number(values: object, name: str) -> float | None:
    value = values.get(name) if isinstance(values, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _prune(
    chosen: tuple[Experiment, ...], paths: ProjectPaths, keep: int | None, older_than: float | None, console: Console
) -> None:
    places = [(experiment, paths.place(experiment)) for experiment in chosen]
    now = datetime.now(UTC)
    late = [
        (experiment, one)
        for experiment, place in places
        for one in to_prune(kept_results(place), keep, older_than, now)
    ]
    if not late:
        say(console, "nothing to delete")
        return
    size = size_text(sum(one.size for _, one in late))
    say(console, f"deleting {len(late)} earlier result{'' if len(late) == 1 else 's'}, {size}")
    for experiment, one in late:
        delete(one)
        say(console, f"deleted: {experiment.name} {one.folder.name} of {one.when.astimezone():%Y-%m-%d %H:%M}")
