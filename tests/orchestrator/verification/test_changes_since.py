"""Whatever byte changes in what a result was made from, or in its files, is found and named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import NAMES, RUNS, TRAININGS, flip, planner, step_of, verified

from faceapi.contract.settings import FaceApiSettings
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Overrides
from orchestrator.planning.steps import manifest_file, result_files
from orchestrator.verification import recorded
from orchestrator.verification.changes import environment_changes
from orchestrator.verification.outcome import NO_HASHES, NO_MANIFEST
from orchestrator.verification.recorded import compare_with_record
from trainable.base.errors import InputError
from trainable.cache.digests import file_digest
from trainable.data.tables import load_table
from trainable.network.weight_files import imagenet_file
from trainable.run.manifest import environment

CROPS = "data_shared/cropped_faces_csv"


@contextmanager
def changed(file: Path) -> Iterator[Path]:
    """The file may be changed inside."""
    content = file.read_bytes()
    try:
        yield file
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_touched_is_unchanged(made: Path, name: str) -> None:
    found = verified(made, name)
    assert found.there
    assert (found.words, found.differences, found.unverified) == ("unchanged", (), ())


@settings(max_examples=40)
@given(data=st.data())
def test_every_byte_of_every_result_file_counts(made: Path, data: st.DataObject) -> None:
    ours = planner(made)
    step = step_of(ours, data.draw(st.sampled_from(NAMES)))
    record = json.loads(manifest_file(step).read_text(encoding="utf-8"))
    file = result_files(step)[0].with_name(data.draw(st.sampled_from(sorted(record["artifacts"]))))
    with changed(file):
        flip(file, data.draw(st.integers(0, file.stat().st_size - 1)), data.draw(st.integers(1, 255)))
        found = compare_with_record(step, ours)
    assert (found.differences, found.unverified) == ((f"{file.name} is not the file that the run wrote",), ())


def test_the_files_of_a_result_are_recorded(made: Path) -> None:
    for step in planner(made).plan(select(NAMES)):
        record = json.loads(manifest_file(step).read_text(encoding="utf-8"))
        assert set(record["artifacts"]) >= {file.name for file in result_files(step)}


def test_a_result_file_that_is_gone(copy: Path) -> None:
    (copy / RUNS / "probe_M1_160/classes.json").unlink()
    assert verified(copy, "probe_M1").words == "classes.json is missing"


def test_a_file_that_only_some_versions_write(copy: Path) -> None:
    """It counts where the result's own record names it."""
    extra = copy / RUNS / "probe_M1_160/extra.bin"
    extra.write_bytes(b"1")
    assert verified(copy, "probe_M1").words == "unchanged"
    manifest = extra.with_name("manifest.json")
    record = json.loads(manifest.read_text(encoding="utf-8"))
    record["artifacts"]["extra.bin"] = file_digest(extra)
    manifest.write_text(json.dumps(record), encoding="utf-8")
    assert verified(copy, "probe_M1").words == "unchanged"
    extra.write_bytes(b"2")
    assert verified(copy, "probe_M1").words == "extra.bin is not the file that the run wrote"


@settings(max_examples=40)
@given(data=st.data())
def test_every_byte_of_every_image_counts(made: Path, data: st.DataObject) -> None:
    """With the time of modification and the size as they were: contents are read, not remembered."""
    name = data.draw(st.sampled_from(NAMES))
    ours = planner(made, name)
    split = step_of(ours, name).experiment.split
    tables = ours.inputs.training[split] if name in TRAININGS else {"test": ours.inputs.faceapi[split]}
    part = data.draw(st.sampled_from(sorted(tables)))
    image = data.draw(st.sampled_from([row.file for row in tables[part].rows]))
    before = image.stat()
    with changed(image):
        flip(image, data.draw(st.integers(0, before.st_size - 1)), data.draw(st.integers(1, 255)))
        os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
        found = verified(made, name)
    assert found.differences == (f"{part} images changed",)


