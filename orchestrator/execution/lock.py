"""One run at a time in an output folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from orchestrator.planning.paths import ProjectPaths
from trainable.base.errors import ConfigError


@contextmanager
def only_one(paths: ProjectPaths) -> Iterator[None]:
    """Keep a second run out of the same output folder."""
    try:
        paths.internal.mkdir(parents=True, exist_ok=True)
        lock = FileLock(paths.lock)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"another run is writing to {paths.output} (its lock is {paths.lock})") from error
    except OSError as error:
        raise ConfigError(f"--output-root {paths.output}: cannot be written to ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


def is_running(paths: ProjectPaths) -> bool:
    """Whether a run holds the folder now, as far as this process can know. Creates nothing."""
    return is_held(paths) or False


def is_held(paths: ProjectPaths) -> bool | None:
    """Whether a run holds the folder now; None where this process may not ask. Creates nothing."""
    if not paths.lock.exists():
        return False
    try:
        with FileLock(paths.lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return None
