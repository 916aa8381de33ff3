"""Results that a run finds in its folder are never destroyed unasked: not another recipe's, not another program's."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import CPU, RESULTS, probe, spec_of, tables_of

from trainable.base.config import RunSpec
from trainable.base.files import write_json
from trainable.base.paths import RunPaths
from trainable.cache.hashes import digest
from trainable.run.artifacts import write_results
from trainable.run.kept_aside import keep_aside, mark_as_own
from trainable.run.trainer import Trainer

OURS, OTHER = {"config": {"seed": 1}}, {"config": {"seed": 2}}


@pytest.fixture
def spec(shared_project: Path, tmp_path: Path) -> RunSpec:
    return spec_of(shared_project, tmp_path / "probe_M1_160", probe(epochs=1))


def put(out: Path, names: set[str] = RESULTS, **manifest: Any) -> dict[str, bytes]:
    """Files of another run, each with a content of its own."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names - {"manifest.json"}:
        (out / name).write_text(f"{name} of another run {manifest}")
    if "manifest.json" in names:
        write_json(out / "manifest.json", manifest)
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def earlier(out: Path) -> list[Path]:
    return sorted(path for path in out.iterdir() if path.name.startswith("earlier"))


# -- a run over what is there


FOUND: dict[str, tuple[set[str], dict[str, Any], str]] = {
    "the runbook's own script": (RESULTS - {"manifest.json"}, {}, "earlier-1"),
    "only its weights": ({"best.pt"}, {}, "earlier-1"),
    "only its predictions": ({"test_preds.csv", "test_metrics.json"}, {}, "earlier-1"),
    "another program with a manifest": (RESULTS, {"name": "mine"}, "earlier-1"),
    "another recipe": (
        RESULTS,
        {"identity": OTHER, "finished": "2026-01-02T03:04:05+00:00"},
        "earlier-20260102T030405-",
    ),
    "another recipe, no time": (RESULTS, {"identity": OTHER}, "earlier-unknown-"),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_finished_run_moves_earlier_results_aside_and_says_where(spec: RunSpec, case: str) -> None:
    names, manifest, where = FOUND[case]
    before = put(spec.out, names, **manifest)
    (spec.out / "notes.txt").write_text("mine")
    told: list[str] = []
    Trainer(spec, CPU, log=told.append).run()
    (kept,) = earlier(spec.out)
    assert kept.name.startswith(where)
    assert contents(kept) == before
    assert {path.name for path in spec.out.iterdir()} == RESULTS | {kept.name, "notes.txt"}
    note = f"earlier results of other data, configuration or another program are kept in {kept.name}"
    assert note in json.loads((spec.out / "manifest.json").read_text())["notes"]
    assert note in told


def test_another_configuration_leaves_the_results_of_the_first_one_whole(spec: RunSpec) -> None:
    """As seen: `run-all --config` replaced best.pt."""
    Trainer(spec, CPU).run()
    first = contents(spec.out)
    Trainer(replace(spec, config=replace(spec.config, seed=7)), CPU).run()
    (kept,) = earlier(spec.out)
    assert contents(kept) == first
    Trainer(spec, CPU).run()
    assert len(earlier(spec.out)) == 2


def test_the_same_recipe_replaces_its_own_results(spec: RunSpec) -> None:
    Trainer(spec, CPU).run()
    (spec.out / "test_preds.csv").unlink()
    Trainer(spec, CPU, fresh=True).run()
    assert {path.name for path in spec.out.iterdir()} == RESULTS


@pytest.mark.parametrize("manifest", [{}, {"identity": OTHER}], ids=["script", "recipe"])
def test_an_interrupted_run_touches_nothing(spec: RunSpec, manifest: dict[str, Any]) -> None:
    before = put(spec.out, RESULTS if manifest else RESULTS - {"manifest.json"}, **manifest)
    Trainer(replace(spec, config=replace(spec.config, epochs=2)), CPU).step()
    assert contents(spec.out) == before


def test_a_full_disk_touches_nothing(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, since a disk cannot be filled here: the last of the new files has no room."""
    run = Trainer(spec, CPU)
    run.step()
    before = put(spec.out)

    def full(path: Path, *rest: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("trainable.run.artifacts.write_csv", full)
    with pytest.raises(OSError, match="No space left"):
        run.finish()
    assert contents(spec.out) == before
    assert not earlier(spec.out)


def test_a_trial_of_a_sweep_keeps_what_another_one_left_there(spec: RunSpec) -> None:
    """Its folder is named by its recipe, so that only other data bring another trial there."""
    trial = replace(spec, test=False)
    Trainer(trial, CPU).run()
    first = contents(spec.out)
    Trainer(replace(trial, config=replace(spec.config, seed=7)), CPU).run()
    (kept,) = earlier(spec.out)
    assert contents(kept) == first
    assert "best.pt" not in first, "a trial leaves no weights, so that little is kept"


# -- by itself


@pytest.mark.parametrize("names", [set(), {"manifest.json"}, {"notes.txt", "last.pt"}])
def test_without_results_nothing_is_moved(tmp_path: Path, names: set[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    assert keep_aside(tmp_path, OURS) is None
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert keep_aside(tmp_path / "new") is None
    assert not (tmp_path / "new").exists()


def test_names_are_never_used_twice(tmp_path: Path) -> None:
    for _ in range(3):
        put(tmp_path, {"best.pt"})
        keep_aside(tmp_path)
    for _ in range(2):
        put(tmp_path, RESULTS, identity=OTHER, finished="2026-01-02T03:04:05+00:00")
        keep_aside(tmp_path, OURS)
    dated = f"earlier-20260102T030405-{digest(OTHER)[:8]}"
    assert {path.name for path in earlier(tmp_path)} == {"earlier-1", "earlier-2", "earlier-3", dated, f"{dated}-2"}


class Killed(BaseException):
    """What no handler of errors catches, as little as SIGKILL."""


def killing(real: Callable[..., Any], moves: itertools.count[int], at: int) -> Callable[..., Any]:
    def move(self: Path, target: Path) -> Any:
        if next(moves) == at:
            raise Killed
        return real(self, target)

    return move


@given(at=st.integers(0, 30), names=st.sets(st.sampled_from(sorted(RESULTS)), min_size=1))
def test_killed_at_any_moment_the_next_run_finds_and_keeps_everything(
    tmp_path_factory: pytest.TempPathFactory, shared_project: Path, at: int, names: set[str]
) -> None:
    """Whichever move is the last one: the earlier results are in one folder in the end, and the new ones are whole.

    The moves are patched, since no signal could be timed between two of them.
    """
    out = tmp_path_factory.mktemp("runs") / "probe_M1_160"
    before = put(out, names, identity=OTHER)
    spec, moves = spec_of(shared_project, out, probe(epochs=1)), itertools.count()
    tables = tables_of(shared_project)
    table = tables["test"]
    test = ({"macro_f1": 0.5}, [(row.path, row.label, row.label) for row in table.rows], torch.zeros(len(table), 1))

    def write() -> None:
        logits = torch.zeros(len(tables["val"]), 1)
        best: dict[str, Any] = {"model": {}, "metrics": {"macro_f1": 0.5}, "logits": logits}
        manifest = {"identity": OURS, "notes": []}
        write_results(spec, ["a"], tables, best=best, history=[], test=test, manifest=manifest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", killing(Path.rename, moves, at))
        patch.setattr(Path, "replace", killing(Path.replace, moves, at))
        try:
            write()
        except Killed:
            there = {path.name for path in out.rglob("*") if path.is_file()}
            assert set(before) <= there | {"manifest.json"}
            assert not (out / "manifest.json").exists() or contents(out)["manifest.json"] == before.get("manifest.json")
    write()
    assert {path.name for path in out.iterdir() if path.is_file()} == RESULTS
    kept = earlier(out)
    if before.keys() == {"manifest.json"}:
        assert not kept
    else:
        assert [contents(folder) for folder in kept] == [before]


def test_a_run_that_was_killed_while_placing_knows_its_own_files(tmp_path: Path) -> None:
    mark_as_own(tmp_path, OURS)
    before = put(tmp_path, {"best.pt", "history.csv"})
    assert keep_aside(tmp_path, OURS) is None
    assert contents(tmp_path) == before
    assert keep_aside(tmp_path, OTHER) == tmp_path / "earlier-1"
    shutil.rmtree(RunPaths(tmp_path).checkpoints)
