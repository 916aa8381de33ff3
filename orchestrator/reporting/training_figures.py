"""How a training went: loss, scores and learning rates over the epochs, with the stages and the best epoch."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pandas as pd

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.figures import COLORS, FAINT, Figure, line
from orchestrator.reporting.frames import read_rows
from orchestrator.reporting.material import Scored

_LOSS = (("train", "train_loss"), ("validation", "val_loss"))
_SCORES = (
    ("macro-F1 (validation)", "val_macro_f1"),
    ("accuracy (validation)", "val_accuracy"),
    ("accuracy (train)", "train_accuracy"),
)
_RATES = (("head", "lr_head"), ("backbone", "lr_backbone"))


def training_figures(paths: ProjectPaths, item: Scored) -> list[Figure] | None:
    """Three figures of a training's history.csv; None where there is none, as of a run that something else made.

    Raises:
        ExperimentError: the file is not readable.
        ValueError: an epoch, a stage or a score in it is not a number.
    """
    experiment = item.result.experiment
    if not experiment.trains or not item.result.present or not paths.run(experiment).history.is_file():
        return None
    history = read_rows(paths.run(experiment).history)
    if history.empty or not {"epoch", "stage", "val_macro_f1"} <= set(history.columns):
        return None
    numbers = history.apply(pd.to_numeric, errors="coerce")
    name = experiment.folder
    log = {"type": "log", "exponentformat": "e"}
    return [
        _figure(f"{name}-loss", f"{item.name}: loss", numbers, _LOSS, {"rangemode": "tozero"}),
        _figure(f"{name}-scores", f"{item.name}: scores", numbers, _SCORES, {"range": [0, 1.02]}),
        _figure(f"{name}-rates", f"{item.name}: learning rates", numbers, _RATES, log),
    ]


def _figure(
    id: str, title: str, history: pd.DataFrame, lines: tuple[tuple[str, str], ...], axis: dict[str, Any]
) -> Figure:
    """One figure of some columns of the history."""
    epochs = history["epoch"].tolist()
    known = [(name, column) for name, column in lines if column in history.columns and history[column].notna().any()]
    traces = [line(name, epochs, history[column].tolist(), COLORS[i]) for i, (name, column) in enumerate(known)]
    columns = ["epoch", "stage", *(column for _, column in known)]
    marks = _marks(history)
    if marks:
        title += "; dotted: a stage begins, dashed: the best epoch"
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": axis, "shapes": [mark for mark, _ in marks],
              "annotations": [note for _, note in marks], "margin": {"t": 26}}  # fmt: skip
    return Figure(id, title, traces, columns, history[columns].to_numpy().tolist(), layout, height=260)


def _marks(history: pd.DataFrame) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """A vertical line and its text for each beginning of a stage, and for the best epoch."""
    epochs, stages = history["epoch"].tolist(), history["stage"].tolist()
    begins = [(after, int(stage)) for (_, before), (after, stage) in pairwise(zip(epochs, stages, strict=True))
              if stage != before]  # fmt: skip
    marks = [_mark(epoch - 0.5, f"stage {stage}", "dot", FAINT) for epoch, stage in begins]
    if history["val_macro_f1"].notna().any():
        best = epochs[int(history["val_macro_f1"].fillna(-1).to_numpy().argmax())]  # the first of several
        marks.append(_mark(best, f"best: {best:g}", "dash", COLORS[2]))
    return marks


def _mark(x: float, text: str, dash: str, color: str) -> tuple[dict[str, Any], dict[str, Any]]:
    shape = {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": color, "width": 1.5, "dash": dash}}  # fmt: skip
    beginning = dash == "dot"
    note = {
        "x": x, "yref": "paper", "y": 1.0 if beginning else 1.09, "text": text, "showarrow": False, "xanchor": "left",
        "yanchor": "top" if beginning else "middle", "font": {"size": 10, "color": color},
    }  # fmt: skip
    return shape, note
