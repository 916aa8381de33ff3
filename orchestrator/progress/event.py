"""An event of a run as a value, for those who show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "note", "decoded", "waiting", "started", "epoch", "paused", "retried", "progress", "finished", "stopped", "failed"
]


@dataclass(frozen=True)
class Event:
    """What a `RunView` hears.

    Args:
        name: the piece of work; empty for what concerns the run as a whole.
        values: what there is to say about it, as JSON knows it.
    """

    kind: Kind
    name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
