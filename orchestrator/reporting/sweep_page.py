"""The sweeps' part of reports/index.html, read from reports/sweeps/."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.planning.paths import ProjectPaths
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.files import read_json

WIDTH, HEIGHT, MARGIN = 260, 170, 34
_NOT_PARAMETERS = ("trial", "stage", "epochs", "best_val_macro_f1", "best_epoch", "seconds", "why_it_stopped", "folder")


@dataclass(frozen=True)
class Dot:
    """A trial in a panel, in pixels."""

    x: float
    y: float
    trial: str
    score: float
    finished: bool


@dataclass(frozen=True)
class Panel:
    """Best validation macro-F1 against one parameter: (position, text) of the ticks, and a dot a trial."""

    parameter: str
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Section:
    """One sweep."""

    experiment: Experiment
    parameters: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    compared: tuple[dict[str, Any], ...]
    chosen: str
    panels: tuple[Panel, ...]


def sweep_sections(paths: ProjectPaths) -> list[Section]:
    """The sweeps that have been reported, in the runbook's order; a file that is not ours is left out."""
    return [section for e in EXPERIMENTS if e.trains for section in [_section(e, paths)] if section is not None]


def _section(experiment: Experiment, paths: ProjectPaths) -> Section | None:
    try:
        with paths.sweep(experiment, ".csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        verdict = read_json(paths.sweep(experiment, "_verdict.json")) or {}
        parameters = tuple(name for name in rows[0] if name not in _NOT_PARAMETERS)
        panels = tuple(p for name in parameters for p in [_panel(name, rows)] if p is not None)
        compared = tuple(_compared(values) for values in verdict.get("compared", ()))
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, csv.Error):
        return None
    return Section(experiment, parameters, tuple(rows), compared, str(verdict.get("chosen")), panels)


def _compared(values: dict[str, Any]) -> dict[str, Any]:
    spread = {name: (statistics.fmean(values[name]), statistics.stdev(values[name])) for name in
              ("val_macro_f1", "test_macro_f1")}  # fmt: skip
    return {**values, **spread, "seeds": len(values["seeds"])}


def _panel(parameter: str, rows: Sequence[dict[str, str]]) -> Panel | None:
    """None for a parameter that is not a number, or has one value."""
    shown = [row for row in rows if row["best_val_macro_f1"]]
    try:
        values = [float(row[parameter]) for row in shown]
    except ValueError:
        return None
    if len(set(values)) < 2:
        return None
    logarithmic = min(values) > 0 and max(values) / min(values) > 5
    places = [math.log10(value) for value in values] if logarithmic else values
    scores = [float(row["best_val_macro_f1"]) for row in shown]
    x, y = _scale(places, MARGIN, WIDTH - 12), _scale(scores, HEIGHT - 24, 10)
    dots = tuple(
        Dot(x(place), y(score), row["trial"], score, row["why_it_stopped"] == "finished")
        for place, score, row in zip(places, scores, shown, strict=True)
    )
    ticks = tuple((x(places[i]), f"{values[i]:.3g}") for i in (values.index(min(values)), values.index(max(values))))
    levels = tuple((y(score), f"{score:.2f}") for score in (min(scores), max(scores)))
    return Panel(parameter + (" (log)" if logarithmic else ""), dots, ticks, levels)


def _scale(values: Sequence[float], start: float, end: float) -> Any:
    low, high = min(values), max(values)
    return lambda value: round(start + (value - low) / ((high - low) or 1.0) * (end - start), 1)
