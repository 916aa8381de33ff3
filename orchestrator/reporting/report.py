"""The files of `reports/`: summary, per-class and confusion CSVs and index.html, made from what is on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import jinja2
import pandas as pd

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.class_tables import PER_CLASS_COLUMNS, row_shares
from orchestrator.reporting.faceapi_counts import COLUMNS as FACEAPI_COLUMNS
from orchestrator.reporting.formats import METHODS, duration, percent, score
from orchestrator.reporting.frames import rounded, write_frame
from orchestrator.reporting.results import Result
from orchestrator.reporting.summary import summary_table
from orchestrator.reporting.sweep_page import sweep_sections
from trainable.base.files import write_text
from trainable.base.text import visible

DETAILS = ("cm_counts", "cm_row_normalized", "per_class_metrics")
CORNER = "true\\pred"
"""The name of the first column of a confusion CSV."""


def write_reports(paths: ProjectPaths, results: Sequence[Result]) -> None:
    """Write all files of `reports/`, and remove the details of experiments without a result."""
    present = [result for result in results if result.present]
    write_frame(paths.summary, summary_table(results))
    write_frame(paths.per_class, _joined(present, [r.per_class for r in present], PER_CLASS_COLUMNS))
    write_frame(paths.faceapi_rows, _joined(present, [r.row_counts for r in present], FACEAPI_COLUMNS))
    for result in results:
        _write_details(paths, result)
    write_text(paths.index, _page(paths, results, present))


def _joined(results: Iterable[Result], tables: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Put the tables below each other, with the experiment's folder as the first column."""
    named = [table.assign(experiment=r.experiment.folder) for r, table in zip(results, tables, strict=True)]
    empty = pd.DataFrame(columns=["experiment", *columns])
    return pd.concat([table for table in named if len(table)] or [empty])[list(empty.columns)]


def _write_details(paths: ProjectPaths, result: Result) -> None:
    files = [paths.report(result.experiment, kind) for kind in DETAILS]
    if not result.present:
        for file in files:
            file.unlink(missing_ok=True)
        return
    matrices = [table.rename_axis(CORNER).reset_index() for table in (result.confusion, row_shares(result.confusion))]
    for file, table in zip(files, (*matrices, result.per_class), strict=True):
        write_frame(file, table)


def _page(paths: ProjectPaths, results: Sequence[Result], present: Sequence[Result]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) else value,
    )  # fmt: skip
    environment.filters |= {"score": score, "percent": percent, "duration": duration}
    template = environment.get_template("index.html.j2")
    return template.render(
        results=results,
        matrices=[(r, r.confusion.to_numpy().tolist(), _shades(r.confusion)) for r in present],
        faceapi=[(r.experiment, r.row_counts.to_dict("records")) for r in results if len(r.row_counts)],
        methods=METHODS,
        sweeps=sweep_sections(paths),
        made=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    )


def _shades(counts: pd.DataFrame) -> list[list[float]]:
    """The opacity of each cell of a confusion table: the cell's share of its row."""
    return [[rounded(share) for share in row] for row in row_shares(counts).to_numpy().tolist()]
