"""A result whose CSVs are no longer those that it was made from is called stale, as `plan` calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from by_hand import FACEAPI, RUNS, write_faceapi, write_json, write_rows, write_run
from planned import planner
from projects import BOX, make_project

from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.selection import select
from orchestrator.reporting.doubts import all_doubts, own_doubts
from orchestrator.reporting.material import Notes, Scored, score_results
from orchestrator.reporting.results import collect
from trainable.data.tables import load_table
from trainable.run.identity import table_digests

CROPS, PHOTOS = "data_shared/cropped_faces_csv", "data_shared/splits_csv/test_M1.csv"
Edit = Callable[[str], str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two MobileNets of M1 and FaceAPI, with the identities of the project's CSVs."""
    make_project(tmp_path)
    ours = planner(tmp_path)
    for step in ours.plan(select(["probe_M1,finetune_M1"])):
        rows = ours.inputs.training["M1"]["test"].rows
        write_run(tmp_path, step.experiment.folder, (0.5, 0.5, 1.0), [(row.label, row.label) for row in rows])
        out = tmp_path / RUNS / step.experiment.folder
        write_rows(out / "test_preds.csv", ("path", "true", "pred"), [(r.path, r.label, r.label) for r in rows])
        write_json(out / "manifest.json", {"identity": ours.identify(step).identity, "config": {}})
    photos = load_table(tmp_path / PHOTOS, tmp_path, boxes=True)
    write_faceapi(tmp_path, "M1", [(row.path, row.label, row.label, 0.9, 1, 0.8, 1) for row in photos.rows])
    identity = {"data": {"test": table_digests(photos)}}
    write_json(tmp_path / FACEAPI / "faceapi_M1_eval.manifest.json", {"identity": identity})
    return tmp_path


def scored(root: Path) -> list[Scored]:
    paths, notes = ProjectPaths(root, root), Notes()
    found = [item for item in score_results(paths, collect(paths), notes) if item.result.present]
    assert (len(found), notes.texts) == (3, [])
    return found


def edit(root: Path, name: str, change: Edit) -> None:
    file = root / name
    before = file.read_text(encoding="utf-8")
    file.write_text(change(before), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != before


def stale(root: Path) -> list[str]:
    return [doubt for doubt in all_doubts(scored(root)) if "stale" in doubt]


def test_as_it_was_made_nothing_is_stale(root: Path) -> None:
    assert stale(root) == []
    assert not any(item.stale for item in scored(root))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (f"{CROPS}/test_M1.csv", lambda text: text.replace("angry", "sad", 1), "test_M1.csv has other labels or boxes"),
        (f"{CROPS}/train_M1.csv", lambda text: text.replace("angry", "sad", 1), "train_M1.csv has changed"),
        (f"{CROPS}/val_M1.csv", lambda text: text[: text.rindex("data_shared")], "val_M1.csv has changed"),
        (f"{CROPS}/test_M1.csv", lambda text: text[: text.rindex("data_shared")], "test_M1.csv has other rows"),
    ],
)
def test_what_has_changed_is_named(root: Path, file: str, change: Edit, said: str) -> None:
    edit(root, file, change)
    assert stale(root) == [f"M1 Probe, M1 Finetune: stale, not made from today's CSVs ({said}). Run run-all again."]
    assert ["stale" in own_doubts(item) for item in scored(root)] == [False, True, True]
    steps = planner(root).plan(select(["probe_M1,finetune_M1"]))
    assert [step.status for step in steps] == ["stale", "stale"]


def test_a_box_of_faceapi(root: Path) -> None:
    edit(root, PHOTOS, lambda text: text.replace(",100", ",99", 1))
    assert BOX[2] in (root / PHOTOS).read_text(encoding="utf-8")
    said = "test_M1.csv has other labels or boxes"
    assert stale(root) == [f"M1 FaceAPI: stale, not made from today's CSVs ({said}). Run run-all again."]


def test_a_csv_that_means_the_same_is_the_same(root: Path) -> None:
    """Another column, spaces and a byte order mark are no other rows."""
    edit(
        root,
        f"{CROPS}/train_M1.csv",
        lambda text: "\ufeff" + text.replace("\n", " ,1\n").replace("label_en ,1", "label_en,n"),
    )
    assert stale(root) == []


@pytest.mark.parametrize("lost", [f"{CROPS}/train_M1.csv", "data_shared/cropped_faces_160/M1/train_00.jpg"])
def test_what_is_not_there_today_says_nothing(root: Path, lost: str) -> None:
    """Reports are made of copied results, too; `plan` says what is missing."""
    (root / lost).unlink()
    assert stale(root) == []


def test_both_kinds_of_change_are_one_line(root: Path) -> None:
    edit(root, f"{CROPS}/train_M1.csv", lambda text: text.replace("angry", "sad", 1))
    edit(root, f"{CROPS}/test_M1.csv", lambda text: text[: text.rindex("data_shared")])
    (line,) = stale(root)
    assert "(train_M1.csv has changed, test_M1.csv has other rows)" in line
