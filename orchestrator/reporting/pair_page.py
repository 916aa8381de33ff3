"""`compare --html`: two results, or two folders of results, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from orchestrator.history.place import finished
from orchestrator.reporting.answers import TEST, Source
from orchestrator.reporting.confidence import thumbnail
from orchestrator.reporting.figures import COLORS, FAINT, Figure, dots, ends, named_places
from orchestrator.reporting.pairs import Pair
from orchestrator.reporting.rendering import render
from orchestrator.statistics.answer import pair_answer
from orchestrator.statistics.values import Difference

PICTURES = 90
"""Rows that a page shows at most, some 4 kB each; its pairs share them."""
GROUPS = ("Only B is right", "Only A is right", "Neither is right")
SCORES = {"macro_f1": "macro-F1", "accuracy": "Top-1", "balanced_accuracy": "balanced accuracy",
          "cohen_kappa": "Cohen's kappa"}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A row on which the answers differ. `image` is the source of an <img>, "" where the image is not readable."""

    path: str
    true: str
    a: str
    b: str
    image: str


@dataclass(frozen=True)
class Group:
    """Rows on which the answers differ in the same way: the first `shown` of `count`."""

    title: str
    count: int
    shown: Sequence[Shown]


@dataclass(frozen=True)
class View:
    """One pair as the page shows it.

    Attributes:
        id: of letters, digits and `-`.
        rows: how many, and of which part.
        figure: None where both gave the same answers.
    """

    id: str
    name: str
    pair: Pair
    sentence: str
    rows: str
    scores: Sequence[tuple[str, Difference]]
    figure: Figure | None
    groups: Sequence[Group]

    @property
    def sides(self) -> tuple[tuple[str, Source, str], ...]:
        """The letter, the source and the date of each of the two."""
        both = (("A", self.pair.a.source), ("B", self.pair.b.source))
        return tuple((letter, side, finished(side.manifest) or "unknown date") for letter, side in both)


def render_pairs(names: tuple[str, str], found: Sequence[tuple[str, Pair]], refused: Sequence[str], root: Path) -> str:
    """The HTML of the page.

    Args:
        names: of A and B, as the user called them.
        found: the name and the comparison of each pair; the name of two single results is A's.
        refused: why others are not compared, in sentences.
        root: of the project, where the paths of the images begin.
    """
    most = max(1, PICTURES // (len(GROUPS) * len(found)))
    titles = ["B against A" if name == names[0] else name for name, _ in found]
    views = [_view(f"pair-{place}", titles[place], pair, root, most) for place, (_, pair) in enumerate(found)]
    pictures = any(row.image for view in views for group in view.groups for row in group.shown)
    values = {"names": names, "views": views, "refused": refused, "pictures": pictures}
    return render("comparison.html.j2", values, [view.figure for view in views if view.figure])


def _view(id: str, name: str, pair: Pair, root: Path, most: int) -> View:
    found = pair.comparison
    return View(
        id=id,
        name=name,
        pair=pair,
        sentence=pair_answer(found, "B", "A"),
        rows=f"{found.n:,} {'test' if pair.part == TEST else 'validation'} rows",
        scores=[(said, found.scores[score]) for score, said in SCORES.items()],
        figure=_figure(f"{id}-differences", name, pair) if len(pair.disagreements) else None,
        groups=_groups(pair.disagreements, root, most),
    )


def _groups(rows: pd.DataFrame, root: Path, most: int) -> list[Group]:
    only_a, only_b = rows["a"] == rows["true"], rows["b"] == rows["true"]
    chosen = (rows[only_b], rows[only_a], rows[~only_a & ~only_b])
    return [
        Group(title, len(some), [_shown(row, root) for row in some.head(most).to_numpy().tolist()])
        for title, some in zip(GROUPS, chosen, strict=True)
        if len(some)
    ]


def _shown(row: Sequence[str], root: Path) -> Shown:
    path, true, a, b = row
    return Shown(path, true, a, b, thumbnail(root, path))


def _figure(id: str, name: str, pair: Pair) -> Figure:
    """How much better B is: over all classes, and in each."""
    found = pair.comparison
    places = ["all classes", *found.support]
    measures = {
        "F1": [found.scores["macro_f1"], *found.class_f1.values()],
        "recall": [found.scores["balanced_accuracy"], *found.class_recall.values()],
    }
    estimates = {measure: [each.difference for each in differences] for measure, differences in measures.items()}
    colors, shifts = (COLORS[0], COLORS[1]), (-0.15, 0.15)
    traces = [
        dots(measure, [place + shift for place in range(len(places))], estimates[measure], color)
        for measure, color, shift in zip(estimates, colors, shifts, strict=True)
    ]
    table = [
        (place, measure, each.value, *ends(each))
        for measure, values in estimates.items()
        for place, each in zip(places, values, strict=True)
    ]
    zero = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": FAINT}}
    layout = {
        "xaxis": {"title": {"text": "B − A"}, "zeroline": False},
        "yaxis": named_places(places),
        "shapes": [zero],
    }
    title = f"{name}: B − A with 95 % intervals; to the right of the line B is better"
    columns = ("class", "score", "difference", "low", "high")
    return Figure(id, title, traces, columns, table, layout, height=150 + 40 * len(places))
