"""reports/index.html: the page of all results, which answers first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.contest_view import contest_view
from orchestrator.reporting.contests import make_answers, make_contests
from orchestrator.reporting.doubts import all_doubts, own_doubts, weights_name
from orchestrator.reporting.formats import METHODS
from orchestrator.reporting.material import Notes, Scored, score_results
from orchestrator.reporting.overview import (
    PUBLISHED_ROWS,
    References,
    browser_sentence,
    intervals_figure,
    may_be_published_data,
    references,
)
from orchestrator.reporting.panels import make_panels
from orchestrator.reporting.provenance import origins, split_data
from orchestrator.reporting.rendering import render
from orchestrator.reporting.results import Result
from orchestrator.reporting.shared_images import same_photos
from orchestrator.reporting.sweep_page import sweep_sections


@dataclass(frozen=True)
class Row:
    """A row of the first table.

    Attributes:
        chips: what to distrust of it, in a few words each.
    """

    item: Scored
    chips: Sequence[str]

    @property
    def result(self) -> Result:
        return self.item.result

    @property
    def weights(self) -> str:
        return weights_name(self.item) if self.result.experiment.trains else ""

    @property
    def notes(self) -> str:
        return "; ".join(self.result.notes) or ("" if self.result.present else "no result yet")

    @property
    def published(self) -> dict[str, float | None]:
        """The published figures, None for all where the data cannot be the runbook's."""
        names = ("test_macro_f1", "top1", "coverage")
        known = may_be_published_data(self.item)
        return {name: getattr(self.result.experiment.published, name) if known else None for name in names}

    @staticmethod
    def minus(ours: float | None, theirs: float | None, factor: float = 1) -> str:
        """The difference with its sign; a dash where one of the two is missing."""
        if ours is None or theirs is None:
            return "–"
        return f"{factor * (ours - theirs):+.2f}" if factor != 1 else f"{ours - theirs:+.4f}"


def render_page(paths: ProjectPaths, results: Sequence[Result]) -> str:
    """The HTML of the page; what cannot be made of odd files is left out, and the page says so."""
    notes = Notes()
    items = score_results(paths, results, notes)
    contests = make_contests(items, notes)
    guesses = notes.of_each(items, "the guesses", references)
    sweeps = sweep_sections(paths, notes.texts)
    panels = make_panels(paths, items, notes)
    overview = intervals_figure(items, guesses)
    view = contest_view(contests)
    figures = [f for f in (overview, view["contest_figure"]) if f]
    figures += [figure for panel in panels for figure in panel.figures]
    figures += [figure for sweep in sweeps for figure in sweep.figures]
    values = {
        "answers": make_answers(items, contests),
        "browser": browser_sentence(items),
        "doubts": all_doubts(items),
        "rows": [Row(item, own_doubts(item)) for item in items],
        "published": any(map(may_be_published_data, items)),
        "published_rows": PUBLISHED_ROWS,
        "overview": overview,
        **view,
        "guesses": _by_test_set(items, guesses),
        "shared": _shared(items, notes),
        "panels": panels,
        "faceapi": [(i.result.experiment, i.result.row_counts.to_dict("records")) for i in items
                    if len(i.result.row_counts)],
        "sweeps": sweeps,
        "splits": split_data(paths, items, notes),
        "provenance": origins(paths, items, notes),
        "methods": METHODS,
        "problems": notes.texts,
    }  # fmt: skip
    return render("index.html.j2", values, figures)


def _by_test_set(items: Sequence[Scored], guesses: Mapping[str, References]) -> list[tuple[str, References]]:
    """The references of each split, once where all results of the split have the same ones."""
    found: dict[tuple[str, References], list[str]] = {}
    for item in items:
        experiment = item.result.experiment
        if experiment.name in guesses:
            found.setdefault((experiment.split, guesses[experiment.name]), []).append(METHODS[experiment.method])
    return [(f"{split} ({', '.join(methods)})", guess) for (split, guess), methods in found.items()]


def _shared(items: Sequence[Scored], notes: Notes) -> list[str]:
    with notes.guarding("which photos two splits share"):
        return same_photos(items)
    return []
