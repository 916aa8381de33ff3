"""Figures of a sweep: scores over the swept values, learning curves, parallel coordinates, and the confirmation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.reporting.figures import COLORS, FAINT, Figure, line, named_places, plain
from orchestrator.reporting.frames import read_rows
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json
from trainable.base.paths import RunPaths

SCORE = "best_val_macro_f1"
DEFAULT = "0"
"""The number of the trial that has the runbook's values."""
FINISHED = "finished"
LOGARITHMIC = 5
"""An axis is logarithmic where its largest value is more than this many times the smallest."""


def numbers_of(values: pd.Series) -> list[float] | None:
    """The values as floats; None where one is no finite number."""
    try:
        found: list[float] = values.astype(float).tolist()
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether an axis of these values is to be logarithmic."""
    return min(values) > 0 and max(values) / min(values) > LOGARITHMIC


def scored(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that have a score."""
    known = pd.to_numeric(trials[SCORE], errors="coerce")
    return trials[known.notna() & known.abs().ne(math.inf)]


def score_figure(name: str, parameter: str, trials: pd.DataFrame, chosen: str) -> Figure | None:
    """The best validation macro-F1 of each trial over a parameter; None for one that is no number, or has one value."""
    shown = scored(trials)
    values = numbers_of(shown[parameter])
    if values is None or len(set(values)) < 2:
        return None
    kinds = [_kind(row, chosen) for row in shown.to_dict("records")]
    scores = shown[SCORE].astype(float).tolist()
    rows = list(zip(shown["trial"], values, scores, kinds, strict=True))
    traces = [_dots(kind, [row for row in rows if row[-1] == kind]) for kind in _MARKERS if kind in kinds]
    axis: dict[str, Any] = {"title": {"text": plain(parameter)}}
    if is_logarithmic(values):
        axis |= {"type": "log", "exponentformat": "e"}
    layout = {"xaxis": axis, "yaxis": {"title": {"text": "macro-F1 (val best)"}}}
    title = f"{name}: validation macro-F1 over {parameter}"
    return Figure(_id(name, parameter), title, traces, ("trial", parameter, SCORE, "kind"), rows, layout, height=300)


def _dots(kind: str, rows: Sequence[tuple[str, float, float, str]]) -> dict[str, Any]:
    """The dots of the trials of one kind; a row is trial, value, score and kind."""
    trials, x, y, _ = zip(*rows, strict=True)
    return {
        "type": "scatter", "mode": "markers", "name": kind, "x": x, "y": y, "marker": _MARKERS[kind],
        "text": [f"trial {plain(trial)}" for trial in trials],
        "hovertemplate": "%{text}: %{y:.4f} at %{x:.3g}<extra></extra>",
    }  # fmt: skip


_MARKERS: dict[str, dict[str, Any]] = {
    "finished": {"color": COLORS[0], "size": 8},
    "stopped": {"color": COLORS[0], "size": 8, "symbol": "circle-open"},
    "default": {"color": COLORS[2], "size": 12, "symbol": "diamond"},
    "chosen": {"color": COLORS[1], "size": 14, "symbol": "star"},
    "default and chosen": {"color": COLORS[1], "size": 13, "symbol": "star-diamond"},
}


def _kind(row: Mapping[str, str], chosen: str) -> str:
    if row["trial"] == DEFAULT:
        return "default and chosen" if chosen == DEFAULT else "default"
    if row["trial"] == chosen:
        return "chosen"
    return "finished" if row["why_it_stopped"] == FINISHED else "stopped"


def curves_figure(name: str, trials: pd.DataFrame, chosen: str, output: Path) -> Figure | None:
    """Validation macro-F1 of each trial over the epochs, a cross where one was stopped; None without any.

    Args:
        output: the folder that the trials' own folders are named from.
    """
    traces, rows = [], []
    for row in trials.to_dict("records"):
        scores = _curve(output, row["folder"])
        if not scores:
            continue
        kind, epochs = _kind(row, chosen), list(range(1, len(scores) + 1))
        special = kind not in ("finished", "stopped")
        trial = f"trial {row['trial']}" + (f" ({kind})" if special else "")
        traces.append(_curve_trace(trial, epochs, scores, kind, special))
        rows += [(row["trial"], epoch, score) for epoch, score in zip(epochs, scores, strict=True)]
    if not traces:
        return None
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "macro-F1 (validation)"}}}
    title = f"{name}: learning curves; a cross is where a trial was stopped"
    return Figure(_id(name, "curves"), title, traces, ("trial", "epoch", "val_macro_f1"), rows, layout, height=320)


def _curve_trace(
    trial: str, epochs: Sequence[int], scores: Sequence[float], kind: str, special: bool
) -> dict[str, Any]:
    """The default and the chosen trial stand out; of the many others each is faint."""
    color, before = _MARKERS[kind]["color"] if special else FAINT, len(scores) - 1
    last, size = ("x", 9) if kind == "stopped" else ("circle", 4)
    marker = {"color": color, "size": [3] * before + [size], "symbol": ["circle"] * before + [last]}
    width, opacity = (3, 1) if special else (1, 0.55)
    return line(
        trial, epochs, scores, color, opacity=opacity, showlegend=special, line={"color": color, "width": width},
        marker=marker,
    )  # fmt: skip


