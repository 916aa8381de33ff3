"""The events of a run, and how far it is, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.planning.room import size_text
from orchestrator.progress.event import Event
from orchestrator.progress.pace import Left
from orchestrator.progress.row import Row
from orchestrator.progress.usage import Usage
from orchestrator.reporting.formats import duration

_STEPS = ((55, 5), (600, 10), (36_000, 60), (math.inf, 3600))
"""Below how many seconds an estimate is rounded to how many: nobody knows it better, and it need not be redrawn."""


def sentence(event: Event, row: Row | None) -> str:
    """What an event says.

    Args:
        row: of the experiment that the event belongs to; None for a trial of a sweep.
    """
    values = event.values
    text = {
        "note": lambda: str(values["text"]),
        "decoded": lambda: f"{values['done']}/{values['total']} images decoded",
        "waiting": lambda: f"has waited {values['seconds']} s; {values['why']}",
        "started": lambda: "started",
        "epoch": lambda: _epoch(values, row),
        "paused": lambda: "waits for other trials",
        "retried": lambda: f"is tried again after: {values['message']} (log: {values['log']})",
        "progress": lambda: f"{values['done']}/{values['total']} images{_rate(row)}{_left(row)}",
        "finished": lambda: "done" + (f", best val F1 {row.best:.4f}" if row is not None and row.best else ""),
        "stopped": lambda: str(values["why"]),
        "failed": lambda: f"failed: {values['message']} (log: {values['log']})",
    }[event.kind]()
    return f"{event.name}: {text}" if event.name else text


def _epoch(values: Mapping[str, Any], row: Row | None) -> str:
    text = f"epoch {values['epoch']}/{values['epochs']} stage {values['stage']}: "
    if "train_loss" in values:
        text += f"loss {values['train_loss']:.4f}, train accuracy {values['train_accuracy']:.3f}, "
    return f"{text}val F1 {values['val_macro_f1']:.4f}, {values['seconds']:.1f} s{_rate(row)}{_left(row)}"


def _rate(row: Row | None) -> str:
    return f", {amount(row.images_per_second)} images/s" if row is not None and row.images_per_second else ""


def _left(row: Row | None) -> str:
    return f", {about(row.left)} left" if row is not None and row.left is not None and row.left.seconds else ""


def status(rows: Sequence[Row], left: Left | None, elapsed: float, usage: Usage) -> str:
    """How far a run is."""
    parts = [_how_far(row) for row in rows if row.status == "running"] or ["nothing has started yet"]
    if all(row.status in ("done", "failed") for row in rows):
        parts = ["all is done"]
    over = sum(row.status in ("done", "failed") for row in rows)
    head = f"running for {duration(elapsed)}" + (f", {about(left)} left" if left is not None else "")
    return "; ".join([head, f"{over} of {len(rows)} over", *parts, *used(usage)])


def _how_far(row: Row) -> str:
    if row.trials is not None:
        over, trials, _ = row.trials
        best = "" if row.best is None else f", best val F1 {row.best:.4f}"
        return f"{row.name} {over}/{trials} trials{best}"
    return f"{row.name} {row.done}/{row.total} {row.unit}"


def used(usage: Usage) -> list[str]:
    """What of the machine is in use; nothing of what it does not tell."""
    parts = []
    if usage.cpu is not None:
        parts.append(f"CPU {usage.cpu:.0%}")
    if usage.used is not None and usage.memory:
        parts.append(f"memory {size_text(usage.used)} of {size_text(usage.memory)}")
    if usage.gpus:
        busy = sum(gpu.busy for gpu in usage.gpus) / len(usage.gpus)
        memory = [size_text(sum(getattr(gpu, what) for gpu in usage.gpus)) for what in ("used", "memory")]
        name = "GPU" if len(usage.gpus) == 1 else f"{len(usage.gpus)} GPUs"
        parts.append(f"{name} {busy:.0%}, {memory[0]} of {memory[1]}")
    return parts


def about(left: Left) -> str:
    """An estimate, rounded: "35 s", "3:10", "1h05m", "~14 h" where it is a guess, "≤2:00" where it may be less."""
    step = next(step for below, step in _STEPS if left.seconds < below)
    seconds = step * math.ceil(left.seconds / step)
    sign = "≤" if left.at_most else "~" if left.guessed else ""
    if seconds < 60:
        return f"{sign}{seconds} s"
    if seconds < 600:
        return f"{sign}{seconds // 60}:{seconds % 60:02}"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 10:
        return f"{sign}{hours}h{minutes % 60:02}m" if hours else f"{sign}{minutes} min"
    return f"{sign}{hours} h" if hours < 1000 else f"{sign}{hours // 24} d"


def amount(number: float) -> str:
    """A number of at most five characters: "0.42", "9.5", "342", "12.3k", "1.2M"."""
    for size, unit in ((1e6, "M"), (1e4, "k")):
        if number >= size:
            scaled = number / (size if unit == "M" else 1000)
            return f"{scaled:.1f}{unit}" if scaled < 99.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}" if number >= 99.5 else f"{number:.1f}" if number >= 0.95 else f"{number:.2f}"
