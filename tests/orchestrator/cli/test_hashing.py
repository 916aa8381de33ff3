"""The bar while images are hashed: on a terminal, for what takes longer than a second, and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from orchestrator.cli.hashing import hashing_bar


def drawn(seconds: Sequence[float], calls: Sequence[tuple[int, int]], *, terminal: bool) -> str:
    """What is drawn when the clock says `seconds`, at the beginning and at each call."""
    out, times = io.StringIO(), iter(seconds)
    with hashing_bar(Console(file=out, force_terminal=terminal, width=80), lambda: next(times)) as progress:
        for done, total in calls:
            progress(done, total)
    return out.getvalue()


def test_more_than_a_second_of_hashing_has_a_bar_on_a_terminal() -> None:
    text = drawn([0, 0.5, 1.5], [(10, 1000), (300, 1000)], terminal=True)
    assert "hashing images" in text and "300/1000" in text


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [([0, 0.5, 0.9], [(10, 1000), (900, 1000)]), ([0, 5], [(1000, 1000)]), ([0], [])],
    ids=["short", "all known", "none"],
)
def test_less_than_a_second_of_hashing_draws_nothing(seconds: list[float], calls: list[tuple[int, int]]) -> None:
    assert drawn(seconds, calls, terminal=True) == ""


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    assert drawn([0, 5, 9], [(10, 1000), (300, 1000)], terminal=False) == ""
