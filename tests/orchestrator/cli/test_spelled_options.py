"""Paths typed in one Unicode form name files of the other: macOS writes decomposed names, keyboards composed ones."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from by_hand import Cli

NAME = "감정 실험"
FORMS = [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")]


@pytest.mark.parametrize(("typed", "on_disk"), FORMS)
def test_every_option_that_names_a_file(
    typed: str, on_disk: str, cli: Cli, shared_project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / unicodedata.normalize(on_disk, NAME)
    folder.mkdir()
    shutil.copytree(shared_project, folder / unicodedata.normalize(on_disk, "자료"))
    recipe = folder / unicodedata.normalize(on_disk, "설정.json")
    recipe.write_text(json.dumps({"epochs": 7, "weights": "none"}), encoding="utf-8")
    space = folder / unicodedata.normalize(on_disk, "공간.py")
    space.write_text("from ray import tune\nspace = {'lr_head': tune.loguniform(1e-4, 1e-2)}\n", encoding="utf-8")
    asked = tmp_path / unicodedata.normalize(typed, NAME)
    done = cli(
        "plan", "--project-root", asked / unicodedata.normalize(typed, "자료"), "--only", "probe_M1",
        "--config", asked / unicodedata.normalize(typed, "설정.json"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert " 7 " in done.stdout
    from orchestrator.sweeps.user_space import load_space

    assert list(load_space(f"{asked / unicodedata.normalize(typed, '공간.py')}:space")) == ["lr_head"]


def test_a_space_may_import_its_neighbours(tmp_path: Path) -> None:
    from orchestrator.sweeps.user_space import load_space

    (tmp_path / "my_rates_of_this_test.py").write_text("RATES = [1e-3, 1e-4]\n", encoding="utf-8")
    text = "from my_rates_of_this_test import RATES\nfrom ray import tune\nspace = {'lr_head': tune.choice(RATES)}\n"
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    assert list(load_space(f"{tmp_path / 'mine.py'}:space")) == ["lr_head"]
