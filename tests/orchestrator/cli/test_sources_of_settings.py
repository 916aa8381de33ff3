"""A message says where a value comes from: a variable that is set is called by its name, not by the option it fills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from by_hand import Cli

from orchestrator.cli.options import Machine
from trainable.base.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = "http://127.0.0.1:8265"


def run_all(project: Path, output: Path, *options: str, **environment: str) -> tuple[int, str]:
    """In a process of its own: what joins a cluster is real."""
    arguments = ("--project-root", project, "--output-root", output, "--only", "probe_M1", "--weights", "none")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run-all", *map(str, (*arguments, *options))], cwd=ROOT,
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (DASHBOARD, "must be host:port of the cluster's head, or auto (unset RAY_ADDRESS to start a Ray here)"),
        ("127.0.0.1:1", "nothing answers there ("),
    ],
)
def test_an_address_that_an_earlier_command_left_behind(
    address: str, words: str, shared_project: Path, tmp_path: Path
) -> None:
    code, said = run_all(shared_project, tmp_path, RAY_ADDRESS=address)
    assert code == 2
    assert said.startswith(f"error: $RAY_ADDRESS={address}: {words}")
    assert "--address" not in said
    assert "unset RAY_ADDRESS" in said


def test_an_address_that_was_given_is_the_options(shared_project: Path, tmp_path: Path) -> None:
    code, said = run_all(shared_project, tmp_path, "--address", "127.0.0.1:1", RAY_ADDRESS=DASHBOARD)
    assert code == 2
    assert said.startswith("error: --address 127.0.0.1:1: nothing answers there (")
    assert "RAY_ADDRESS" not in said


def test_cpus_of_a_ray_that_is_not_started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(ConfigError, match=r"the cluster at \$RAY_ADDRESS=head:6379 has its own \(unset RAY_ADDRESS"):
        _ = Machine(num_cpus=2).hardware
    with pytest.raises(ConfigError, match="a cluster at --address has its own"):
        _ = Machine(num_cpus=2, address="other:6379").hardware


def test_which_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert Machine().hardware.address is None
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert Machine().hardware.address == "head:6379"
    assert Machine(address="other:6379").hardware.address == "other:6379"
    assert Machine(address="").hardware.address is None, "the way to do without the variable for once"


@pytest.mark.parametrize("variable", ["TORCH_HOME", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("command", ["plan", "run-all"])
def test_the_folder_of_the_weights(
    command: str, variable: str, project: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # what remembers the proxies
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "weights"))
    done = cli(command, "--project-root", project, "--only", "probe_M1")
    said = done.stdout if command == "plan" else done.stderr
    assert str(tmp_path / "weights") in said
    assert f"(${variable} says where)" in said


# -- values of --config


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"lr_head": -1.0}, "lr_head must be a positive number, not -1.0 (--config {file}: lr_head)"),
        ({"experiments": {"finetune_*": {"epochs": 2}}}, "at least 3 epochs, not 2 "),
        ({"experiments": {"finetune_*": {"epochs": 2}}}, "(--config {file}: epochs)"),
        ({"label_smoothing": 2.0, "batch": 8}, "(--config {file}: label_smoothing)"),
    ],
)
def test_a_value_of_a_file_is_the_files(
    recipe: dict[str, object], words: str, project: Path, tmp_path: Path, cli: Cli
) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(recipe), encoding="utf-8")
    plan = ("plan", "--project-root", project, "--only", "finetune_M1", "--weights", "none", "--config", file)
    done = cli(*plan)
    assert done.returncode == 2
    assert words.replace("{file}", str(file)) in done.stderr


def test_a_flag_is_not_the_files(project: Path, tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "recipe.json"
    file.write_text('{"epochs": 9, "batch": 8}', encoding="utf-8")
    plan = ("plan", "--project-root", project, "--only", "finetune_M1", "--weights", "none", "--config", file)
    done = cli(*plan, "--epochs", 2)
    assert "at least 3 epochs, not 2" in done.stderr
    assert "--config" not in done.stderr
