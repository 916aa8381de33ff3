"""Each run goes on on GPUs of the type that it began on, where a cluster has several. No Ray, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.execution.events import NoEvents
from trainable.base.files import read_json, write_json
from trainable.run.history import TrialHistory


class Accelerators(NoEvents):
    """Remembers the type of GPU that has trained each run, until the run has ended; GPUs of another type round
    differently.

    Args:
        file: where that is kept from one command to the next: types by run folder, as JSON.
        folder_of: the run folder of a training.
    """

    def __init__(self, file: Path, folder_of: Callable[[str], Path]) -> None:
        self.file, self.folder_of = file, folder_of
        self._types: dict[str, str] = dict(read_json(file) or {})
        self._trained: set[str] = set()

    def of(self, name: str) -> str:
        """The type of GPU that a training has used; "" where it has used none, or nobody knows which."""
        return self._types.get(str(self.folder_of(name)), "")

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        found = row.get("accelerator", "")
        if found:
            self._trained.add(name)
        if found and found != self.of(name):
            self._types[str(self.folder_of(name))] = found
            write_json(self.file, self._types)

    def finished(self, name: str) -> None:
        self._forget(name)

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        self._forget(name)

    def _forget(self, name: str) -> None:
        if name in self._trained:  # and so no evaluation
            self._types.pop(str(self.folder_of(name)), None)
            write_json(self.file, self._types)