@settings(max_examples=40)
@given(data=st.data())
def test_every_byte_of_every_csv_counts_where_it_changes_a_row(made: Path, data: st.DataObject) -> None:
    """A changed line end or quotation mark that leaves all rows as they were is no change."""
    part = data.draw(st.sampled_from(("train", "val", "test")))
    file = made / CROPS / f"{part}_K7.csv"
    before = [(row.path, row.label) for row in load_table(file, made).rows]
    with changed(file):
        flip(file, data.draw(st.integers(0, file.stat().st_size - 1)), data.draw(st.integers(1, 255)))
        try:
            found = verified(made, "finetune_K7").differences
            after = [(row.path, row.label) for row in load_table(file, made).rows]
        except InputError:  # most bytes make a file that is not there, or a label that is unknown
            return
    words = [text.partition(" (")[0] for text in found]
    assert (f"{part} rows changed" in words) == (before != after)
    assert {text.split()[0] for text in words} <= {part}


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_row_less_is_counted(copy: Path, part: str) -> None:
    file = copy / CROPS / f"{part}_K7.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    count = len(lines) - 1
    rows = f"{part} rows changed ({file}: {count} -> {count - 1} rows)"
    assert verified(copy, "finetune_K7").differences == (rows, f"{part} images changed")


def test_another_label_of_the_same_image(copy: Path) -> None:
    file = copy / CROPS / "val_K7.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("기쁨", "슬픔", 1), encoding="utf-8")
    assert verified(copy, "finetune_K7").words == f"val rows changed ({file})"


RECIPES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "epochs": ({"epochs": 4}, ["config.epochs 3 -> 4"]),
    "stages": (
        {"epochs": 4, "stage3_epoch": 3},
        ["config.epochs 3 -> 4", "config.stage_starts [0, 1, 2] -> [0, 1, 3]"],
    ),
    "batch": ({"batch": 7}, ["config.batch 8 -> 7"]),
    "lr_head": ({"lr_head": 0.02}, ["config.lr_head 0.01 -> 0.02"]),
    "lr_backbone": ({"lr_backbone": 0.0002}, ["config.lr_backbone 0.0001 -> 0.0002"]),
    "weight_decay": ({"weight_decay": 0.1}, ["config.weight_decay 0.01 -> 0.1"]),
    "seed": ({"seed": 7}, ["config.seed 1337 -> 7"]),
    "label_smoothing, to the default": ({"label_smoothing": 0.0}, ["config.label_smoothing 0.1 -> 0.0"]),
    "class_weighting, from the default": ({"class_weighting": "inverse"}, ["config.class_weighting none -> inverse"]),
    "schedule, from the default": ({"schedule": "cosine"}, ["config.schedule constant -> cosine"]),
}


