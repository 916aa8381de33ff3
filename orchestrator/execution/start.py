"""Starts a Ray on this machine, for one run alone; says what to do where it does not start."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.execution.worker_environment import worker_environment
from trainable.base.errors import ConfigError
from trainable.base.limits import free_threads, usable_cpus

THREADS, THREADS_PER_CPU = 180, 25
"""What Ray's own processes have, and a trial's process for each CPU. Counted with `ps -eL` during small runs on 1, 2, 4
and 8 CPUs: 201, 228, 285 and 356 at most."""
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_WAYS_OUT = (
    ((errno.EACCES, errno.EPERM, errno.EROFS), ("Permission denied", "Read-only file system"),
     "RAY_TMPDIR may name another folder for Ray's files"),
    ((errno.ENOSPC, errno.EDQUOT), ("No space left", "quota exceeded"),
     "RAY_TMPDIR may name a folder with more room for Ray's files"),
    ((errno.EMFILE, errno.ENFILE), ("Too many open files",), "allow more open files: ulimit -n 65536"),
    ((errno.EAGAIN,), ("Resource temporarily unavailable", "can't start new thread"),
     "allow more processes: ulimit -u 4096"),
    ((errno.ENAMETOOLONG,), ("AF_UNIX path", "socket path"), "RAY_TMPDIR may name a folder with a shorter path"),
)  # fmt: skip


@contextmanager
def private_token(*, local: bool) -> Iterator[None]:
    """A token for a Ray that is started here, unless the user has set one; Ray itself would write one into the home
    folder, which may be read-only, and readable for everybody on the machine."""
    ours = local and not any(os.environ.get(name) for name in _TOKENS)
    if ours:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        yield
    finally:
        if ours:
            del os.environ["RAY_AUTH_TOKEN"]


def start_ray(cpus: int | None, log: Path, **options: Any) -> None:
    """Start Ray with `cpus` CPUs, or with as many as this process may use.

    Args:
        log: where Ray's own words go, for the message.
        options: for `ray.init`.

    Raises:
        ConfigError: it does not start, with what can be done about it.
    """
    import ray

    environment, cpus = worker_environment(local=True), cpus or usable_cpus()
    check_threads(cpus)
    try:
        ray.init(  # "local": without it Ray joins any cluster that this machine happens to run
            address="local", include_dashboard=False, object_store_memory=256 * 2**20,
            num_cpus=cpus, runtime_env=environment, **options,
        )  # fmt: skip
    except Exception as error:  # Ray has no one error for this: a full disk, a path, a process that died
        raise ConfigError(f"Ray could not be started here ({reason(error)}){way_out(error)}; its log: {log}") from error


def reason(error: Exception) -> str:
    """The first line of an error of Ray's, or its name."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def way_out(error: Exception) -> str:
    """What can be done about an error of the system, with a colon before it; "" where nobody knows."""
    for numbers, words, advice in _WAYS_OUT:
        if getattr(error, "errno", None) in numbers or any(word in str(error) for word in words):
            return f": {advice}"
    return ""


def check_threads(cpus: int) -> None:
    """Raises ConfigError where too few threads may be started: Ray's processes would end or hang without a word."""
    left, needed = free_threads(), THREADS + THREADS_PER_CPU * cpus
    if left is not None and left < needed:
        raise ConfigError(
            f"only {left} more processes and threads may be started here, and Ray needs about {needed} for {cpus} "
            "CPU(s): allow more (ulimit -u 4096, or the container's limit of pids), or take fewer CPUs with --num-cpus"
        )
