"""The commands beside the run: report, faceapi, demo-data, cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console

from orchestrator.cli.options import FaceApi, Project
from orchestrator.cli.terminal import Terminal, say
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.selection import select
from search_spaces.runbook import EXPERIMENTS
from trainable.base.command_line import flag, option, whole
from trainable.base.errors import ConfigError, ExperimentError

if TYPE_CHECKING:
    from orchestrator.reporting.results import Result

_BELOW_THE_TABLE = 3
"""Lines: the report's path, how the run ended, and the shell's prompt."""


def report(*, project: Project = Project()) -> None:
    """Rebuild the table and reports/ from what is on disk."""
    paths = project.paths
    if not paths.output.is_dir():
        raise ConfigError(f"{paths.output}: no such folder; nothing to report on")
    if not (paths.root / "data_shared").is_dir() and not any(_has_results(paths)):
        raise ConfigError(f"{paths.output}: holds neither data_shared/ nor results (--project-root, --output-root)")
    write_report(paths, Terminal(), {})


def faceapi(
    *,
    project: Project = Project(),
    compare: Annotated[bool, flag("Run both engines on a sample; exit code 1 if they differ.")] = False,
    sample: Annotated[int, whole("Rows per split to compare.")] = 64,
    faceapi: FaceApi = FaceApi(),
) -> int:
    """Show which engine and weights FaceAPI would run with, or compare both engines on M1 and M2."""
    from orchestrator.cli.faceapi_command import show_comparison, show_setup

    paths = project.paths
    if not paths.root.is_dir():
        raise ConfigError(f"--project-root {paths.root}: no such folder")
    if not compare:
        show_setup(faceapi.settings, paths, Terminal())
        return 0
    return 0 if show_comparison(select(["faceapi_*"]), faceapi.settings, paths, Terminal(), sample) else 1


def demo_data(
    root: Annotated[Path, option("Folder to make; it becomes a project root.")],
    /,
    *,
    seed: Annotated[int, whole("Other seeds draw other faces.")] = 1337,
) -> None:
    """Draw the built-in data set of synthetic faces, laid out as a project, with a recipe.json to train it with."""
    from orchestrator.demo.dataset import write_demo
    from search_spaces.demo import RECIPE
    from trainable.base.files import write_json

    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root}: is a file, but must be a folder")
    console = Terminal()
    say(console, "drawing faces; this takes some seconds")
    try:
        summary = write_demo(root, seed)
    except FileExistsError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{root}: cannot be written to ({error.strerror})") from error
    write_json(root / "recipe.json", RECIPE)
    done = "drawn" if summary.created else "there already"
    say(console, f"{sum(summary.rows.values())} photos and their crops {done}: {root}")


def cache(*, clear: Annotated[bool, flag("Delete all of it; what is needed is made again.")] = False) -> None:
    """Show the decoded images and frozen features that this machine keeps, or delete them."""
    from orchestrator.cli.cache_table import print_cache, usable_root
    from orchestrator.planning.room import size_text
    from trainable.cache.folder import clear as delete

    if clear:
        root = usable_root()
        say(Terminal(), f"{size_text(delete(root))} freed: {root}")
    else:
        print_cache(Terminal())


def _has_results(paths: ProjectPaths) -> list[bool]:
    folders = {paths.manifest(experiment).parent for experiment in EXPERIMENTS}
    sweeps = {paths.trials(experiment) for experiment in EXPERIMENTS if experiment.trains}
    return [folder.is_dir() for folder in (*folders, *sweeps)]


def refresh_report(paths: ProjectPaths) -> None:
    """Write the files of reports/ alone, from what is on disk."""
    from orchestrator.reporting.report import write_reports
    from orchestrator.reporting.results import collect

    write_reports(paths, collect(paths, {}))


def write_report(paths: ProjectPaths, console: Console, failures: Mapping[str, str]) -> Sequence[Result]:
    """Print the table and write the files of reports/, from what is on disk. Returns the results.

    Raises:
        ExperimentError: the files cannot be written; the table is printed.
    """
    from orchestrator.cli.summary_table import print_summary
    from orchestrator.reporting.report import write_reports
    from orchestrator.reporting.results import collect

    results = collect(paths, failures)
    lines = print_summary(console, results)
    try:
        write_reports(paths, results)
    except OSError as error:
        raise ExperimentError(f"{paths.reports}: cannot be written to ({error.strerror})") from error
    hidden = console.is_terminal and lines + _BELOW_THE_TABLE > console.size.height
    say(console, f"report: {paths.index}" + (f" (the table begins {lines} lines above)" if hidden else ""))
    return results
