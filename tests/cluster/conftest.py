"""One lab for all tests of this folder: its launch takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import refused
from lab import Lab
from projects import make_project
from runs import Alone


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Hosts that are up; the cluster is not."""
    if why := refused():
        pytest.skip(f"NOT TESTED: {why}")
    with Lab(tmp_path_factory.mktemp("lab")) as hosts:
        yield hosts


@pytest.fixture(scope="session")
def project(lab: Lab) -> Path:
    """A project in the head's home, `~/project`, which no other host has."""
    return make_project(lab.head.home / "project")


@pytest.fixture(scope="session")
def alone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """The same commands without a cluster."""
    with Alone.started(project, tmp_path_factory.mktemp("alone")) as started:
        yield started
