"""Moving results to the history and back: whatever happens on the way, each one is whole somewhere."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.place import Place
from orchestrator.history.store import bring_back, make_way, recover
from trainable.base.files import write_json
from trainable.base.paths import RunPaths

Contents = dict[str, bytes]
RECIPES = [{"config": {"seed": seed, "이름": "가나다"}} for seed in range(3)]
OPERATIONS = (
    *((Path, name) for name in ("rename", "unlink", "hardlink_to", "mkdir", "write_bytes")),
    (os, "replace"),
    (os, "unlink"),
    (os, "rmdir"),
    (shutil, "copyfile"),
)
"""All that changes a disk in these modules; `shutil.rmtree` calls those of `os`."""


def place_in(root: Path) -> Place:
    """That of a run whose folder has a Korean name."""
    run, history = RunPaths(root / "runs" / "표정_M1"), root / "history" / "표정_M1"
    return Place(run.files, run.results, run.manifest, run.owner, run.checkpoints, history)


def make_result(place: Place, identity: dict[str, Any], attempt: int = 0) -> Contents:
    """What a training leaves, each file with a content of its own; logits for some recipes only."""
    place.manifest.parent.mkdir(parents=True, exist_ok=True)
    names = [file for file in place.files if file in place.needed or identity["config"]["seed"] % 2]
    for file in place.files:
        file.unlink(missing_ok=True)
    for file in names:
        file.write_text(f"{file.name} of {identity}, {attempt}", encoding="utf-8")
    write_json(place.manifest, {"identity": identity, "finished": f"2026-01-0{attempt + 1}T00:00:00+00:00"})
    return in_place(place)


def in_place(place: Place) -> Contents:
    return {file.name: file.read_bytes() for file in (*place.files, place.manifest) if file.is_file()}


def found(place: Place, identity: dict[str, Any]) -> Contents:
    """The whole result of an identity, as a planner finds it; {} where there is none."""
    if place.current.get("identity") == identity and all(file.is_file() for file in place.needed):
        return in_place(place)
    if place.kept(identity):
        return {file.name: file.read_bytes() for file in place.entry(identity).iterdir()}
    return {}


class Killed(BaseException):
    """What no handler of errors catches, as little as SIGKILL."""


@contextmanager
def ended_before(number: int, end: Callable[[], BaseException] = Killed) -> Iterator[None]:
    """Patched, since no signal could be timed between two operations on a disk."""
    count = itertools.count()

    def ending(real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **more: Any) -> Any:
            if next(count) >= number:  # a dead process runs no `finally` either
                raise end()
            return real(*arguments, **more)

        return operation

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in OPERATIONS:
            patch.setattr(owner, name, ending(getattr(owner, name)))
        yield


@contextmanager
def new_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="기록-") as root:
        yield place_in(Path(root))


def switch(place: Place, identity: dict[str, Any]) -> None:
    """What a run of this recipe does before it trains, or in place of it."""
    (bring_back if place.kept(identity) else make_way)(place, identity)


scripts = st.lists(st.tuples(st.sampled_from(range(3)), st.integers(0, 150)), min_size=2, max_size=6)


@given(script=scripts, links=st.booleans())
def test_killed_between_any_two_operations_every_result_is_found_again(
    script: list[tuple[int, int]], links: bool
) -> None:
    """A recipe after the other: each switch is killed once, at any operation, and then made."""
    made: dict[int, Contents] = {}
    with new_place() as place, pytest.MonkeyPatch.context() as patch:
        if not links:
            patch.setattr(Path, "hardlink_to", refuse)
        for recipe, instant in script:
            identity = RECIPES[recipe]
            try:
                with ended_before(instant):
                    switch(place, identity)
            except Killed:
                assert {number: found(place, RECIPES[number]) for number in made} == made
                whole = [made[number] for number in made if place.current.get("identity") == RECIPES[number]]
                assert not place.current or whole == [in_place(place)], "a folder with a manifest is whole"
            switch(place, identity)
            assert {number: found(place, RECIPES[number]) for number in made} == made
            assert in_place(place) == made.get(recipe, {})
            made[recipe] = made.get(recipe) or make_result(place, identity)
            assert not place.journal.exists()


def refuse(*arguments: object) -> None:
    raise OSError(95, "Operation not supported")  # as on a file system without hard links


@given(instant=st.integers(0, 150), number=st.sampled_from([28, 30, 13]))
def test_an_error_of_the_disk_at_any_operation_loses_nothing(instant: int, number: int) -> None:
    """Full, read-only, or not allowed. Patched, since root may write everywhere."""
    with new_place() as place:
        made = {0: make_result(place, RECIPES[0])}
        make_way(place, RECIPES[1])
        made[1] = make_result(place, RECIPES[1])
        try:
            with ended_before(instant, lambda: OSError(number, os.strerror(number), "표정")):
                bring_back(place, RECIPES[0])
        except OSError:
            assert {recipe: found(place, RECIPES[recipe]) for recipe in made} == made
        bring_back(place, RECIPES[0]) if place.kept(RECIPES[0]) else recover(place)
        assert in_place(place) == made[0]
        assert found(place, RECIPES[1]) == made[1]


def test_a_newer_result_of_the_same_recipe_takes_the_place_of_the_older(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    make_result(place, RECIPES[0])
    make_way(place, RECIPES[1])
    newer = make_result(place, RECIPES[0], attempt=1)
    make_way(place, RECIPES[1])
    assert found(place, RECIPES[0]) == newer


def test_what_the_user_put_beside_a_result_stays(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    make_result(place, RECIPES[0])
    notes = place.manifest.parent / "메모.txt"
    notes.write_text("mine", encoding="utf-8")
    make_way(place, RECIPES[1])
    assert [file.name for file in place.manifest.parent.iterdir()] == [notes.name]


def test_files_of_another_program_are_no_leftovers(tmp_path: Path) -> None:
    """They were written where a result had been when its move was cut short."""
    place = place_in(tmp_path)
    make_result(place, RECIPES[0])
    make_way(place, RECIPES[1])
    write_json(place.journal, {"identity": RECIPES[0]})
    place.needed[0].write_text("theirs", encoding="utf-8")
    recover(place)
    assert place.needed[0].read_text(encoding="utf-8") == "theirs"


def test_an_incomplete_result_is_kept_and_not_restored(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    make_result(place, RECIPES[0])
    place.needed[0].unlink()
    rest = in_place(place)
    make_way(place, RECIPES[1])
    assert place.kept(RECIPES[0]) == {}
    assert {file.name: file.read_bytes() for file in place.entry(RECIPES[0]).iterdir()} == rest


# -- checkpoints


def checkpoint(place: Place, identity: dict[str, Any], epoch: int) -> None:
    """As version 0.1.0 left it: a note without a digest of its file."""
    assert place.unfinished is not None
    write_json(place.unfinished / "last.json", {"identity": identity, "epoch": epoch})
    (place.unfinished / "last.pt").write_text(f"after epoch {epoch}")


def last(place: Place) -> str:
    assert place.unfinished is not None
    file = place.unfinished / "last.pt"
    return file.read_text() if file.is_file() else ""


@contextmanager
def two_disks() -> Iterator[None]:
    """As where `runs` is a link. Patched, since there may be one disk only here: a name on the other is refused."""
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if ("history" in self.parts) != ("history" in target.parts):
            raise OSError(18, "Invalid cross-device link", str(self))
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(Path, "hardlink_to", refuse)
        yield


@given(instant=st.integers(0, 40), there=st.booleans(), other_disk=st.booleans())
def test_checkpoints_go_and_come_back(instant: int, there: bool, other_disk: bool) -> None:
    """Killed on the way there or on the way back."""
    with new_place() as place, two_disks() if other_disk else nullcontext():
        checkpoint(place, RECIPES[0], 3)
        with suppress(Killed), ended_before(instant if there else 10**6):
            make_way(place, RECIPES[1])
        make_way(place, RECIPES[1])
        assert last(place) == ""
        checkpoint(place, RECIPES[1], 7)
        with suppress(Killed), ended_before(10**6 if there else instant):
            make_way(place, RECIPES[0])
        make_way(place, RECIPES[0])
        assert last(place) == "after epoch 3"
        make_way(place, RECIPES[1])
        assert last(place) == "after epoch 7"


def test_another_disk_is_no_obstacle(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    made = make_result(place, RECIPES[0])
    with two_disks():
        make_way(place, RECIPES[1])
        assert found(place, RECIPES[0]) == made
        bring_back(place, RECIPES[0])
    assert in_place(place) == made
