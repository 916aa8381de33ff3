"""A project for every test: real files, laid out as in the runbook."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from projects import make_project

os.environ.setdefault("RAY_AUTH_MODE", "token")
# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# One cache for all tests, and never the user's.
os.environ["EMOSWEEP_CACHE"] = tempfile.mkdtemp(prefix="emosweep-tests-")
atexit.register(shutil.rmtree, os.environ["EMOSWEEP_CACHE"], ignore_errors=True)


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
