"""What a run tells whoever looks at it from outside, and what they may ask of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, Self

from trainable.base.errors import ConfigError

VERSION = 1
STALE_SECONDS = 15.0
"""A notice is written every two seconds; an older one says that something is wrong."""

State = Literal["starting", "running", "stopping", "ended"]
Wish = Literal["stop", "now"]
"""To end with the epochs in hand, or at once and without them."""


@dataclass(frozen=True)
class NodeUse:
    """A node of a cluster, and what of it is given away."""

    address: str
    host: str
    cpus: float
    cpus_used: float
    gpus: float
    gpus_used: float
    accelerator: str = ""


@dataclass(frozen=True)
class Notice:
    """What a run says of itself.

    Args:
        run: the run's own word, by which it knows that it is meant.
        command: as the user gave it.
        output: the output root.
        host, pid: the process that runs the command.
        log: Ray's log.
        began, written: seconds since 1970, by that host's clock.
        exit_code: None before the end.
        message: why it ended where it did not come to its end.
        job: Ray's name for the run, in a cluster.
        nodes: of a cluster that others have started.
        progress: how far it is (see `orchestrator.progress.snapshot`).
    """

    run: str
    command: str
    output: str
    host: str
    pid: int
    began: float
    written: float
    state: State = "starting"
    log: str = ""
    exit_code: int | None = None
    message: str = ""
    job: str = ""
    nodes: Sequence[NodeUse] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the values of `to_json`.

        Raises:
            ConfigError: another version of the program has written them.
        """
        try:
            if values["version"] == VERSION:
                return cls(**{**values, "nodes": tuple(NodeUse(**node) for node in values["nodes"])})
        except (KeyError, TypeError):  # or something else has
            pass
        where = values.get("output", "this place")
        raise ConfigError(f"the run in {where} is one of another version of this program; ask with that one")


@dataclass(frozen=True)
class Seen:
    """A run as it is seen from outside.

    Args:
        alive: whether its process lives; None where nobody can know.
    """

    notice: Notice
    alive: bool | None

    @property
    def age(self) -> float:
        """Seconds since the run was last heard of. Two machines' clocks may differ."""
        return max(0.0, time.time() - self.notice.written)

    @property
    def goes_on(self) -> bool:
        """Whether the run is under way, as far as anybody can know."""
        alive = self.age < STALE_SECONDS if self.alive is None else self.alive
        return alive and self.notice.state != "ended"


class Board(Protocol):
    """Where runs and those who look at them meet: an output folder, or a cluster."""

    def publish(self, notice: Notice) -> None:
        """Replace what the run has said before. May raise whatever a disk or a network raises."""

    def seen(self) -> list[Seen]:
        """The last run of each output folder that this board knows, the first one first.

        Raises:
            ConfigError: the board cannot be read.
        """

    def ask(self, run: str, wish: Wish) -> None:
        """Ask a run to end."""

    def asked(self, run: str) -> Wish | None:
        """What somebody has asked of this run, and of no other."""

    def forget(self, run: str) -> None:
        """Take away what was asked of a run."""
