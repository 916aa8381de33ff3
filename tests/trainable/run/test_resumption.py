"""Broken checkpoints: what the plan says is what a run does, whichever files are damaged in whatever way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import CPU, csvs_of, history

from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.planning.steps import TrainingStep
from trainable.base.config import RunSpec
from trainable.base.files import read_json, write_json
from trainable.base.paths import RunPaths
from trainable.run import checkpoints, resumption
from trainable.run.checkpoints import save_checkpoint
from trainable.run.resumption import find_checkpoint
from trainable.run.trainer import Trainer

RECIPE = {"weights": "none", "epochs": 4, "batch": 9}
FILES = ("last.pt", "last.json", "previous.pt", "previous.json")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "whole": lambda path: None,
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "a bit flipped": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "of another run": lambda path: write_json(path, {"identity": {"any": "other"}, "epoch": 3}),
}


def flipped(data: bytes) -> bytes:
    """In the middle, where torch may not notice."""
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def planned(root: Path) -> TrainingStep:
    paths = ProjectPaths(root, root)
    settings = Settings(recipe=Recipe.model_validate(RECIPE))
    experiments = select(["probe_M1"])
    (step,) = Planner(check_inputs(experiments, settings, paths), settings, paths).plan(experiments)
    assert isinstance(step, TrainingStep)
    return step


def spec_of_plan(root: Path) -> RunSpec:
    step = planned(root)
    return RunSpec(root, csvs_of(root), step.run.out, step.config)


@pytest.fixture(scope="module")
def after_two(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose probe_M1 was interrupted after two of four epochs."""
    root = tmp_path_factory.mktemp("after_two") / "project"
    shutil.copytree(shared_project, root)
    run = Trainer(spec_of_plan(root), CPU)
    run.step()
    run.step()
    shutil.copytree(run.paths.checkpoints, root.parent / "kept")
    return root


@pytest.fixture
def begun(after_two: Path) -> Path:
    """The same, with its checkpoints as they were, whatever another test did to them."""
    return restore(after_two)


def restore(root: Path) -> Path:
    out = spec_of_plan(root).out
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(root.parent / "kept", RunPaths(out).checkpoints)
    return root


def damage(root: Path, **how: str) -> None:
    folder = RunPaths(spec_of_plan(root).out).checkpoints
    for name, kind in how.items():
        DAMAGES[kind](folder / name.replace("_", "."))


def both_say(root: Path) -> tuple[int, str, str, str]:
    """The epoch that a run goes on from, what the plan says of it, what the run says, and what it notes."""
    step, told = planned(root), list[str]()
    run = Trainer(spec_of_plan(root), CPU, log=told.append)
    remarks = [line for line in told if "broken" in line]
    assert remarks == run.state.notes
    return run.state.epoch, step.status, step.why, "; ".join(remarks)


def test_two_whole_checkpoints_are_kept(begun: Path) -> None:
    paths = RunPaths(spec_of_plan(begun).out)
    assert {path.name for path in paths.checkpoints.iterdir()} == set(FILES)
    epochs = [(read_json(note) or {})["epoch"] for note in (paths.checkpoint_note, paths.previous_note)]
    assert epochs == [2, 1]
    assert both_say(begun) == (2, "interrupted", "goes on after epoch 2 of 4", "")


@pytest.mark.parametrize("how", ["gone", "empty", "cut short", "a bit flipped"])
def test_a_broken_checkpoint_costs_its_epoch_and_is_told(begun: Path, how: str) -> None:
    damage(begun, last_pt=how)
    said = "the checkpoint of epoch 2 is broken; goes on after epoch 1"
    assert both_say(begun) == (1, "interrupted", f"{said} of 4", said)


@pytest.mark.parametrize("how", ["gone", "empty", "cut short"])
def test_a_broken_note_costs_its_epoch_and_is_told(begun: Path, how: str) -> None:
    damage(begun, last_json=how)
    said = "the last checkpoint is broken; goes on after epoch 1"
    assert both_say(begun) == (1, "interrupted", f"{said} of 4", said)


def test_both_broken_begin_anew_and_say_so(begun: Path) -> None:
    damage(begun, last_pt="cut short", previous_pt="a bit flipped")
    said = "the checkpoints of epochs 1 and 2 are broken; begins anew"
    assert both_say(begun) == (0, "new", said, said)


