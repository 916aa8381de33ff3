"""A run's rows: never wider or higher than the terminal, aligned, and as they are expected to look at 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from work import histories, state_after

from orchestrator.cli.row_layout import draw, draw_rows
from orchestrator.cli.sentences import about, amount, status, used
from orchestrator.cli.terminal import Terminal
from orchestrator.progress.pace import Left
from orchestrator.progress.row import Row
from orchestrator.progress.usage import Gpu, Usage

WIDTHS, HEIGHTS = st.integers(60, 160), st.integers(3, 60)
USAGES = st.builds(
    Usage, st.none() | st.floats(0, 1), st.none() | st.integers(0, 2**50), st.none() | st.integers(0, 2**50),
    st.lists(st.builds(Gpu, st.floats(0, 1), st.integers(0, 2**40), st.integers(0, 2**40)), max_size=8).map(tuple),
)  # fmt: skip
SCORES = (0.20, 0.31, 0.38, 0.44, 0.47, 0.49, 0.52, 0.51, 0.54, 0.56, 0.55, 0.58)
MADE = [
    Row("faceapi_M1", "running", 640, 1140, "images", images_per_second=42.3, elapsed=15.1, left=Left(11.8)),
    Row("probe_M1", "done", 10, 10, stage=1, score=0.4571, best=0.4617, scores=SCORES[:10], elapsed=200.0),
    Row("finetune_M1", "running", 12, 30, stage=3, images_per_second=342.4, score=0.58, best=0.58, scores=SCORES,
        elapsed=612.0, left=Left(1210.0)),
    Row("finetune_K7", "running", 2, 30, stage=2, images_per_second=12345.6, score=0.31, best=0.31, scores=SCORES[:2],
        elapsed=20.0, left=Left(3_725.0, guessed=True)),
    Row("probe_M2", "failed", 0, 10, elapsed=3.0, message="이미지 79개가 깨져 있습니다: 데이터/감정/00000.jpg"),
    Row("finetune_M1 sweep", "running", 212, 480, images_per_second=610.0, best=0.6012, scores=SCORES[:4],
        elapsed=900.0, left=Left(4000.0, at_most=True), trials=(12, 64, 8)),
    Row("finetune_M1 seeds", "waiting", 0, 450, trials=(0, 15, 0)),
]  # fmt: skip


def shown(lines: list, width: int, height: int) -> list[str]:
    """What a terminal of that size shows of the lines."""
    out = io.StringIO()
    console = Terminal(file=out, width=width, height=height, force_terminal=True, color_system=None)
    for line in lines:
        console.print(line)
    return out.getvalue().split("\n")[:-1]


def test_80_columns() -> None:
    assert [line.rstrip() for line in shown(draw_rows(MADE, 80, 24), 80, 24)] == [
        "                  St               done img/s val F1 trend          best    left",
        "faceapi_M1           ━━━━────  640/1140  42.3                               15 s",
        "probe_M1          1  ━━━━━━━━     10/10       0.4571 ▁▃▄▆▆▇█▇██   0.4617    done",
        "finetune_M1       3  ━━━─────     12/30   342 0.5800 ▁▃▄▆▆▇▇▇████ 0.5800  21 min",
        "finetune_K7       2  ────────      2/30 12.3k 0.3100 ▁█           0.3100  ~1h03m",
        "probe_M2             ────────      0/10       이미지 79개가 깨져…         failed",
        "finetune_M1 sweep    ━━━─────   212/480   610 12/64 trials, 8 run 0.6012  ≤1h07m",
        "finetune_M1 seeds    ────────     0/450         0/15                     waiting",
    ]


@given(histories(), USAGES, WIDTHS, HEIGHTS, st.booleans())
def test_nothing_is_wider_or_higher_than_the_terminal(
    told: list, usage: Usage, width: int, height: int, plain: bool
) -> None:
    lines = draw(state_after(told), usage, told[-1][0], width, height, plain=plain)
    assert 0 < len(lines) <= height
    printed = shown(lines, width, height)
    assert len(printed) == len(lines), "a line was wrapped"
    assert all(cell_len(line) <= width for line in printed)
    assert height < 4 or printed[0].split()[-1] == "left", "the headings are gone"


@given(st.lists(st.sampled_from(MADE), min_size=1, max_size=30), WIDTHS, HEIGHTS)
def test_where_rows_are_left_out_a_line_counts_them(rows: list[Row], width: int, height: int) -> None:
    lines = shown(draw_rows(rows, width, height), width, height)
    if len(rows) < height:
        assert len(lines) == 1 + len(rows)
    else:
        assert len(lines) == height
        assert lines[-1].startswith(f"and {len(rows) - (height - 2)} more: ")


@given(st.permutations(MADE))
def test_what_runs_is_shown_before_what_is_over(rows: list[Row]) -> None:
    running = sum(row.status == "running" for row in rows)
    lines = shown(draw_rows(rows, 80, running + 2), 80, 24)
    assert [line[:17].strip() for line in lines[1:-1]] == [row.name for row in rows if row.status == "running"]


@pytest.mark.parametrize("width", range(60, 161))
def test_the_last_column_ends_at_the_same_place_in_every_row(width: int) -> None:
    """With Korean text in the middle, of double width."""
    lines = shown(draw_rows(MADE, width, 24), width, 24)
    ends = {cell_len(line.rstrip()) for line in lines}
    assert len(ends) == 1
    assert min(ends) > 50


def test_a_console_without_bars_gets_characters_that_it_has() -> None:
    rows = [replace(row, message="") for row in MADE]
    lines = shown(draw_rows(rows, 80, 24, plain=True), 80, 24)
    assert "\n".join(lines).replace("≤", "").isascii()
    assert "#" in lines[1] and "-" in lines[1]


def test_the_machine_is_in_the_last_line() -> None:
    usage = Usage(0.974, 3_100_000_000, 8_000_000_000, (Gpu(0.5, 2 * 10**9, 8 * 10**10), Gpu(1.0, 10**9, 8 * 10**10)))
    assert used(usage) == ["CPU 97%", "memory 3.1 GB of 8 GB", "2 GPUs 75%, 3 GB of 160 GB"]
    assert used(Usage()) == []
    assert str(draw(state_after([]), usage, 0.0, 120, 24)[-1]).startswith("this machine: CPU 97%, memory 3.1 GB of")


@given(st.floats(0, 1e8), st.booleans(), st.booleans())
def test_an_estimate_is_short_and_never_less_than_it_is(seconds: float, guessed: bool, at_most: bool) -> None:
    text = about(Left(seconds, guessed, at_most))
    assert len(text) <= 7
    assert text.startswith("≤") == at_most


def test_estimates() -> None:
    seconds = (0, 3, 54, 55, 61, 599, 601, 3599, 3601, 36_000, 90_001, 4e6)
    assert [about(Left(s)) for s in seconds] == [
        "0 s", "5 s", "55 s", "1:00", "1:10", "10 min", "11 min", "1h00m", "1h01m", "10 h", "26 h", "46 d",
    ]  # fmt: skip


@given(st.floats(0, 1e9))
def test_an_amount_has_five_characters_at_most(number: float) -> None:
    assert len(amount(number)) <= 5


@given(histories(), USAGES)
def test_how_far_a_run_is_is_one_line(told: list, usage: Usage) -> None:
    state, now = state_after(told), told[-1][0]
    text = status(state.rows(now), state.left(now), now, usage)
    assert "\n" not in text
    for row in state.rows(now):
        assert row.name in text or row.status != "running"
