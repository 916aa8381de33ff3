"""`python -m orchestrator compare`: two results on the same rows, in 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.options import Project
from orchestrator.cli.terminal import Terminal, say, styled
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.formats import score
from search_spaces.runbook import EXPERIMENTS
from trainable.base.command_line import option
from trainable.base.errors import ConfigError, ExperimentError
from trainable.base.files import write_text

if TYPE_CHECKING:
    from orchestrator.reporting.answers import Source
    from orchestrator.reporting.pairs import Pair
    from orchestrator.statistics.values import Difference

SHOWN = 10
_WORDS = {"test": "test", "val": "validation"}
_COLOURS = {"better": "green", "worse": "red"}
_SIDE = "An experiment, a trial such as finetune_M1#3, a run's folder, or an output folder."


def compare(
    a: Annotated[str, option(_SIDE)],
    b: Annotated[str, option(_SIDE)],
    /,
    *,
    project: Project = Project(),
    csv: Annotated[Path | None, option("Write all rows on which the two disagree.", metavar="FILE")] = None,
    html: Annotated[
        Path | None, option("Write a page of it, with pictures of rows on which the two disagree.", metavar="FILE")
    ] = None,
) -> int:
    """Compare result B with result A on the same rows: data and recipe, scores with intervals and a verdict, and the
    rows on which they disagree. Exit code 2: their rows are not the same."""
    from orchestrator.reporting.answers import find_source  # and pandas

    first, second = (find_source(name, project.paths) for name in (a, b))
    _check({"--csv": csv, "--html": html})
    console = Terminal()
    refused: list[str] = []
    if isinstance(first, ProjectPaths) and isinstance(second, ProjectPaths):
        found, refused = _outputs(first, second, console)
    elif isinstance(first, ProjectPaths) or isinstance(second, ProjectPaths):
        raise ConfigError(f"{a} and {b}: one is an output folder, the other a single result; give two of a kind")
    else:
        found = [(a, _single(first, second, console))]
    if csv is not None and found:
        _write(csv, found, console)
    if html is not None and found:
        _write_page(html, (a, b), found, refused, project.paths, console)
    for sentence in refused:
        say(console, styled(("not compared:", "yellow"), f" {sentence}"))
    return 2 if refused else 0


def _check(files: Mapping[str, Path | None]) -> None:
    """Raises ConfigError where a file that is to be written is there already, or two are the same."""
    given = {name: file for name, file in files.items() if file is not None}
    for name, file in given.items():
        if file.exists():
            raise ConfigError(f"{name} {file}: is there already; give another name")
    if len({file.absolute() for file in given.values()}) < len(given):
        raise ConfigError(f"{' and '.join(given)} name the same file; give two names")


def _single(a: Source, b: Source, console: Console) -> Pair:
    from orchestrator.reporting.pairs import compare_sources

    pair = compare_sources(a, b)
    _print(pair, console)
    _print_rows(pair, console)
    return pair


def _outputs(a: ProjectPaths, b: ProjectPaths, console: Console) -> tuple[list[tuple[str, Pair]], list[str]]:
    """Compare all experiments that both output folders have; those that cannot be compared are named with the
    reason."""
    from orchestrator.reporting.answers import experiment_source
    from orchestrator.reporting.pairs import compare_sources

    found, refused, common = [], [], 0
    for experiment in EXPERIMENTS:
        sides = [experiment_source(str(paths.manifest(experiment).parent), experiment, paths) for paths in (a, b)]
        if not all(side.there for side in sides):
            continue
        common += 1
        try:
            pair = compare_sources(*sides)
        except ConfigError as error:
            refused.append(f"{experiment.name}: {error}")
            continue
        say(console, styled((experiment.name, "bold")))
        _print(pair, console)
        found.append((experiment.name, pair))
    if not common:
        raise ConfigError(f"{a.output} and {b.output}: no experiment is finished in both")
    return found, refused


def _print(pair: Pair, console: Console) -> None:
    """What the two are, their scores, and what may be said."""
    for letter, side in (("A", pair.a.source), ("B", pair.b.source)):
        when = str(side.manifest.get("finished", "unknown date")).replace("+00:00", "Z")
        say(console, f"{letter}: {side.name} ({when})")
    say(console, f"A -> B: {pair.differs}")
    found = pair.comparison
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(f"{found.n} {_WORDS[pair.part]} rows", no_wrap=True)
    for name in ("A", "B", "B - A", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("B is", overflow="fold")
    scores = {"macro-F1": found.scores["macro_f1"], "accuracy": found.scores["accuracy"]}
    for name, of in scores.items():
        verdict = styled((str(of.verdict), _COLOURS.get(str(of.verdict), "")))
        difference = f"{of.difference.value:+.4f}"
        table.add_row(name, score(of.reference), score(of.candidate), difference, _interval(of), verdict)
    console.print(table)
    for name, of in scores.items():
        if of.reason:
            say(console, f"{name} has no interval: {of.reason}")
    agreement = found.agreement
    text = f"only A right: {agreement.only_reference} rows; only B right: {agreement.only_candidate}"
    if found.mcnemar_p is not None:
        text += f"; McNemar's exact test: p = {found.mcnemar_p:.3g}"
    else:
        text += f"; {found.units} persons were resampled, not rows"
    say(console, text)
    say(console, f"the answers differ on {len(pair.disagreements)} of {found.n} rows")


def _interval(of: Difference) -> str:
    from orchestrator.statistics.values import NoInterval

    interval = of.difference.interval
    return "–" if isinstance(interval, NoInterval) else f"[{interval.low:+.4f}, {interval.high:+.4f}]"


def _print_rows(pair: Pair, console: Console) -> None:
    """The first rows on which the answers differ."""
    rows = pair.disagreements
    if rows.empty:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("True", "A", "B", "Path"):
        table.add_column(name, overflow="fold")
    for row in rows.head(SHOWN).itertuples(index=False):
        table.add_row(row.true, row.a or "–", row.b or "–", row.path)
    console.print(table)
    if len(rows) > SHOWN:
        say(console, f"and {len(rows) - SHOWN} more (--csv FILE writes all)")


def _write(file: Path, found: list[tuple[str, Pair]], console: Console) -> None:
    from orchestrator.reporting.frames import write_frame
    from orchestrator.reporting.pairs import all_disagreements

    rows = all_disagreements(found)
    try:
        write_frame(file, rows)
    except OSError as error:
        raise ExperimentError(f"--csv {file}: cannot be written ({error.strerror})") from error
    say(console, f"{len(rows)} rows on which they differ: {file}")


def _write_page(
    file: Path,
    names: tuple[str, str],
    found: list[tuple[str, Pair]],
    refused: list[str],
    paths: ProjectPaths,
    console: Console,
) -> None:
    from orchestrator.reporting.pair_page import render_pairs

    page = render_pairs(names, found, refused, paths.root)
    try:
        write_text(file, page)
    except OSError as error:
        raise ExperimentError(f"--html {file}: cannot be written ({error.strerror})") from error
    say(console, f"as a page: {file}")
