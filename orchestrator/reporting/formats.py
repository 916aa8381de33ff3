"""How figures are written for readers, on the terminal and on the page. A missing figure is a dash (–).

This module imports nothing heavy, because `plan` writes durations too.
"""

from __future__ import annotations

import math

METHODS = {"faceapi": "FaceAPI", "probe": "Probe", "finetune": "Finetune"}


def score(value: float | None) -> str:
    """Write a macro-F1 with four decimals, as the runbook does; "nan" where it is not a number."""
    return "–" if value is None else f"{value:.4f}"


def percent(value: float | None) -> str:
    """Write a fraction as a percentage with two decimals, as the runbook does."""
    if value is None or not math.isfinite(value):
        return score(value)
    return f"{100 * value:.2f}%"


def duration(seconds: float | None) -> str:
    """Write seconds as "41 s", "3:07" or "1:02:03"."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
