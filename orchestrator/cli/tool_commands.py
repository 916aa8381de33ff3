"""The commands beside the run: report, faceapi, demo-data, cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.options import (
    FaceApiEngine,
    FaceApiLabel,
    FaceApiModels,
    FaceApiScript,
    InputSize,
    OutputRoot,
    ProjectRoot,
    ScoreThreshold,
    faceapi_settings,
)
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.selection import select
from trainable.base.errors import ConfigError


def report(project_root: ProjectRoot = Path(), output_root: OutputRoot = None) -> None:
    """Rebuild the table and reports/ from what is on disk."""
    paths = ProjectPaths(project_root, output_root or project_root)
    if not paths.output.is_dir():
        raise ConfigError(f"{paths.output}: no such folder; nothing to report on")
    write_report(paths, Console(), {})


def faceapi(
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
    from orchestrator.cli.faceapi_command import show_comparison, show_setup

    settings = faceapi_settings(
        faceapi_script, faceapi_models, faceapi_label, faceapi_input_size, faceapi_score_threshold, faceapi_engine
    )
    paths = ProjectPaths(project_root, output_root or project_root)
    if not compare:
        show_setup(settings, paths, Console())
    elif not show_comparison(select(["faceapi_*"]), settings, paths, Console(), sample):
        raise typer.Exit(1)


def demo_data(
    root: Annotated[Path, typer.Argument(help="Folder to make; it becomes a project root.")],
    seed: Annotated[int, typer.Option(help="Other seeds draw other faces.")] = 1337,
) -> None:
    """Draw the built-in data set of synthetic faces, laid out as a project, with a recipe.json to train it with."""
    from orchestrator.demo.dataset import write_demo
    from search_spaces.demo import RECIPE
    from trainable.base.files import write_json

    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root}: is a file, but must be a folder")
    typer.echo("drawing faces; this takes some seconds")
    try:
        summary = write_demo(root, seed)
    except FileExistsError as error:
        raise ConfigError(str(error)) from error
    write_json(root / "recipe.json", RECIPE)
    done = "drawn" if summary.created else "there already"
    typer.echo(f"{sum(summary.rows.values())} photos and their crops {done}: {root}")


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it; what is needed is made again.")] = False,
) -> None:
    """Show the decoded images and frozen features that this machine keeps, or delete them."""
    from orchestrator.cli.cache_table import print_cache, size_text, usable_root
    from trainable.cache.folder import clear as delete

    if clear:
        root = usable_root()
        typer.echo(f"{size_text(delete(root))} freed: {root}")
    else:
        print_cache(Console())


def refresh_report(paths: ProjectPaths) -> None:
    """The files of reports/ alone."""
    from orchestrator.reporting.report import write_reports
    from orchestrator.reporting.results import collect

    write_reports(paths, collect(paths, {}))


def write_report(paths: ProjectPaths, console: Console, failures: Mapping[str, str]) -> None:
    """The table on the terminal and the files of reports/, from what is on disk."""
    from orchestrator.cli.summary_table import print_summary
    from orchestrator.reporting.report import write_reports
    from orchestrator.reporting.results import collect

    results = collect(paths, failures)
    write_reports(paths, results)
    print_summary(console, results)
    console.print(f"report: {paths.index}", highlight=False, soft_wrap=True)
