"""`plan --simulate`: what it prints in 80 columns, what it refuses, and what the options change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from by_hand import Cli
from rich.cells import cell_len

from orchestrator.simulation.shape import shapes
from trainable.base.errors import ConfigError

BAD = ["8y8", "0x8", "", "8x", "x8", "8x8,", "-1", "1.5", "8x8x8", "99999x8", "4097", "٣"]
LACKING = ["--trials-per-gpu 2", "--max-concurrent 3", "--gpus-per-trial 0.5"]


def lines(project: Path, cli: Cli, *options: object) -> dict[str, list[str]]:
    """The table's rows by their shapes."""
    done = cli("plan", "--project-root", project, "--weights", "none", "--only", "probe_*,finetune_*", *options)
    assert done.returncode == 0, done.stderr
    start = next(i for i, line in enumerate(done.stdout.splitlines()) if line.strip().startswith("Nodes"))
    table = done.stdout.splitlines()[start:]
    assert max(map(cell_len, table)) <= 80
    assert any(line.startswith("simulated, not run: from an NVIDIA H100") for line in table)
    return {line.split()[0]: line.split() for line in table[2:] if line.startswith(" ") and line.strip()}


def test_a_line_for_each_cluster(shared_project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = lines(shared_project, cli, "--simulate", "2x4, 1")
    assert list(found) == ["2x4", "1x1"]
    assert (found["2x4"][1], found["1x1"][1]) == ("8", "1"), "GPUs"
    assert (found["2x4"][-2], found["1x1"][-2]) == ("5", "1"), "at once: five trainings"


@pytest.mark.parametrize(
    ("options", "at_once"), [((), "2"), (("--trials-per-gpu", 2), "4"), (("--max-concurrent", 1), "1")]
)
def test_trials_share_gpus_as_in_a_run(options: Any, at_once: str, shared_project: Path, cli: Cli) -> None:
    assert lines(shared_project, cli, "--simulate", 2, *options)["1x2"][-2] == at_once


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_cluster_is_refused(text: str, shared_project: Path, cli: Cli) -> None:
    done = cli("plan", "--project-root", shared_project, "--simulate", text)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --simulate") and len(done.stderr.splitlines()) <= 2
    assert done.stdout == ""


@pytest.mark.parametrize("option", LACKING)
def test_what_shares_gpus_needs_gpus_to_share(option: str, shared_project: Path, cli: Cli) -> None:
    done = cli("plan", "--project-root", shared_project, *option.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "with --simulate SHAPES only" in done.stderr


def test_auto_cannot_be_measured_on_what_is_not_there(shared_project: Path, cli: Cli) -> None:
    done = cli("plan", "--project-root", shared_project, "--simulate", 1, "--trials-per-gpu", "auto")
    assert done.returncode == 2 and "give --simulate a number" in done.stderr


def test_shapes_are_nodes_and_gpus() -> None:
    assert [str(shape) for shape in shapes("8x8,4, 2x0")] == ["8x8", "1x4", "2x0"]
    assert shapes("8x8")[0].cluster.gpus == 64
    assert shapes("2x0")[0].cluster.gpus == 0 and shapes("2x0")[0].cluster.cpus >= 2
    with pytest.raises(ConfigError, match="--simulate 8x8,z"):
        shapes("8x8,z")
