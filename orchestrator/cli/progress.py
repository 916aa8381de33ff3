"""What the user sees while a run goes on: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from orchestrator.planning.planner import Step
from trainable.run.history import epoch_line


class ProgressView:
    """Takes the events of training and FaceAPI, from any thread, and remembers how each experiment ended.

    Events: "start", "epoch" (a Tune result), "progress" (rows done, rows), "done", "stopped" (why), "failed" (message).
    The trials of a sweep share a bar, and so do its confirmations.
    """

    def __init__(self, console: Console, steps: Sequence[Step], *, verbose: bool) -> None:
        self.console, self.verbose = console, verbose
        self.failures: dict[str, str] = {}
        self._lock = threading.Lock()
        self._bars = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=16),
            TextColumn("{task.completed:>4.0f}/{task.total:<4.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=False,  # Ray prints what actors say there
            redirect_stderr=False,
        )
        self._images: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._sweeps: dict[str, TaskID] = {}
        self.add(steps)

    def add(self, steps: Sequence[Step]) -> None:
        """Bars for what is to come."""
        trials: dict[str, list[Step]] = {}
        for step in steps:
            if step.sweep is not None:
                trials.setdefault(step.sweep + (" again" if step.experiment.test else " sweep"), []).append(step)
                continue
            total = step.config.epochs if step.config else step.rows[0]
            self._tasks[step.name] = self._bars.add_task(step.name, total=total, note="waiting", start=False)
        for title, members in trials.items():
            task = self._bars.add_task(title, total=len(members), note="waiting", start=False)
            self._sweeps |= {step.name: task for step in members}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def __call__(self, name: str, event: str, value: Any) -> None:
        with self._lock:
            getattr(self, f"_on_{event}")(name, value)

    def _update(self, name: str, **fields: Any) -> None:
        self._bars.update(self._tasks[name], **fields)

    def decoded(self, there: int, wanted: int) -> None:
        """A bar for the image pack, while it grows."""
        with self._lock:
            if there < wanted and self._images is None:
                self._images = self._bars.add_task("images", total=wanted, note="decoding")
            if self._images is not None:
                note = "decoding" if there < wanted else "[green]decoded[/]"
                self._bars.update(self._images, completed=there, note=note)

    def _on_start(self, name: str, _: None) -> None:
        if name in self._sweeps:
            self._bars.start_task(self._sweeps[name])
            self._bars.update(self._sweeps[name], note="")
            return
        self._bars.start_task(self._tasks[name])
        self._update(name, note="")
        if not self.console.is_terminal:
            self.say(f"{name}: started")

    def _on_epoch(self, name: str, row: dict[str, Any]) -> None:
        note = f"stage {row['stage']}  val F1 {row['val_macro_f1']:.4f}"
        if name not in self._sweeps:
            self._update(name, completed=row["epoch"], note=note)
        if self.verbose:
            self.say(f"{name}: {epoch_line(row, row['epochs'])}")

    def _on_progress(self, name: str, value: tuple[int, int]) -> None:
        self._update(name, completed=value[0], total=value[1])
        if self.verbose:
            self.say(f"{name}: {value[0]}/{value[1]} images")

    def _on_done(self, name: str, _: None) -> None:
        self.failures.pop(name, None)
        if name in self._sweeps:
            self._trial_ended(name, "done")
            return
        self._update(name, note="[green]done[/]")
        self._bars.stop_task(self._tasks[name])
        if not self.console.is_terminal:
            self.say(f"{name}: done")

    def _on_stopped(self, name: str, why: str) -> None:
        self._trial_ended(name, why)

    def _on_failed(self, name: str, message: str) -> None:
        self.failures[name] = message
        if name not in self._sweeps:
            self._update(name, note="[red]failed[/]")
            self._bars.stop_task(self._tasks[name])
        self.say(f"{name}: failed: {message}")

    def _trial_ended(self, name: str, how: str) -> None:
        task = self._sweeps[name]
        self._bars.update(task, advance=1, note=f"{name}: {how}")
        if self.verbose or not self.console.is_terminal:
            self.say(f"{name}: {how}")
