"""Nothing finished is destroyed unasked: real trainings into folders that have results already."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_local_runs import Project

from orchestrator.execution.hardware import Hardware
from orchestrator.execution.local import local_executor
from orchestrator.execution.runner import run_steps
from orchestrator.planning.selection import select
from trainable.base.paths import RunPaths


@pytest.fixture
def project(shared_project: Path, tmp_path: Path) -> Project:
    return Project(shared_project, tmp_path / "output")


def run(project: Project, lr_head: float = 1e-2, *, fresh: bool = False) -> RunPaths:
    planner = project.planner("probe_M1", epochs=1, batch=8, lr_head=lr_head)
    steps = planner.plan(select(["probe_M1"]), fresh=fresh)
    opened = local_executor()
    hardware = Hardware(cpus_per_trial=1)
    outcome = run_steps(steps, [], planner, hardware, project.opened, fresh=fresh, open_executor=opened)
    assert (outcome.exit_code, dict(outcome.failures)) == (0, {})
    return planner.paths.run(steps[0].experiment)


def earlier(paths: RunPaths) -> list[Path]:
    return sorted(paths.out.glob("earlier-*"))


def status(project: Project) -> tuple[str, str]:
    (step,) = project.planner("probe_M1", epochs=1, batch=8, lr_head=1e-2).plan(select(["probe_M1"]))
    return step.status, step.why


def contents(paths: RunPaths) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (*paths.files, paths.manifest)}


def test_a_result_comes_back_bit_for_bit(project: Project) -> None:
    """Also after another recipe was run, with --fresh, in between."""
    first = contents(run(project))
    paths = run(project, lr_head=1e-3, fresh=True)
    second = contents(paths)
    assert second["best.pt"] != first["best.pt"]
    assert status(project)[0] == "restored"
    assert contents(run(project)) == first
    assert contents(run(project, lr_head=1e-3)) == second
    assert earlier(paths) == []
    assert {file.name for file in paths.out.iterdir()} == set(second)


def test_fresh_replaces_what_the_same_recipe_has_made(project: Project) -> None:
    before = contents(run(project))["manifest.json"]
    paths = run(project, fresh=True)
    assert earlier(paths) == []
    assert status(project)[0] == "done"
    assert paths.manifest.read_bytes() != before


def test_results_of_the_runbooks_own_script_are_said_and_kept(project: Project) -> None:
    paths = project.planner("probe_M1").paths.run(select(["probe_M1"])[0])
    paths.out.mkdir(parents=True)
    paths.best.write_bytes(b"theirs")
    paths.test_preds.write_text("path,true,pred\n", encoding="utf-8")
    assert status(project) == ("stale", "results without a manifest: made by something else; they are kept aside")
    (kept,) = earlier(run(project))
    assert (kept / "best.pt").read_bytes() == b"theirs"
    assert (kept / "test_preds.csv").is_file()
    assert status(project)[0] == "done"


def test_results_of_the_runbooks_own_script_make_way_for_a_restored_one(project: Project) -> None:
    first = contents(run(project))
    paths = run(project, lr_head=1e-3)
    paths.manifest.unlink()
    theirs = paths.best.read_bytes()
    assert status(project)[0] == "restored"
    assert contents(run(project)) == first
    (kept,) = earlier(paths)
    assert (kept / "best.pt").read_bytes() == theirs


def test_a_file_of_the_users_beside_them_stays(project: Project) -> None:
    paths = run(project)
    (paths.out / "notes.txt").write_text("mine", encoding="utf-8")
    run(project, lr_head=1e-3)
    assert (paths.out / "notes.txt").read_text(encoding="utf-8") == "mine"