def _curve(output: Path, folder: str) -> list[float]:
    """The scores of a trial, from its history or from the note of its stop; [] where there is neither."""
    run = RunPaths(output / folder)
    if ".." in Path(folder).parts or not run.out.is_relative_to(output):
        return []
    try:
        return pd.to_numeric(read_rows(run.history)["val_macro_f1"], errors="coerce").tolist()
    except (FileNotFoundError, ExperimentError, KeyError):
        stopped = read_json(run.stopped)
        scores = stopped.get("scores") if isinstance(stopped, dict) else None
        return [float(s) for s in scores if isinstance(s, int | float)] if isinstance(scores, list) else []


def parallel_figure(name: str, parameters: Sequence[str], trials: pd.DataFrame) -> Figure | None:
    """All parameters at once, a line a trial; None where fewer than three of them vary."""
    shown = scored(trials)
    axes = [_axis(parameter, shown[parameter]) for parameter in parameters if shown[parameter].nunique() > 1]
    if len(axes) < 3:
        return None
    scores = shown[SCORE].astype(float).tolist()
    marks = (min(scores), (min(scores) + max(scores)) / 2, max(scores))
    score_axis = {"label": "macro-F1", "values": scores, "tickvals": [*marks], "ticktext": [f"{m:.2f}" for m in marks]}
    dimensions = [*axes, score_axis]
    trace = {"type": "parcoords", "dimensions": dimensions, "labelangle": -20, "labelside": "bottom",
             "line": {"color": scores, "colorscale": [[0, FAINT], [1, COLORS[1]]]}}  # fmt: skip
    rows = shown[["trial", *parameters, SCORE]].to_numpy().tolist()
    layout = {"margin": {"l": 60, "r": 50, "t": 20, "b": 70}}
    title = f"{name}: all parameters; draw along an axis to choose trials"
    return Figure(_id(name, "parallel"), title, [trace], ("trial", *parameters, SCORE), rows, layout, height=340)


def _axis(parameter: str, values: pd.Series) -> dict[str, Any]:
    """An axis of numbers, logarithmic where they span much, or of texts."""
    numbers = numbers_of(values)
    if numbers is None:
        names = sorted(set(values))
        return {"label": plain(parameter), "values": [names.index(v) for v in values],
                "tickvals": [*range(len(names))], "ticktext": [plain(n) for n in names]}  # fmt: skip
    if not is_logarithmic(numbers):
        return {"label": plain(parameter), "values": numbers}
    marks = sorted({min(numbers), math.sqrt(min(numbers) * max(numbers)), max(numbers)})
    return {
        "label": f"{plain(parameter)} (log)",
        "values": [math.log10(number) for number in numbers],
        "tickvals": [math.log10(mark) for mark in marks],
        "ticktext": [f"{mark:.2g}" for mark in marks],
    }


def confirmation_figure(name: str, compared: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Test macro-F1 of each confirmed configuration, a dot a seed; None where nothing was confirmed."""
    if not compared:
        return None
    names = [f"trial {each['trial']}" + (" (default)" if str(each["trial"]) == DEFAULT else "") for each in compared]
    pairs = [(place, seed, score) for place, each in enumerate(compared)
             for seed, score in zip(each["all_seeds"], each["test_scores"], strict=True)]  # fmt: skip
    means = [each["test_macro_f1"][0] for each in compared]
    traces = [
        {"type": "scatter", "mode": "markers", "name": "one seed", "x": [score for *_, score in pairs],
         "y": [place for place, *_ in pairs], "text": [f"seed {seed}" for _, seed, _ in pairs],
         "marker": {"color": COLORS[0], "size": 7, "opacity": 0.7},
         "hovertemplate": "%{text}: %{x:.4f}<extra></extra>"},
        {"type": "scatter", "mode": "markers", "name": "mean", "x": means, "y": [*range(len(means))],
         "marker": {"color": COLORS[1], "size": 16, "symbol": "line-ns", "line": {"width": 3, "color": COLORS[1]}}},
    ]  # fmt: skip
    rows = [(names[place], seed, score) for place, seed, score in pairs]
    layout = {"xaxis": {"title": {"text": "macro-F1 (test)"}}, "yaxis": named_places(names)}
    title = f"{name}: the confirmation on new seeds"
    return Figure(_id(name, "confirmation"), title, traces, ("trial", "seed", "test_macro_f1"), rows, layout,
                  height=140 + 40 * len(names))  # fmt: skip


def _id(name: str, what: str) -> str:
    """An id of letters, digits and `-`; other characters become their numbers."""
    return "sweep-" + "".join(c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in f"{name} {what}")
