"""The row that looks at the peak of a step, on a small project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.execution.allocation import BYTES_PER_IMAGE


def test_larger_batches_have_higher_peaks(measured: Callable[[str, int], dict[str, Any]]) -> None:
    """By about what trials ask the cluster for."""
    small, large = (measured("peak", batch)["bytes"] for batch in (2, 66))
    assert BYTES_PER_IMAGE / 2 < (large - small) / 64 < 1.25 * BYTES_PER_IMAGE
