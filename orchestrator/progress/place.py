"""Where a training runs, and what it has had of CPUs and GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Place:
    """Where a training was in its last epoch.

    Args:
        node: the host's name, "" where nobody says.
        address: the host's address.
        device: cpu or cuda.
        amount: threads of a CPU, or GPUs: 0.5 for half of one.
        accelerator: the type of GPU; "" where nobody knows.
    """

    node: str
    address: str
    device: str
    amount: float
    accelerator: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self | None:
        """The place of an epoch (see `RunEvents.epoch`); None where it does not say."""
        device = row.get("device")
        if device is None:
            return None
        amount = float(row.get("gpus") or 1.0) if device == "cuda" else float(row.get("threads") or 1)
        where = row.get("hostname", ""), row.get("node") or row.get("node_ip", "")
        return cls(*where, device, amount, row.get("accelerator", "") if device == "cuda" else "")


class DeviceTime:
    """Seconds of CPUs and of GPUs that a training has had, from its start on, also those in which it prepared."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._since: float | None = None

    def start(self, now: float) -> None:
        """The training has what it has asked for."""
        self._since = now

    def count(self, place: Place | None, now: float) -> None:
        """Until now it was at `place`; where nobody knows that, nothing is counted yet."""
        if place is not None:
            self._spent = self.seconds(place, now)
            self._since = None if self._since is None else now

    def stop(self, place: Place | None, now: float) -> None:
        """It has given back what it had."""
        self.count(place, now)
        self._since = None

    def seconds(self, place: Place | None, now: float) -> Counter[str]:
        """What it has had until now, by device."""
        spent = self._spent.copy()
        if place is not None and self._since is not None:
            spent[place.device] += (now - self._since) * place.amount  # type: ignore[assignment]
        return spent
