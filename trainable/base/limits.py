"""The CPUs, the memory and the threads that this process may use, which may be less than the machine has (no torch).

A batch system, a container or `taskset` sets limits by affinity and by control groups. A control group's limit holds
for all groups below it, so each ancestor of the process's own group counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROCESS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cpus(process: Path = _PROCESS, groups: Path = _GROUPS) -> int:
    """How many threads can run at once: the affinity's CPUs, or the control group's share of time where that is less.

    A share of 2.5 CPUs counts as 2, since three threads would wait for each other. It is at least 1.

    Args:
        process: the file that names this process's control groups.
        groups: the folder where the control groups' files lie.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [quota / period for quota, period in _quotas(process, groups) if quota > 0 and period > 0]
    return max(1, int(min([affinity, *shares])))


def usable_memory(process: Path = _PROCESS, groups: Path = _GROUPS) -> int | None:
    """Bytes that this process and its children may fill by their control groups; None where there is no limit.

    Args:
        process, groups: as for `usable_cpus`.
    """
    limits = []
    for folder in _folders("memory", process, groups):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += _numbers(folder / name)[:1]
    most = min(limits, default=0)
    return most if 0 < most < 2**60 else None  # version 1 writes nearly 2**63 where there is none


def memory_in_use(process: Path = _PROCESS, groups: Path = _GROUPS) -> int | None:
    """Bytes that the control group of this process fills and cannot give back at once; None where nobody counts.

    Args:
        process, groups: as for `usable_cpus`.
    """
    for folder in _folders("memory", process, groups):
        for name in ("memory.current", "memory.usage_in_bytes"):
            used = _numbers(folder / name)
            if used:
                return max(0, used[0] - _reclaimable(folder / "memory.stat"))
    return None


def _reclaimable(file: Path) -> int:
    """Bytes of files that nobody has used lately."""
    try:
        values = dict(line.split() for line in file.read_text(encoding="utf-8").splitlines())
        return int(values.get("total_inactive_file", values.get("inactive_file", 0)))  # version 1 has both
    except (OSError, ValueError):
        return 0


def free_threads(process: Path = _PROCESS, groups: Path = _GROUPS) -> int | None:
    """How many threads this process and its children may still start, each process being one at least; None where
    nothing limits them.

    Args:
        process, groups: as for `usable_cpus`.
    """
    left = []
    for folder in _folders("pids", process, groups):
        for most, now in zip(_numbers(folder / "pids.max"), _numbers(folder / "pids.current"), strict=False):
            left.append(most - now)
    allowed = _limit_of_the_user()
    if allowed is not None:
        left.append(allowed - _threads_of_the_user())
    return max(0, min(left)) if left else None


def _limit_of_the_user() -> int | None:
    """The threads that a user's processes may have together (`ulimit -u`); the system lets root have any number."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    return None if most == resource.RLIM_INFINITY or os.getuid() == 0 else most


def _threads_of_the_user() -> int:
    """Those that run now; 0 where the system does not list them."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if folder.stat().st_uid == os.getuid():
                count += sum(1 for _ in (folder / "task").iterdir())
    return count


def _quotas(process: Path, groups: Path) -> Iterator[tuple[int, int]]:
    """(microseconds of CPU time, of the period in which they may be used) of each group with a limit."""
    for folder in _folders("cpu", process, groups):
        both = _numbers(folder / "cpu.max")
        if len(both) == 2:
            yield both[0], both[1]
        quota, period = (_numbers(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        yield from zip(quota, period, strict=False)  # either may be missing


def _folders(controller: str, process: Path, groups: Path) -> Iterator[Path]:
    """The folders of the process's own groups and of their ancestors, of both versions.

    In a container, the path may be that of the host: what is missing is passed over, down to the container's own root.
    """
    try:
        lines = process.read_text(encoding="utf-8").splitlines()
    except OSError:  # a system without control groups
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        roots = [groups / controller, groups / controllers] if controllers else [groups, groups / "unified"]
        own = Path(path.lstrip("/"))
        for root in dict.fromkeys(roots):
            yield from (root / part for part in (own, *own.parents))


def _numbers(file: Path) -> list[int]:
    """The numbers of a file; [] where it is missing or says `max`."""
    try:
        return [int(text) for text in file.read_text(encoding="utf-8").split()]
    except (OSError, ValueError):
        return []
