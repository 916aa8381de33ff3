"""Starting or joining Ray, quietly, and dividing what the cluster has."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from orchestrator.planning.ray_environment import set_environment
from trainable.base.errors import ConfigError

MEMORY_SHARE = 0.9
"""The part of a node's memory that trials may fill; the rest is Ray's, the driver's and FaceAPI's."""


@dataclass(frozen=True)
class Share:
    """What one trial gets."""

    cpus: int
    gpus: float

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True)
class Cluster:
    """The live nodes' CPUs and GPUs, and bytes of memory for trials."""

    nodes: tuple[tuple[int, float], ...]
    memory: tuple[int, ...] = ()

    @property
    def cpus(self) -> int:
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> float:
        return sum(gpus for _, gpus in self.nodes)

    def share(self, trials: int, device: str, cpus: int | None, gpus: float | None) -> Share:
        """A GPU per trial where there are GPUs (or `gpus` of one), else CPUs so that all trials run at once if they
        can, and every CPU is used. `device`, `cpus` and `gpus` are the user's wishes.

        Raises:
            ConfigError: no node can ever hold such a trial; Tune would wait for one without a word.
        """
        if device == "cuda" and not self.gpus:
            raise ConfigError("--device cuda: no node of this cluster has a GPU (use --device cpu or auto)")
        on_gpu = device != "cpu" and bool(self.gpus) and gpus != 0
        if not on_gpu and gpus:
            raise ConfigError(f"--gpus-per-trial {gpus:g}: there is no GPU for it here")
        gpu_share = (gpus or 1.0) if on_gpu else 0.0
        hosts = [(c, g) for c, g in self.nodes if g >= gpu_share]
        if not hosts:
            raise ConfigError(f"--gpus-per-trial {gpu_share:g}: no node has as many GPUs")
        most = max(c for c, _ in hosts)
        if not most:
            raise ConfigError(f"no node{' with a GPU' if on_gpu else ''} has a CPU; a trial needs one")
        if cpus is not None and cpus > most:
            raise ConfigError(f"--cpus-per-trial {cpus}: no node that a trial could run on has more than {most} CPUs")
        return Share(cpus or self._cpus_per_trial(hosts, trials, gpu_share), gpu_share)

    def slots(self, share: Share) -> list[int]:
        """How many trials run at once on each node."""
        return [_slots([node], share.cpus, share.gpus) for node in self.nodes]

    @staticmethod
    def _cpus_per_trial(hosts: Sequence[tuple[int, float]], trials: int, gpus: float) -> int:
        wanted = max(1, min(trials, _slots(hosts, 1, gpus)))
        return max((n for n in range(1, max(c for c, _ in hosts) + 1) if _slots(hosts, n, gpus) >= wanted), default=1)


def _slots(nodes: Sequence[tuple[int, float]], cpus: int, gpus: float) -> int:
    return sum(min(c // cpus, int(g / gpus) if gpus else c) for c, g in nodes)


class Session:
    """A running Ray, with the terminal kept for us: what Ray and its libraries print goes to a log file."""

    def __init__(self, terminal: TextIO, log: Path) -> None:
        self.terminal, self.log = terminal, log

    def connect(self, address: str | None, cpus: int | None = None) -> Cluster:
        """Start Ray on this machine, or join the cluster at `address`.

        Raises:
            ConfigError: no cluster answers there, or none can be started here.
        """
        import ray

        quiet: dict[str, Any] = {"logging_level": "WARNING", "log_to_driver": True}  # to the log file
        if address is None:
            try:
                ray.init(  # "local": without it Ray joins any cluster that this machine happens to run
                    address="local",
                    include_dashboard=False, object_store_memory=256 * 2**20, _node_ip_address="127.0.0.1",
                    num_cpus=cpus, **quiet,
                )  # fmt: skip
            except Exception as error:  # Ray has no one error for this: a full disk, a path, a process that died
                raise ConfigError(f"Ray could not be started here ({_reason(error)}); its log: {self.log}") from error
            _keep_token_private()
        else:
            _check_address(address)
            try:
                ray.init(address=address, **quiet)
            except Exception as error:  # nor for this: connection, version, authentication
                raise ConfigError(
                    f"--address {address}: no Ray cluster could be joined ({_reason(error)}); is it running, does this "
                    "machine have its token (~/.ray/auth_token) and the same RAY_AUTH_MODE?"
                ) from error
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return Cluster(
            tuple((int(r.get("CPU", 0)), float(r.get("GPU", 0))) for r in alive),
            tuple(int(MEMORY_SHARE * r.get("memory", 0)) for r in alive),
        )


@contextlib.contextmanager
def session(log_folder: Path) -> Iterator[Session]:
    """Descriptors 1 and 2 go to a new file in `log_folder` until the block ends; then Ray is shut down."""
    set_environment()
    log_folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / f"{datetime.now():%Y%m%d-%H%M%S}.log"
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    terminal = os.fdopen(saved[0], "w", encoding=sys.stdout.encoding or "utf-8", errors="replace", closefd=False)
    try:
        yield Session(terminal, log)
    finally:
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        terminal.flush()
        for target, source in enumerate(saved, 1):
            os.dup2(source, target)
            os.close(source)


def _check_address(address: str) -> None:
    """Raises ConfigError where nothing listens; Ray itself would try for two minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ConfigError(f"--address {address}: must be host:port of the cluster's head, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--address {address}: nothing answers there ({error}); does the cluster run?") from error


def _reason(error: Exception) -> str:
    """The first line of an error of Ray's, or its name."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def _keep_token_private() -> None:
    """Ray writes its token readable for everybody on the machine."""
    token = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(OSError):
        token.chmod(0o600)
