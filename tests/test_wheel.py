"""The wheel, installed where the checkout cannot be imported, plans, trains and evaluates FaceAPI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from installed import MODELS, needs_weights
from portraits import portrait
from projects import BOX, make_project, write_csv

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("faceapi", "orchestrator", "search_spaces", "trainable")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder to run in."""

    environment: Path
    folder: Path

    def run(self, *command: object) -> str:
        """Run a program of the environment in the folder; returns its stdout."""
        program, *arguments = map(str, command)
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def pip(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, because setuptools leaves its work beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Takes its dependencies from the tests' environment, but not that one's `.pth` files, which name the checkout."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    pip("--python", environment / "bin/python", "install", "--no-deps", "--no-index", wheel)
    (packages,) = environment.glob("lib/python*/site-packages")
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)), encoding="utf-8")
    return Installed(environment, tmp_path_factory.mktemp("elsewhere"))


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not {"node_modules", "__pycache__"} & set(path.parts)
    }
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == sources


def test_the_checkout_cannot_be_imported(installed: Installed) -> None:
    code = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {PACKAGES}), sep='\\n')"
    for file in installed.run("python", "-c", code).splitlines():
        assert Path(file).is_relative_to(installed.environment)


def test_plan(installed: Installed, shared_project: Path) -> None:
    options = ("plan", "--project-root", shared_project, "--weights", "none", "--only", "probe_*,finetune_*")
    found = installed.run("python", "-m", "orchestrator", *options)
    assert "finetune_K7" in found
    assert installed.run("emosweep", *options) == found


def test_an_epoch_of_training(installed: Installed, shared_project: Path) -> None:
    out = installed.folder / "probe"
    splits = shared_project / "data_shared/cropped_faces_csv"
    csvs = [(f"--{part}-csv", splits / f"{part}_M1.csv") for part in ("train", "val", "test")]
    options = (
        "--mode",
        "probe",
        "--epochs",
        1,
        "--lr-head",
        "7e-4",
        "--weights",
        "none",
        "--workers",
        0,
        "--threads",
        1,
    )
    arguments = [*options, *(word for pair in csvs for word in pair), "--out", out, "--project-root", shared_project]
    assert "val macro-F1" in installed.run("python", "-m", "trainable", *arguments)
    assert (out / "test_preds.csv").is_file()


@needs_weights
@pytest.mark.ray
def test_faceapi_with_weights_from_a_folder(installed: Installed, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    [box] = portrait(project / "data_raw/photos/M1/face.jpg", [(160, 180, 70)], quality=95)
    rows = [("data_raw/photos/M1/face.jpg", "기쁨", *box), ("data_raw/photos/M1/1.jpg", "상처", 1, 1, 90, 90)]
    write_csv(project / "data_shared/splits_csv/test_M1.csv", ("path", "orig_kor", *BOX), rows)
    models = tmp_path / "models"
    models.mkdir()
    for network in ("tiny_face_detector_model", "face_expression_model"):
        for file in MODELS.glob(f"{network}*"):
            shutil.copy(file, models)
    options = ("--project-root", project, "--only", "faceapi_M1", "--faceapi-models", models, "--num-cpus", 1)
    installed.run("python", "-m", "orchestrator", "run-all", *options)
    results = project / "models/faceapi_baseline/results/faceapi_M1_eval.csv"
    _, face, none = results.read_text(encoding="utf-8").splitlines()
    assert face.startswith("data_raw/photos/M1/face.jpg,happy,")
    assert float(face.split(",")[5]) > 0.5
    assert none == "data_raw/photos/M1/1.jpg,disgusted,,0,0,0,0"
