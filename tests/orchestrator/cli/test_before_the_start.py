"""What a new user meets before anything runs: data of one split, no weights, no room, a folder that is no project."""

from __future__ import annotations

import shutil
import unicodedata
import urllib.request
from collections import namedtuple
from pathlib import Path

import pytest
from by_hand import Cli, changes, listing, write_seven
from faceapi_models import needs_models

Usage = namedtuple("Usage", "total used free")
WEIGHTS = ("--weights", "none")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No way to the network, and an empty folder for torch.hub."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # what remembers the proxies
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    return tmp_path / "empty"


def keep(root: Path, *splits: str) -> None:
    """Delete the CSVs of all other splits."""
    for csv in (root / "data_shared").glob("*/*.csv"):
        if not csv.stem.endswith(splits):
            csv.unlink()


# -- data of some experiments only


@pytest.mark.parametrize("command", ["plan", "run-all"])
@pytest.mark.parametrize(
    ("splits", "words"),
    [
        (("M1",), "only M1 is here, no file of M2 and K7; to run the rest: --only '*_M1'"),
        (("M1", "M2"), "only M1 and M2 are here, no file of K7; to run the rest: --only '*_M1,*_M2'"),
        (("K7",), "only K7 is here, no file of M1 and M2; to run the rest: --only '*_K7'"),
    ],
)
@needs_models
def test_data_of_some_splits_is_one_message(
    command: str, splits: tuple[str, ...], words: str, project: Path, cli: Cli
) -> None:
    keep(project, *splits)
    done = cli(command, "--project-root", project, *WEIGHTS)
    assert done.returncode == 2
    assert done.stderr == f"1 problem with the input; nothing was started:\n  {project}/data_shared: {words}\n"
    only = words.rpartition("--only ")[2].strip("'")
    assert cli("plan", "--project-root", project, *WEIGHTS, "--only", only).returncode == 0


def test_data_without_faceapis_is_one_message(project: Path, cli: Cli) -> None:
    shutil.rmtree(project / "data_shared/splits_csv")
    done = cli("plan", "--project-root", project, *WEIGHTS)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "there are no files for faceapi_M1 faceapi_M2; to run the rest: --only 'probe_*,finetune_*'" in done.stderr


@needs_models
def test_other_problems_are_told_beside_the_missing_splits(project: Path, cli: Cli) -> None:
    keep(project, "M1")
    (project / "data_shared/cropped_faces_csv/val_M1.csv").unlink()
    done = cli("plan", "--project-root", project, *WEIGHTS)
    assert "only M1 is here" in done.stderr
    assert "val_M1.csv: no such file" in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_experiments_that_were_asked_for_name_their_files(project: Path, cli: Cli) -> None:
    keep(project, "M1")
    done = cli("plan", "--project-root", project, *WEIGHTS, "--only", "probe_*")
    assert done.stderr.count("_M2.csv: no such file") == 3


# -- weights


def test_plan_says_that_imagenet_weights_cannot_be_had(offline: Path, project: Path, cli: Cli) -> None:
    done = cli("plan", "--project-root", project, "--only", "probe_M1")
    assert done.returncode == 0
    assert "ImageNet weights cannot be had: " in done.stdout
    assert str(offline) in done.stdout


def test_plan_asks_for_no_imagenet_weights_where_none_are_wanted(offline: Path, project: Path, cli: Cli) -> None:
    assert "ImageNet" not in cli("plan", "--project-root", project, "--only", "probe_M1", *WEIGHTS).stdout
    file = offline / "hub/checkpoints/mobilenet_v3_small-047dcff4.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert "ImageNet" not in cli("plan", "--project-root", project, "--only", "probe_M1").stdout


# -- room on the disks


@pytest.mark.parametrize("command", ["plan", "run-all"])
def test_a_full_disk(command: str, project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    # No test may fill a disk, so the answer of the operating system is replaced.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 50_000_000))
    before = listing(project)
    done = cli(command, "--project-root", project, "--only", "probe_*", *WEIGHTS)
    assert done.returncode == 2
    assert f"--output-root {project}: its disk has 50 MB free" in done.stderr
    assert not changes(before, listing(project))


def test_a_cache_without_room_is_told_and_no_reason_to_stop(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", "0.001")
    done = cli("plan", "--project-root", project, "--only", "probe_*", *WEIGHTS)
    assert done.returncode == 0
    assert "has room for 1 MB" in done.stdout


# -- folders that are no projects


def test_a_report_on_a_folder_that_is_no_project(tmp_path: Path, cli: Cli) -> None:
    done = cli("report", "--project-root", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}: holds neither data_shared/ nor results" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_report_on_results_without_their_data(tmp_path: Path, cli: Cli) -> None:
    write_seven(tmp_path)
    assert cli("report", "--output-root", tmp_path).returncode == 0


@pytest.mark.parametrize("compare", [(), ("--compare",)])
def test_faceapi_in_a_folder_that_is_not_there(compare: tuple[str, ...], tmp_path: Path, cli: Cli) -> None:
    done = cli("faceapi", "--project-root", tmp_path / "nowhere", *compare)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--project-root {tmp_path}/nowhere: no such folder" in done.stderr


# -- names in Unicode


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
@needs_models
def test_faceapi_labels_are_compared_in_nfc(forms: tuple[str, str], project: Path, cli: Cli) -> None:
    in_csv, in_option = (unicodedata.normalize(form, "기분 좋음") for form in forms)
    csv = project / "data_shared/splits_csv/test_M1.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace("happy", in_csv), encoding="utf-8")
    plan = ("plan", "--project-root", project, "--only", "faceapi_M1")
    assert "none of face-api's" in cli(*plan).stderr
    assert cli(*plan, "--faceapi-label", f"{in_option}=happy").returncode == 0
