"""What the user sees while a run goes on: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from orchestrator.cli.terminal import restore_terminal, say, styled
from orchestrator.planning.steps import Confirmation, Step, TrainingStep, Trial
from trainable.base.errors import Failure
from trainable.base.log import LOG
from trainable.base.text import one_line
from trainable.run.history import TrialHistory, epoch_line


class _Note(ProgressColumn):
    """A task's note, which is a `styled` text: what it says may come from anywhere."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))

    def render(self, task: Task) -> Text:
        note: Text = task.fields["note"]
        return note


class _Spoken(logging.Handler):
    """Shows what is logged about waiting, which would go to Ray's log with all of stderr."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


class ProgressView:
    """Shows the events of a run, from any thread, and remembers what failed (see `execution.view.RunView`).

    The trials of a sweep share a bar, and so do its confirmations.
    """

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self.console, self.verbose = console, verbose
        self.failures: dict[str, Failure] = {}
        self._lock = threading.Lock()
        self._draws = console.is_terminal and not console.is_dumb_terminal
        self._bars = Progress(
            TextColumn("{task.description:<17}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:>4.0f}/{task.total:<4.0f}"),
            TimeElapsedColumn(),
            _Note(),
            console=console,
            disable=not self._draws,
            redirect_stdout=False,  # Ray prints what actors say there
            redirect_stderr=False,
        )
        self._spoken = _Spoken(self.say)
        self._images: TaskID | None = None
        self._own: dict[str, TaskID] = {}
        self._shared: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        LOG.addHandler(self._spoken)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        LOG.removeHandler(self._spoken)
        self._bars.stop()

    def abandon(self) -> None:
        restore_terminal()

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None:
        shared: dict[str, list[str]] = {}
        for step in steps:
            if isinstance(step, Trial | Confirmation):
                kind = "sweep" if isinstance(step, Trial) else "again"
                shared.setdefault(f"{step.experiment.name} {kind}", []).append(step.name)
                continue
            total = step.config.epochs if isinstance(step, TrainingStep) else step.rows[0]
            self._own[step.name] = self._bars.add_task(step.name, total=total, note=styled("waiting"), start=False)
        for name in unchosen:
            shared.setdefault(f"{name.partition('#')[0]} sweep", []).append(name)
        for title, names in shared.items():
            task = self._bars.add_task(title, total=len(names), note=styled("waiting"), start=False)
            self._shared |= dict.fromkeys(names, task)

    def say(self, text: str) -> None:
        say(self.console, text)

    def decoded(self, there: int, wanted: int) -> None:
        with self._lock:
            if there < wanted and self._images is None:
                self._images = self._bars.add_task("images", total=wanted, note=styled("decoding"))
            if self._images is not None:
                note = styled("decoding" if there < wanted else ("decoded", "green"))
                self._bars.update(self._images, completed=there, note=note)

    # -- events

    def waiting(self, name: str, seconds: int, why: str) -> None:
        self.say(f"{name}: has waited {seconds} s; {why}")

    def started(self, name: str) -> None:
        task = self._shared.get(name, self._own.get(name))
        assert task is not None
        self._bars.start_task(task)
        self._bars.update(task, note=styled(""))
        if name in self._own and not self._draws:
            self.say(f"{name}: started")

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        note = f"stage {row['stage']}  val F1 {row['val_macro_f1']:.4f}"
        if name in self._own:
            self._update(name, completed=row["epoch"], note=styled(note))
        if self.verbose:
            self.say(f"{name}: {epoch_line(row, row['epochs'])}")

    def progress(self, name: str, done: int, rows: int) -> None:
        self._update(name, completed=done, total=rows)
        if self.verbose:
            self.say(f"{name}: {done}/{rows} images")

    def finished(self, name: str) -> None:
        self.failures.pop(name, None)
        if name in self._shared:
            self._trial_ended(name, "done")
            return
        self._update(name, note=styled(("done", "green")))
        self._bars.stop_task(self._own[name])
        if not self._draws:
            self.say(f"{name}: done")

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        self._trial_ended(name, why)

    def failed(self, name: str, failure: Failure) -> None:
        self.failures[name] = failure
        if name in self._own:
            self._update(name, note=styled(("failed", "red")))
            self._bars.stop_task(self._own[name])
        self.say(f"{name}: failed: {one_line(failure.message)}")

    def _update(self, name: str, **fields: Any) -> None:
        self._bars.update(self._own[name], **fields)

    def _trial_ended(self, name: str, how: str) -> None:
        self._bars.update(self._shared[name], advance=1, note=styled(f"{name}: {one_line(how)}"))
        if self.verbose or not self._draws:
            self.say(f"{name}: {one_line(how)}")