@pytest.mark.parametrize(("changes", "words"), RECIPES.values(), ids=RECIPES)
def test_every_setting_of_the_recipe_is_named(
    made: Path, tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    recipe = json.loads((made / "recipe.json").read_text(encoding="utf-8"))
    recipe["experiments"]["finetune_K7"] = changes
    other = tmp_path / "recipe.json"
    other.write_text(json.dumps(recipe), encoding="utf-8")
    assert verified(made, "finetune_K7", recipe=other).differences == tuple(words)


def test_every_setting_has_such_a_test() -> None:
    tried = {name for changes, _ in RECIPES.values() for name in changes}
    assert tried | {"weights", "stage2_epoch"} == set(Overrides.model_fields)


def with_weights(made: Path, folder: Path, weights: Path | str) -> Path:
    recipe = json.loads((made / "recipe.json").read_text(encoding="utf-8")) | {"weights": str(weights)}
    (folder / "other.json").write_text(json.dumps(recipe), encoding="utf-8")
    return folder / "other.json"


def test_weights_count_by_their_content(made: Path, tmp_path: Path) -> None:
    weights = made / "가중치.pt"
    moved = Path(shutil.copy(weights, tmp_path / "같은 것.pt"))
    other = with_weights(made, tmp_path, moved)
    assert verified(made, "probe_M1", recipe=other).words == "unchanged"
    flip(moved, moved.stat().st_size // 2)
    assert verified(made, "probe_M1", recipe=other).words == f"weights {weights} -> {moved}"
    with changed(weights):
        flip(weights, weights.stat().st_size // 2)
        assert verified(made, "probe_M1").words == f"weights changed ({weights})"
    none = with_weights(made, tmp_path, "none")
    assert verified(made, "probe_M1", recipe=none).words == f"weights {weights} -> none"


def test_the_file_of_imagenets_weights_is_looked_at(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name ends with the first digits of its SHA-256, which a file that was cut short does not have."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = imagenet_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half a file")
    recipe = with_weights(made, tmp_path, "imagenet")
    found = verified(made, "probe_M1", recipe=recipe)
    assert found.differences[1:] == (f"weights changed ({file} is not what its name says)",)
    whole = file.with_name(f"any-{file_digest(file)[:8]}.pth")
    shutil.copy(file, whole)
    monkeypatch.setattr(recorded, "imagenet_file", lambda: whole)  # the real one is 10 MB on a server
    assert len(verified(made, "probe_M1", recipe=recipe).differences) == 1


@pytest.mark.skipif("faceapi_M1" not in NAMES, reason="needs face-api's weights")
def test_faceapis_settings_and_photos(copy: Path) -> None:
    ours = planner(copy, "faceapi_M1")
    ours.settings = replace(ours.settings, faceapi=FaceApiSettings(input_size=320, labels={"기쁨": "happy"}))
    found = compare_with_record(step_of(ours, "faceapi_M1"), ours)
    assert found.differences == ("config.input_size 416 -> 320", "config.labels.기쁨 None -> happy")
    csv = copy / "data_shared/splits_csv/test_M1.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace(",10,", ",11,", 1), encoding="utf-8")
    assert verified(copy, "faceapi_M1").words == f"test rows changed ({csv})"


def test_a_result_of_an_older_version_has_no_hashes_of_its_files(copy: Path) -> None:
    manifest = manifest_file(step_of(planner(copy, "probe_M1"), "probe_M1"))
    record = json.loads(manifest.read_text(encoding="utf-8"))
    record.pop("artifacts")
    manifest.write_text(json.dumps(record), encoding="utf-8")
    found = verified(copy, "probe_M1")
    assert (found.differences, found.unverified) == ((), (NO_HASHES,))


def test_results_of_something_else_and_no_results(copy: Path) -> None:
    shutil.rmtree(copy / RUNS / "finetune_K7_160")
    assert (verified(copy, "finetune_K7").there, verified(copy, "finetune_K7").words) == (False, "no result")
    (copy / RUNS / "probe_M1_160/manifest.json").write_text("[]", encoding="utf-8")
    assert verified(copy, "probe_M1").words == NO_MANIFEST


ANYTHING = (
    st.none()
    | st.text()
    | st.dictionaries(st.sampled_from(["data", "config", "weights", "train", "../x", ""]), st.text())
)
KEYS = st.sampled_from(["identity", "config", "rows", "artifacts", "versions", "processor", "git_commit"])


@settings(max_examples=50)
@given(record=st.dictionaries(KEYS, ANYTHING))
def test_whatever_a_manifest_holds_has_an_answer(made: Path, record: dict[str, Any]) -> None:
    """Somebody's editor, or another version, may have left anything there."""
    ours = planner(made, "probe_M1")
    step = step_of(ours, "probe_M1")
    manifest = manifest_file(step)
    with changed(manifest):
        manifest.write_text(json.dumps(record), encoding="utf-8")
        found = compare_with_record(step, ours)
    assert found.differences or found.unverified


MACHINE = {
    "versions": {"python": "3.11.7", "torch": "2.14.1"},
    "processor": {"model": "A", "instructions": "AVX2"},
    "git_commit": "a" * 40,
}


def test_what_is_new_about_the_machine_is_said_and_fails_nothing(copy: Path) -> None:
    manifest = copy / RUNS / "probe_M1_160/manifest.json"
    record = json.loads(manifest.read_text(encoding="utf-8"))
    record["versions"]["torch"], record["processor"]["model"] = "1.0", "i486"
    manifest.write_text(json.dumps(record), encoding="utf-8")
    found, now = verified(copy, "probe_M1"), environment()
    expected = (f"torch 1.0 -> {now['versions']['torch']}", f"processor model i486 -> {now['processor']['model']}")
    assert (found.words, found.remarks) == ("unchanged", expected)


def test_commits_are_short_and_say_whether_files_had_changed() -> None:
    now = {**MACHINE, "git_commit": "b" * 40 + "-dirty"}
    assert environment_changes(MACHINE, now) == ["commit aaaaaaaaaa -> bbbbbbbbbb-dirty"]
    assert environment_changes({**MACHINE, "git_commit": None}, now) == []
    assert environment_changes(MACHINE, MACHINE) == []
    assert environment_changes({}, MACHINE) == []
