"""The options of trackers: what is missing or wrong is one sentence, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from by_hand import Cli, listing

from orchestrator.tracking import choice


@pytest.mark.parametrize("package", ["mlflow", "wandb", "trackio"])
@pytest.mark.parametrize("command", [("run-all",), ("sweep", "probe_M1")])
def test_a_missing_package_is_one_sentence(
    cli: Cli,
    shared_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda name: None)  # whether it is installed here or not
    done = cli(*command, "--project-root", shared_project, "--output-root", tmp_path, f"--{package}")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: --{package} needs a package that is not installed: pip install 'emosweep[{package}]'\n"
    )
    assert listing(tmp_path) == {}


def test_a_folder_is_no_database(cli: Cli, shared_project: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    (tmp_path / "기록").mkdir()
    done = cli(
        "run-all", "--project-root", shared_project, "--output-root", tmp_path, "--only", "probe_M1",
        "--weights", "none", "--mlflow", "기록",
    )  # fmt: skip
    assert done.returncode == 2
    folder = tmp_path / "기록"
    assert done.stderr == f"error: --mlflow: {folder} is a folder; name a file such as {folder / 'mlflow.db'}\n"
