"""A project for every test: real files, laid out as in the runbook."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from projects import make_project

from trainable.base.limits import usable_cpus

os.environ.setdefault("RAY_AUTH_MODE", "token")
# A question to Ray where there is none is an error; by default Ray would start one, with whatever token is set.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
# Ray's processes would have what the tests beside them leave, and tests with a Ray take the longest.
os.environ.setdefault("RAY_worker_niceness", "0")
# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# One cache for all tests, and never the user's.
os.environ["EMOSWEEP_CACHE"] = tempfile.mkdtemp(prefix="emosweep-tests-")
atexit.register(shutil.rmtree, os.environ["EMOSWEEP_CACHE"], ignore_errors=True)


MOST_WORKERS = 8
"""The tests with a Ray go one after the other, and with more workers than this the others end before them."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` is: a worker for each CPU, and two where there is one, since tests with a Ray mostly wait."""
    return min(max(2, usable_cpus()), MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`: a file's tests go to one worker, and so do those of all files with a Ray.

    So one Ray runs at a time, and what tests share is made once. xdist's own groups have no effect under pytest 9.2.
    """
    from xdist.scheduler import LoadFileScheduling  # a plain `pytest` needs no xdist

    class OneRay(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "ray" if _starts_ray(config.rootpath / file) else file

    return OneRay(config, log) if config.getoption("dist") == "loadfile" else None


@cache
def _starts_ray(file: Path) -> bool:
    return "mark.ray" in file.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project for tests that only read it."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the test's own, to be broken."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def python() -> Callable[..., list[str]]:
    """Command lines of this interpreter: python("-m", "orchestrator", ...)."""
    return lambda *arguments: [sys.executable, *map(str, arguments)]
