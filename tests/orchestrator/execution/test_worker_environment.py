"""Ray's workers start from any path, and import what the driver has imported, from any working folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from ray_runs import QUICK, ROOT, RUNS

from orchestrator.execution.worker_environment import hides_modules, worker_environment
from trainable.base.errors import ConfigError

ONLY = ("--only", "probe_M1,faceapi_M1", "--epochs", "1")


@pytest.mark.parametrize("folder", ["with space", "a(b)", "a&b", "a;b", "$HOME", "*", "학습"])
def test_a_python_in_a_strange_folder_is_quoted(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    executable = tmp_path / folder / "python"
    executable.parent.mkdir()
    executable.symlink_to(sys.executable)
    environment = worker_environment(local=True, executable=str(executable))
    assert environment is not None
    ran = subprocess.run(  # as Ray calls it
        ["bash", "-c", f"exec {environment['py_executable']} -c 'print(1)'"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "1\n"


@pytest.mark.parametrize("folder", ["it's", 'a"b', "a\\b"])
def test_a_python_that_ray_cannot_start_is_refused(folder: str) -> None:
    with pytest.raises(ConfigError, match="Ray cannot start its processes with"):
        worker_environment(local=True, executable=f"/opt/{folder}/python")


def test_an_ordinary_python_needs_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray starts such workers sooner."""
    monkeypatch.chdir(tmp_path)
    assert worker_environment(local=True, executable="/opt/env/bin/python3.11") is None
    assert worker_environment(local=False, executable="/opt/my env/bin/python") is None, "the cluster's own is used"


@pytest.mark.parametrize("name", ["trainable.py", "faceapi", "random.py", "torch.py", "sklearn", "json.pyc"])
def test_a_file_with_a_modules_name_is_noticed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir() if "." not in name else (tmp_path / name).touch()
    assert hides_modules(tmp_path)


@pytest.mark.parametrize("names", [[], ["data_shared", "models", "recipe.json", "my_script.py"], [".git", "train.py"]])
def test_other_files_hide_nothing(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert not hides_modules(tmp_path)


def test_the_checkout_hides_nothing_from_itself() -> None:
    assert not hides_modules(ROOT)


def run_from(
    folder: Path, project: Path, output: Path, *start: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    line = [*start, "run-all", "--project-root", str(project), "--output-root", str(output), *QUICK, *ONLY]
    return subprocess.run(
        line,
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, **(env or {})},
    )


def assert_done(done: subprocess.CompletedProcess[str], output: Path) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert (output / RUNS / "probe_M1_160/best.pt").is_file()


@pytest.mark.ray
@pytest.mark.nightly
def test_files_named_like_modules_hide_nothing_from_a_run(shared_project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own scripts"
    (folder / "faceapi").mkdir(parents=True)
    for name in ("trainable", "orchestrator_notes", "random", "tokenize", "torchvision", "search_spaces"):
        (folder / f"{name}.py").write_text("raise RuntimeError('a file of the user was imported')\n")
    done = run_from(folder, shared_project, tmp_path / "out", sys.executable, "-m", "orchestrator")
    assert_done(done, tmp_path / "out")


@pytest.mark.ray
def test_a_checkout_and_an_environment_with_spaces_and_brackets(shared_project: Path, tmp_path: Path) -> None:
    """The interpreter, Ray's files and the project all lie under such a path."""
    home = tmp_path / "my (own) code & more"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "an env")], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home / "an env")}))
    (home / "site").symlink_to(sysconfig.get_path("purelib"))
    (packages / "all.pth").write_text(f"{home / 'site'}\n", encoding="utf-8")
    (home / "check out").symlink_to(ROOT)
    done = run_from(
        home / "check out", shared_project, tmp_path / "out", str(home / "an env/bin/python"), "-m", "orchestrator",
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert_done(done, tmp_path / "out")


@pytest.mark.ray
@pytest.mark.parametrize(
    ("environment", "program"),
    [
        pytest.param(
            ["env", "-i", "PATH=/usr/bin:/bin"],
            [sys.executable],
            id="cron and systemd: no HOME, no TERM",
            marks=pytest.mark.nightly,
        ),
        pytest.param(["env"], [sys.executable, "-O"], id="python -O", marks=pytest.mark.nightly),
        pytest.param(
            ["env", "UV_OFFLINE=1"],
            ["uv", "run", "--no-project", "--python", sys.executable, "python"],
            marks=pytest.mark.skipif(not shutil.which("uv"), reason="uv is not installed"),
            id="uv run",
        ),
    ],
)
def test_other_ways_to_start(environment: list[str], program: list[str], shared_project: Path, tmp_path: Path) -> None:
    cache = f"EMOSWEEP_CACHE={os.environ['EMOSWEEP_CACHE']}"
    start = [*environment, cache, *program, "-m", "orchestrator"]
    assert_done(run_from(ROOT, shared_project, tmp_path / "out", *start), tmp_path / "out")
