"""The files of `reports/`: summary, per-class and confusion CSVs and index.html, made from what is on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.class_tables import PER_CLASS_COLUMNS, row_shares
from orchestrator.reporting.faceapi_counts import COLUMNS as FACEAPI_COLUMNS
from orchestrator.reporting.frames import write_frame
from orchestrator.reporting.page import render_page
from orchestrator.reporting.results import Result
from orchestrator.reporting.summary import summary_table
from trainable.base.files import write_text

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
    write_text(paths.index, render_page(paths, results))


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
