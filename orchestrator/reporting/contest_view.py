"""The fair comparison as the page shows it: its table, its figure and its remarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.reporting.contests import CONTEST_LEVEL, Contest
from orchestrator.reporting.figures import COLORS, FAINT, Figure, dots, ends, named_places
from orchestrator.statistics.comparison import PairedComparison


def contest_view(contests: Sequence[Contest]) -> dict[str, Any]:
    """The values that fair.html.j2 shows."""
    rows = [(c.candidate.name, where, found) for c in contests for where, found in c.settings if found is not None]
    return {
        "contests": contests,
        "contest_rows": rows,
        "contest_level": CONTEST_LEVEL,
        "contest_figure": _figure(rows) if rows else None,
        "contest_remarks": [remark for contest in contests for remark in _remarks(contest)],
    }


def _figure(rows: Sequence[tuple[str, str, PairedComparison]]) -> Figure:
    names = [f"{name}, {where}" for name, where, _ in rows]
    measures = (("macro-F1", "macro_f1", COLORS[0], -0.15), ("Top-1", "accuracy", COLORS[1], 0.15))
    differences = {name: [found.scores[key].difference for *_, found in rows] for name, key, *_ in measures}
    traces = [
        dots(name, [place + shift for place in range(len(rows))], differences[name], color)
        for name, _, color, shift in measures
    ]
    table = [
        (names[i], name, each.value, *ends(each)) for name, found in differences.items() for i, each in enumerate(found)
    ]
    layout = {
        "xaxis": {"title": {"text": "MobileNet − FaceAPI"}, "zeroline": False},
        "yaxis": named_places(names),
        "shapes": [{"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": FAINT}}],
    }
    title = f"MobileNet against FaceAPI on the same faces, with {100 * CONTEST_LEVEL:.4g} % intervals"
    return Figure("contests", title, traces, ("comparison", "score", "difference", "low", "high"), table, layout,
                  height=150 + 50 * len(rows))  # fmt: skip


def _remarks(contest: Contest) -> list[str]:
    """How the rows were joined, or why not, and labels that stand for other ones."""
    name = contest.candidate.name
    if contest.comparison is None:
        return [f"{name} is not compared: {contest.problem}."]
    found = contest.comparison
    said = [f"{name}: {found.join.statement()} FaceAPI found {100 * found.coverage.value:.1f} % of these faces."]
    if found.other_answers:
        said.append(f"{name}: on {found.other_answers:,} rows FaceAPI answered a class that this split does not have, "
                    "which counts as wrong.")  # fmt: skip
    others = {label: target for label, target in (contest.translated or {}).items() if target != label}
    if others:
        pairs = ", ".join(f"{label} as {target or 'no class of FaceAPI'}" for label, target in others.items())
        said.append(f"{name}: labels are compared in FaceAPI's words ({pairs}).")
    return said
