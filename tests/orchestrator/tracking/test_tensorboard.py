"""TensorBoard's files, read back by TensorBoard: each epoch once, whatever was killed on the way."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked import LABELS, ending, epoch

from orchestrator.tracking.tensorboard import TensorBoardTracker
from orchestrator.tracking.tracker import Ending, Report, TrackedRun

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
RUN = TrackedRun(
    "20260101-000000-12345678", "finetune_M1#3", parameters={"lr_head": 5e-4, "weights": None, "라벨": "기쁨"}
)
WHOLE = 8


def points(folder: Path, name: str = "val_macro_f1") -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return [(point.step, round(point.value, 6)) for point in read.Scalars(name)]


def run_folder(folder: Path) -> Path:
    return folder / "finetune_M1-3" / RUN.key


def command(folder: Path, first: int, last: int) -> TensorBoardTracker:
    """A command that trains the epochs from `first` to `last` and is stopped then, its files as after a kill."""
    tracker = TensorBoardTracker(folder)
    tracker.begin(RUN)
    for number in range(first, last + 1):
        tracker.epoch(RUN, epoch(number))
    return tracker


# (how many epochs a command trains, how many of those before it are trained again)
COMMANDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=4)


@settings(max_examples=25)
@given(COMMANDS, st.integers(0, 1))
def test_each_epoch_is_there_once_however_often_a_run_was_killed(commands: list[tuple[int, int]], lost: int) -> None:
    """`lost` epochs were trained and not told when a command was killed: a gap, until the run has its results."""
    folder, reached = Path(mkdtemp()), 0
    try:
        for trained, again in commands:
            first = max(1, reached + 1 - again) + lost
            last = min(WHOLE, first + trained - 1)
            command(folder, first, last).close(Report("KILLED"))
            reached = max(reached, last)
        tracker = command(folder, min(WHOLE, reached + 1), WHOLE)
        tracker.end(RUN, ending(WHOLE))
        assert points(run_folder(folder)) == [(n, n / 100) for n in range(1, WHOLE + 1)]
    finally:
        shutil.rmtree(folder)


def test_a_run_that_goes_on_hides_what_it_trains_again(tmp_path: Path) -> None:
    """Also before it has its results."""
    command(tmp_path, 1, 5).close(Report("KILLED"))
    command(tmp_path, 4, 6).close(Report("KILLED"))
    assert points(run_folder(tmp_path)) == [(n, n / 100) for n in range(1, 7)]


def test_an_epoch_that_is_told_twice_is_there_once(tmp_path: Path) -> None:
    tracker = command(tmp_path, 1, 2)
    tracker.epoch(RUN, epoch(2))
    tracker.close(Report("KILLED"))
    assert points(run_folder(tmp_path)) == [(1, 0.01), (2, 0.02)]


def test_final_metrics_and_parameters(tmp_path: Path) -> None:
    tracker = command(tmp_path, 1, 2)
    tracker.end(RUN, ending(2))
    assert points(run_folder(tmp_path), "test_macro_f1") == [(2, 0.5)]
    assert points(run_folder(tmp_path), f"test_f1/{LABELS[0]}") == [(2, 0.25)]
    assert points(run_folder(tmp_path), "train_loss") == [(1, 1.0), (2, 0.5)]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run_folder(tmp_path)))
    read.Reload()
    stored = read.summary_metadata["_hparams_/session_start_info"].plugin_data.content.decode("utf-8", "replace")
    assert "lr_head" in stored
    assert "라벨" in stored


def test_a_failure_leaves_the_curve(tmp_path: Path) -> None:
    tracker = command(tmp_path, 1, 2)
    tracker.end(RUN, Ending("FAILED", "out of disk"))
    assert points(run_folder(tmp_path)) == [(1, 0.01), (2, 0.02)]
