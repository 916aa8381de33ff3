from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_results import make_results


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with results that tests leave as it is."""
    return make_results(tmp_path_factory.mktemp("made") / "감정 실험")


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy to be changed; its recipe names the weights of the other, whose content counts."""
    return Path(shutil.copytree(made, tmp_path / "사본"))
