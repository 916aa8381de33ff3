"""Real control groups, with which the system limits what processes may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def control_group(controller: str, **limits: str) -> Iterator[str]:
    """A control group of version 1 with such limits, and the line of Python that puts a process into it.

    The test is skipped where none can be made.
    """
    group = Path("/sys/fs/cgroup") / controller / f"emosweep-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        for name, value in limits.items():
            (group / f"{controller}.{name}").write_text(value)
        yield f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
    finally:
        group.rmdir()