def test_a_checkpoint_newer_than_its_note_costs_nothing_that_was_known(begun: Path) -> None:
    """A process was killed between the two writes: the note is of the epoch before."""
    paths = RunPaths(spec_of_plan(begun).out)
    shutil.copyfile(paths.previous_note, paths.checkpoint_note)
    assert both_say(begun) == (1, "interrupted", "goes on after epoch 1 of 4", "")


def test_checkpoints_of_another_run_are_no_broken_ones(begun: Path) -> None:
    damage(begun, last_json="of another run", previous_json="of another run")
    epoch, status, why, told = both_say(begun)
    assert (epoch, status, told) == (0, "stale", "")
    assert why.startswith("interrupted with other inputs: ")


def test_the_repaired_run_ends_like_an_undisturbed_one(begun: Path, tmp_path: Path) -> None:
    damage(begun, last_pt="a bit flipped")
    spec = spec_of_plan(begun)
    Trainer(spec, CPU).run()
    undisturbed = RunSpec(begun, csvs_of(begun), tmp_path / "probe_M1_160", spec.config)
    Trainer(undisturbed, CPU).run()
    assert history(spec.out) == history(undisturbed.out)
    found = read_json(RunPaths(spec.out).manifest) or {}
    assert found["notes"] == ["the checkpoint of epoch 2 is broken; goes on after epoch 1"]


@given(kinds=st.tuples(*(st.sampled_from(sorted(DAMAGES)) for _ in FILES)))
def test_the_plan_is_what_runs(after_two: Path, kinds: tuple[str, ...]) -> None:
    restore(after_two)
    damage(after_two, **dict(zip((name.replace(".", "_") for name in FILES), kinds, strict=True)))
    epoch, status, why, told = both_say(after_two)
    assert (status == "interrupted") == (epoch > 0)
    assert (f"after epoch {epoch} of 4" in why) == (epoch > 0)
    assert ("broken" in why) == bool(told)
    assert why.startswith(told)


class Killed(BaseException):
    """Ends a process in a test, between two of its calls."""


@pytest.mark.parametrize("last", ["whole", "cut short"])
def test_a_kill_at_any_moment_of_a_save_leaves_a_whole_checkpoint(
    begun: Path, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls that change a file raise by hand, each in its turn: a signal cannot be timed so."""
    spec = spec_of_plan(begun)
    paths = RunPaths(spec.out)
    kept = begun.parent / "kept"
    damage(begun, last_pt=last)
    run = Trainer(spec, CPU)
    before = run.state.epoch
    run.step()
    state = run.state_dict()
    places = {
        "_keep_as_previous": resumption, "save_torch": checkpoints, "write_note": checkpoints, "write_json": resumption,
    }  # fmt: skip
    real = {name: getattr(place, name) for name, place in places.items()}
    left = 0

    def dying(name: str) -> Callable[..., None]:
        def call(*args: object) -> None:
            nonlocal left
            if not left:
                raise Killed
            left -= 1
            real[name](*args)

        return call

    for calls in range(6):
        shutil.rmtree(paths.checkpoints)
        shutil.copytree(kept, paths.checkpoints)
        damage(begun, last_pt=last)
        left = calls
        with monkeypatch.context() as patch:
            for name, place in places.items():
                patch.setattr(place, name, dying(name))
            with suppress(Killed):
                save_checkpoint(paths, state)
        found = find_checkpoint(paths.checkpoints, run.identity)
        assert found.epoch in (before, before + 1), (calls, found)
    assert found.epoch == before + 1


def test_a_file_system_without_hard_links(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised by hand, as a FAT disk does."""

    def refused(self: Path, target: Path) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    run = Trainer(spec_of_plan(begun), CPU)
    run.step()
    damage(begun, last_pt="empty")
    assert Trainer(run.spec, CPU).state.epoch == 2


def test_a_fresh_run_does_not_fall_back_to_the_one_it_replaces(begun: Path) -> None:
    run = Trainer(spec_of_plan(begun), CPU, fresh=True)
    run.step()
    damage(begun, last_pt="empty")
    assert Trainer(run.spec, CPU).state.epoch == 0
