"""One lab for all tests of this folder: its launch takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hosts import refused
from lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Hosts that are up; the cluster is not."""
    if why := refused():
        pytest.skip(f"NOT TESTED: {why}")
    with Lab(tmp_path_factory.mktemp("lab")) as hosts:
        yield hosts
