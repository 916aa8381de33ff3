"""The part of reports/index.html about sweeps, read from the files in reports/sweeps/."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.frames import read_rows
from orchestrator.reporting.sweep_results import spread
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json

WIDTH, HEIGHT, MARGIN = 260, 170, 34
_NOT_PARAMETERS = ("trial", "stage", "epochs", "best_val_macro_f1", "best_epoch", "seconds", "why_it_stopped", "folder")


@dataclass(frozen=True)
class Dot:
    """The point of one trial in a panel; `x` and `y` are in pixels from the upper left."""

    x: float
    y: float
    trial: str
    score: float
    finished: bool


@dataclass(frozen=True)
class Panel:
    """A plot of the best validation macro-F1 against one parameter.

    Attributes:
        parameter: the text below the x-axis.
        dots: one for each trial that has a score.
        ticks: the x-axis' marks, each a position in pixels and a text.
        levels: the y-axis' marks, likewise.
    """

    parameter: str
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Section:
    """One sweep as the page shows it.

    Attributes:
        parameters: the names of what was swept.
        trials: a row of text per trial, in the columns of reports/sweeps/<EXP>.csv.
        compared: the confirmed configurations, the default first: the entries of <EXP>_verdict.json, with (mean,
            standard deviation) in place of the scores, and the number of seeds in place of the seeds.
        chosen: the number of the chosen trial, as text.
    """

    experiment: Experiment
    parameters: tuple[str, ...]
    trials: pd.DataFrame
    compared: tuple[dict[str, Any], ...]
    chosen: str
    panels: tuple[Panel, ...]


def sweep_sections(paths: ProjectPaths) -> list[Section]:
    """Read the sweeps that have been reported, in the runbook's order; a file of another origin is left out."""
    return [section for e in EXPERIMENTS if e.trains for section in [_section(e, paths)] if section is not None]


def _section(experiment: Experiment, paths: ProjectPaths) -> Section | None:
    try:
        trials = read_rows(paths.sweep(experiment, ".csv"))
        verdict = read_json(paths.sweep(experiment, "_verdict.json")) or {}
        parameters = tuple(name for name in trials.columns if name not in _NOT_PARAMETERS)
        panels = tuple(p for name in parameters for p in [_panel(name, trials)] if p is not None)
        compared = tuple(_compared(values, parameters) for values in verdict.get("compared", ()))
    except (OSError, ExperimentError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if trials.empty:
        return None
    return Section(experiment, parameters, trials, compared, str(verdict.get("chosen")), panels)


def _compared(values: dict[str, Any], parameters: Sequence[str]) -> dict[str, Any]:
    scores = ("val_macro_f1", "test_macro_f1")
    found: dict[str, Any] = {name: spread([float(score) for score in values[name]]) for name in scores}
    if values.get("interval"):
        low, high = map(float, values["interval"])
        found |= {"interval": (low, high), "difference": float(values["difference"])}
    swept = {name: values["values"][name] for name in parameters}
    return {**values, **found, "values": swept, "seeds": len(values["seeds"])}


def _panel(parameter: str, trials: pd.DataFrame) -> Panel | None:
    """Plot the scores against a parameter. None for a parameter that is not a number, or has one value."""
    scored = pd.to_numeric(trials["best_val_macro_f1"], errors="coerce")
    shown = trials[np.isfinite(scored)]
    try:
        values = shown[parameter].astype(float).tolist()
    except ValueError:
        return None
    if not all(map(math.isfinite, values)):
        return None
    if len(set(values)) < 2:
        return None
    logarithmic = min(values) > 0 and max(values) / min(values) > 5
    places = [math.log10(value) for value in values] if logarithmic else values
    scores = shown["best_val_macro_f1"].astype(float).tolist()
    x, y = _scale(places, MARGIN, WIDTH - 12), _scale(scores, HEIGHT - 24, 10)
    finished = (shown["why_it_stopped"] == "finished").tolist()
    dots = tuple(map(Dot, map(x, places), map(y, scores), shown["trial"], scores, finished))
    ticks = tuple((x(places[i]), f"{values[i]:.3g}") for i in (values.index(min(values)), values.index(max(values))))
    levels = tuple((y(score), f"{score:.2f}") for score in (min(scores), max(scores)))
    return Panel(parameter + (" (log)" if logarithmic else ""), dots, ticks, levels)


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Map the range of `values` onto `start` to `end` (pixels, one decimal)."""
    low, high = min(values), max(values)
    return lambda value: round(start + (value - low) / ((high - low) or 1.0) * (end - start), 1)
