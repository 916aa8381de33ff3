"""`reports/`: the summary, per-class and confusion CSVs and index.html, rebuilt from what is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import jinja2

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting import faceapi_counts as counts
from orchestrator.reporting.results import Result
from orchestrator.reporting.summary import COLUMNS, METHODS, duration, percent, score, summary_row
from orchestrator.reporting.sweep_page import sweep_sections
from trainable.base.files import write_csv, write_text

PER_CLASS = ("precision", "recall", "f1", "support")


def write_reports(paths: ProjectPaths, results: Sequence[Result]) -> None:
    """All files of `reports/`; those of experiments without a result are removed."""
    write_csv(paths.summary, COLUMNS, map(summary_row, results))
    present = [result for result in results if result.present]
    lines = [(r.experiment.folder, *line) for r in present for line in _per_class(r)]
    write_csv(paths.per_class, ("experiment", "class", *PER_CLASS), lines)
    lines = [(r.experiment.folder, *c.line()) for r in present for c in r.rows]
    write_csv(paths.faceapi_rows, ("experiment", *counts.COLUMNS), lines)
    for result in results:
        _write_details(paths, result)
    write_text(paths.index, _page(paths, results, present))


def _write_details(paths: ProjectPaths, result: Result) -> None:
    kinds = ("cm_counts", "cm_row_normalized", "per_class_metrics")
    counts, shares, per_class = (paths.report(result.experiment, kind) for kind in kinds)
    if not result.present:
        for file in (counts, shares, per_class):
            file.unlink(missing_ok=True)
        return
    header = ("true\\pred", *result.classes)
    write_csv(counts, header, ((c, *row) for c, row in zip(result.classes, result.confusion, strict=True)))
    write_csv(shares, header, ((c, *row) for c, row in zip(result.classes, row_shares(result.confusion), strict=True)))
    write_csv(per_class, ("class", *PER_CLASS), _per_class(result))


def _per_class(result: Result) -> list[tuple[object, ...]]:
    found = result.metrics["per_class"]
    return [(c, *(round(found[c][k], 6) if k != "support" else found[c][k] for k in PER_CLASS)) for c in result.classes]


def row_shares(counts: Sequence[Sequence[int]]) -> list[list[float]]:
    """Each row divided by its sum, six decimals; a row without support stays 0."""
    return [[round(value / max(1, sum(row)), 6) for value in row] for row in counts]


def _page(paths: ProjectPaths, results: Sequence[Result], present: Sequence[Result]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": score, "percent": percent, "duration": duration}
    template = environment.get_template("index.html.j2")
    return template.render(
        results=results,
        present=[(result, row_shares(result.confusion)) for result in present],
        methods=METHODS,
        sweeps=sweep_sections(paths),
        made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    )
