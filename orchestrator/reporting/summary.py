"""The runbook's section 7 table, with the published figures beside ours: as CSV and on the terminal."""

from __future__ import annotations

from typing import Any

from orchestrator.reporting.results import Result

COLUMNS = (
    "experiment", "split", "method", "epochs", "batch", "n", "val_macro_f1", "test_macro_f1", "test_top1", "coverage",
    "top1_all_rows", "published_val_macro_f1", "published_test_macro_f1", "published_top1", "published_coverage",
    "seconds", "notes",
)  # fmt: skip


METHODS = {"faceapi": "FaceAPI", "probe": "Probe", "finetune": "Finetune"}


def summary_row(result: Result) -> list[Any]:
    """One line of summary_overall_7exp.csv; rates are fractions with six decimals."""
    experiment, published = result.experiment, result.experiment.published
    values = {
        **{name: getattr(result, name) for name in COLUMNS if hasattr(result, name)},
        "experiment": experiment.folder,
        "split": experiment.split,
        "method": experiment.method,
        "published_val_macro_f1": published.val_macro_f1,
        "published_test_macro_f1": published.test_macro_f1,
        "published_top1": published.top1,
        "published_coverage": published.coverage,
        "notes": "; ".join(result.notes) if result.present else "; ".join(result.notes) or "no result yet",
    }
    return [round(v, 6) if isinstance(v, float) else v for v in (values[name] for name in COLUMNS)]


def score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}%"


def duration(seconds: float | None) -> str:
    """ "41 s", "3:07" or "1:02:03"."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
