"""`python -m orchestrator cache` shows the contents of the machine's cache and deletes them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from by_hand import Cli
from rich.cells import cell_len

from trainable.base.config import Resources, RunSpec, TrainConfig
from trainable.run.trainer import Trainer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "my cache"))
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", "2.5")
    return tmp_path / "my cache"


@pytest.fixture
def filled(cache: Path, shared_project: Path, tmp_path: Path) -> Path:
    """Fill the cache by a probe of one epoch on one thread: 18 training images with both flips, 6 + 9 others."""
    before = torch.get_num_threads()
    csvs = {p: shared_project / f"data_shared/cropped_faces_csv/{p}_M1.csv" for p in ("train", "val", "test")}
    config = TrainConfig("probe", 1, 1e-3, batch=8, weights="none")
    Trainer(RunSpec(shared_project, csvs, tmp_path / "out", config), Resources("cpu", threads=1, workers=0)).run()
    torch.set_num_threads(before)
    return cache


def test_the_cache_is_shown_by_kind(filled: Path, cli: Cli) -> None:
    done = cli("cache")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    (images,) = (line for line in lines if line.startswith("images"))
    (features,) = (line for line in lines if line.startswith("features, stage 1"))
    assert " 33 " in images and "pillow-" in images and "2.5" in images
    assert " 51 " in features and "weights " in features
    assert f" of at most 2.5 GB in {filled}" in done.stdout.replace("\n", "")
    text = " ".join(done.stdout.split())
    assert "float32" in text and "cpu" in text
    assert max(cell_len(line) for line in lines if str(filled) not in line and "$" not in line) <= 80


def test_a_cleared_cache_is_empty_and_says_what_was_freed(filled: Path, cli: Cli) -> None:
    size = sum(path.stat().st_size for path in filled.rglob("*") if path.suffix in (".arrow", ".sqlite"))
    done = cli("cache", "--clear")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{size / 1e6:.3g} MB freed: {filled}\n"
    assert {path.name for path in filled.rglob("*")} <= {"images", "features"}
    assert cli("cache").stdout.startswith("nothing of at most 2.5 GB in ")
    assert cli("cache", "--clear").stdout == f"0 B freed: {filled}\n"


def test_a_missing_cache_is_shown_as_empty_and_not_created(cache: Path, cli: Cli) -> None:
    for arguments, words in ((("cache",), "nothing of at most"), (("cache", "--clear"), "0 B freed: ")):
        done = cli(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(words)
    assert not cache.exists()


def test_unreadable_files_are_listed_and_deleted(cache: Path, cli: Cli) -> None:
    for name in (f"features/x/{0:032}.arrow", f"images/pillow-0/{1:032}.arrow"):
        (cache / name).parent.mkdir(parents=True)
        (cache / name).write_bytes(b"ARROW1")
    (cache / "features/x/about.json").write_text("[")
    done = cli("cache")
    assert done.returncode == 0
    assert "features, stage ?" in done.stdout
    assert cli("cache", "--clear").stdout.startswith("12 B freed")


def test_a_file_in_place_of_the_folder_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    (tmp_path / "a file").write_text("mine")
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "a file"))
    for arguments in (("cache",), ("cache", "--clear")):
        done = cli(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {tmp_path / 'a file'}: is a file, but must be a folder")
    assert (tmp_path / "a file").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("EMOSWEEP_CACHE_GB", "lots", "must be a number of gigabytes"),
        ("EMOSWEEP_CACHE", "here", "must be an absolute path"),
    ],
)
def test_a_wrong_setting_is_one_message(
    name: str, value: str, words: str, cache: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setenv(name, value)
    done = cli("cache")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"${name}={value}: {words}" in done.stderr


def test_mistyped_options_delete_nothing(filled: Path, cli: Cli) -> None:
    for arguments in (("cache", "--clean"), ("cache", "clear")):
        assert cli(*arguments).returncode == 2
    assert list(filled.rglob("*.arrow"))


def test_the_command_needs_neither_torch_nor_ray(cache: Path, python: Callable[..., list[str]]) -> None:
    code = "import sys; sys.argv = ['orchestrator', 'cache']\nfrom orchestrator.__main__ import run\n"
    code += "try: run()\nfinally: print([name for name in ('torch', 'ray', 'torchvision') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert done.stdout.splitlines()[-1] == "[]"
