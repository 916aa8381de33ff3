"""Figures for plotly.js as plain data, each with the numbers that it shows."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.statistics.values import Estimate, Interval
from trainable.base.text import visible

COLORS = ("--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7")
"""Names of CSS variables; the page's script puts in their values, which differ between light and dark."""
FAINT = "--faint"
SCORE_AXIS = {"range": [0, 1], "tickformat": ".1f"}


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        id: unique on the page, of letters, digits and `-`.
        title: says what is seen, for a screen reader too.
        traces: of plotly.js.
        columns: names of the numbers.
        rows: the numbers, which the page offers as a table and as a CSV.
        layout: of plotly.js, without what all figures share.
        height: in pixels.
    """

    id: str
    title: str
    traces: Sequence[dict[str, Any]]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 280

    @property
    def spec(self) -> dict[str, Any]:
        """All of it as JSON knows it."""
        return {
            "traces": as_json(self.traces),
            "layout": as_json({**self.layout, "height": self.height}),
            "columns": list(self.columns),
            "rows": as_json([[visible(cell) if isinstance(cell, str) else cell for cell in row] for row in self.rows]),
        }


def as_json(value: Any) -> Any:
    """Lists, dicts and numbers as JSON has them: what is not a finite number is None."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def plain(text: str) -> str:
    """A text that plotly.js shows as it is; it takes some tags for markup."""
    return html.escape(visible(text), quote=False)


def ends(estimate: Estimate) -> tuple[float | None, float | None]:
    """The ends of an estimate's interval; None for one that has none."""
    interval = estimate.interval
    return (interval.low, interval.high) if isinstance(interval, Interval) else (None, None)


def dots(
    name: str, places: Sequence[float], estimates: Sequence[Estimate], color: str, **marker: Any
) -> dict[str, Any]:
    """Estimates as dots on horizontal intervals.

    Args:
        name: of the trace, in the legend.
        places: where on the y-axis.
        color: one of COLORS.
        marker: of plotly.js, besides colour and size.
    """
    found = [(each.value, *ends(each)) for each in estimates]
    return {
        "type": "scatter", "mode": "markers", "name": plain(name), "x": [value for value, *_ in found], "y": [*places],
        "marker": {"color": color, "size": 9, **marker}, "cliponaxis": False,
        "error_x": {
            "type": "data", "symmetric": False, "color": color, "thickness": 1.5, "width": 4,
            "array": [0 if high is None else high - value for value, _, high in found],
            "arrayminus": [0 if low is None else value - low for value, low, _ in found],
        },
        "hovertemplate": "%{x:.4f}<extra>" + plain(name) + "</extra>",
    }  # fmt: skip


def line(name: str, x: Sequence[Any], y: Sequence[Any], color: str, **more: Any) -> dict[str, Any]:
    """A line with small dots, which show where single epochs are."""
    return {
        "type": "scatter", "mode": "lines+markers", "name": plain(name), "x": [*x], "y": [*y],
        "line": {"color": color, "width": 2}, "marker": {"color": color, "size": 4}, **more,
    }  # fmt: skip


def named_places(names: Iterable[str]) -> dict[str, Any]:
    """A y-axis with a name at 0, 1, 2 and so on, downwards."""
    texts = [plain(name) for name in names]
    return {
        "tickmode": "array", "tickvals": [*range(len(texts))], "ticktext": texts, "range": [len(texts) - 0.5, -0.5],
        "automargin": True, "showgrid": False, "zeroline": False,
    }  # fmt: skip
