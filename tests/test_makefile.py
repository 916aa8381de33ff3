"""What the Makefile's targets install and delete, without the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")

# In place of uv, the network and minutes of installing: notes its arguments, and makes a `python` that does the same.
FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    for name in python ruff mypy; do cp "$0" "$folder/bin/$name"; done
fi
"""


OF_MAKE = ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES")
"""What `make test` hands to the tests; with them a make behaves like a part of another one."""


def make(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    places = os.environ["PATH"] if path is None else f"{path}:{os.environ['PATH']}"
    ours = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False, env={**ours, "PATH": places},
    )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and what its targets look at."""
    folder = tmp_path / "checkout"
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "faceapi/node/package.json",
                 "faceapi/node/package-lock.json"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "faceapi/node/node_modules").mkdir()
    (folder / "faceapi/node/node_modules/.installed").touch()
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for the PATH with a stand-in for uv; `log` beside it has every call."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "uv").write_text(FAKE.format(log=tmp_path / "log"), encoding="utf-8")
    (folder / "uv").chmod(0o755)
    return folder


def calls(tools: Path) -> list[str]:
    log = tools.parent / "log"
    found = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def test_make_alone_lists_every_target(checkout: Path) -> None:
    done = make(checkout)
    assert (done.returncode, done.stdout) == (0, make(checkout, "help").stdout)
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    assert targets
    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert sorted(listed) == sorted(targets[1].split())
    assert all(len(line.split()) > 3 and len(line) <= 80 for line in done.stdout.splitlines())


def test_setup_installs_no_linters_and_is_done_once(checkout: Path, tools: Path) -> None:
    assert make(checkout, "setup", path=tools).returncode == 0
    venv, install = calls(tools)
    assert venv.startswith("uv venv ")
    assert install == "uv pip install --quiet --python .venv/bin/python -c constraints.txt -e .[optuna]"
    assert make(checkout, "setup", path=tools).returncode == 0
    assert calls(tools) == []


def test_changed_dependencies_are_installed_again(checkout: Path, tools: Path) -> None:
    make(checkout, "dev", path=tools)
    assert [line.rpartition(" ")[2] for line in calls(tools)] == [".venv", ".[optuna]", ".[dev]"]
    stamp = (checkout / ".venv/.installed-dev").stat().st_mtime
    os.utime(checkout / "constraints.txt", (stamp + 10, stamp + 10))
    make(checkout, "dev", path=tools)
    assert [line.rpartition(" ")[2] for line in calls(tools)] == [".[optuna]", ".[dev]"]


@pytest.mark.parametrize(
    ("target", "options"), [("test", "-n auto --dist loadfile"), ("test-all", "-n auto --dist loadfile -m not cluster")]
)
def test_tests_set_everything_up_from_nothing(target: str, options: str, checkout: Path, tools: Path) -> None:
    done = make(checkout, target, path=tools)
    assert done.returncode == 0, done.stderr
    found = calls(tools)
    assert found[0].startswith("uv venv ")
    assert found[-1] == f"python -m pytest {options}"
    assert [line for line in found if line.startswith(("ruff check", "mypy"))]


def test_hosts_and_their_cluster_are_set_up_from_nothing(checkout: Path, tools: Path) -> None:
    assert make(checkout, "cluster-test", path=tools).returncode == 0
    assert calls(tools)[-1] == "python -m pytest -m cluster -s tests/cluster"


def test_the_demo_sets_everything_up_from_nothing(checkout: Path, tools: Path) -> None:
    assert make(checkout, "demo", path=tools).returncode == 0
    found = calls(tools)
    assert not [line for line in found if line.endswith(".[dev]")]
    assert [line.split()[3] for line in found[-2:]] == ["demo-data", "run-all"]


def test_without_uv_it_is_pip(checkout: Path) -> None:
    done = make(checkout, "-n", "dev", "UV=")
    assert "-m venv .venv" in done.stdout
    assert ".venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt" in done.stdout
    assert "uv " not in done.stdout


def test_clean_leaves_results(checkout: Path) -> None:
    results = ("build/demo/reports/index.html", "build/mine/reports/index.html", "reports/index.html", "Makefile")
    others = (".venv/bin/python", "build/lib/a.py", "emosweep.egg-info/PKG-INFO", ".pytest_cache/a", ".mypy_cache/a",
              ".ruff_cache/a", ".hypothesis/a", "faceapi/node/node_modules/a", "orchestrator/__pycache__/a.pyc",
              "dist/a.whl")  # fmt: skip
    for name in (*results, *others):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    assert make(checkout, "clean").returncode == 0
    assert [name for name in others if (checkout / name).exists()] == []
    assert [name for name in results if not (checkout / name).exists()] == []
    assert make(checkout, "clean-demo").returncode == 0
    assert not (checkout / "build/demo").exists()
    assert (checkout / "build/mine").exists()


def test_make_cluster_does_what_the_files_say() -> None:
    """The first lines of cluster.yaml and docs/clouds.md name the same commands, for who would rather type them."""
    said = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    for file, prefix in (("cluster.yaml", "RAY_UP_enable_autoscaler_v2=0 "), ("clusters/aws.yaml", "")):
        done = make(ROOT, "--dry-run", "cluster", f"CLUSTER={file}").stdout.replace(".venv/bin/", "").splitlines()
        assert f"{prefix}ray up -y {file}" in done
        archive = "mkdir -p build && git archive -o build/emosweep.tar.gz HEAD"
        assert archive in done and archive in said
    assert "RAY_UP_enable_autoscaler_v2=0 ray up -y cluster.yaml" in said
