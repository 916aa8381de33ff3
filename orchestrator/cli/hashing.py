"""A bar while images are hashed, on a terminal and where it takes longer than a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from trainable.cache.hashes import Progress, no_progress

_PATIENCE_SECONDS = 1.0


@contextmanager
def hashing_bar(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Give the function that takes the number of hashed images and of all; the bar goes when the block ends.

    Args:
        console: where the bar is drawn; one that is no terminal stays as it is.
        clock: seconds.
    """
    if not console.is_terminal:
        yield no_progress
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("hashing images", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip
    task, began = bars.add_task("images", total=None), clock()

    def show(done: int, total: int) -> None:
        if done < total and clock() - began > _PATIENCE_SECONDS:
            bars.start()
        bars.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bars.stop()
