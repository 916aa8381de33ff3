"""The parts of the page: the answer, the fair comparison, what to distrust, mistakes, groups and provenance."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from by_hand import RUNS, write_faceapi, write_json, write_rows, write_run
from pages import Page
from PIL import Image
from projects import BOX

from faceapi.contract.labels import class_names
from faceapi.contract.probabilities import write_probabilities
from faceapi.contract.results import probabilities_file
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.confidence import MISTAKES, find_mistakes, measure_confidence, thumbnail
from orchestrator.reporting.doubts import all_doubts, own_doubts
from orchestrator.reporting.input_rows import read_input
from orchestrator.reporting.material import Notes, Scored, score_results
from orchestrator.reporting.provenance import command_of
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect
from orchestrator.reporting.shared_images import leaks, same_photos
from orchestrator.reporting.subgroups import subgroups

CROPS, PHOTOS = "data_shared/cropped_faces_csv", "data_shared/splits_csv"
NAMES = {"angry": "분노", "happy": "기쁨", "sad": "슬픔"}
TRUE = ["angry", "happy", "sad"] * 40


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """120 faces of M1. MobileNet answers in Korean and is right on 5 of 6; FaceAPI finds 2 of 3, half of them right."""
    predicted = ["angry" if i % 6 == 1 else name for i, name in enumerate(TRUE)]
    write_run(
        tmp_path,
        "finetune_M1_160",
        (0.8, 0.8, 0.8),
        [(NAMES[t], NAMES[p]) for t, p in zip(TRUE, predicted, strict=True)],
    )
    write_json(tmp_path / RUNS / "finetune_M1_160" / "classes.json", {"classes": sorted(NAMES.values())})
    crops = [(f"faces/{i}.jpg", NAMES[name], 20 + i % 7, "여" if i % 2 else "남") for i, name in enumerate(TRUE)]
    write_rows(tmp_path / CROPS / "test_M1.csv", ("path", "label", "age", "gender"), crops)
    write_rows(
        tmp_path / PHOTOS / "test_M1.csv", ("path", "label"), [(f"photos/{i}.png", t) for i, t in enumerate(TRUE)]
    )
    rows = [(f"photos/{i}.png", t, t if i % 2 else "neutral", 0.9, int(i % 3 > 0), 0.8 if i % 3 else 0, i % 2)
            for i, t in enumerate(TRUE)]  # fmt: skip
    write_faceapi(tmp_path, "M1", rows)
    return tmp_path


def made(root: Path) -> tuple[str, Page]:
    """The text of the page, and the page."""
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths))
    page = Page(paths.index)
    return html.unescape(page.text), page


def items(root: Path) -> dict[str, Scored]:
    paths = ProjectPaths(root, root)
    return {item.result.experiment.name: item for item in score_results(paths, collect(paths), Notes())}


def test_the_answer_comes_first_and_the_comparison_is_on_the_same_faces(root: Path) -> None:
    text, page = made(root)
    assert "On M1, MobileNet finetune is better than FaceAPI" in text[: text.index("<h2>Results")]
    assert "For the browser there is no model yet" in text
    everywhere, matched = page.named["contests"][1:]
    assert [everywhere[:3], matched[:3]] == [["M1 Finetune", "all rows", "120"], ["M1 Finetune", "matched faces", "80"]]
    assert everywhere[7:9] == ["33.33%", "83.33%"], "a face that was not found is a wrong answer"
    assert matched[7] == "50.00%"
    assert "All 120 photos were joined with their crops" in text
    assert "labels are compared in FaceAPI's words (기쁨 as happy, 분노 as angry, 슬픔 as sad)" in text


def test_rows_of_another_csv_are_not_compared_and_are_called_stale(root: Path) -> None:
    file = root / CROPS / "test_M1.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("faces/7.jpg", "faces/seven.jpg"), encoding="utf-8")
    text, page = made(root)
    assert "contests" not in page.named
    assert "M1 Finetune is not compared: test_M1.csv has other rows today than the result." in text
    assert "M1 Finetune: stale" in text
    assert "stale" in page.named["summary"][3][6]


def test_what_is_distrusted(root: Path) -> None:
    assert own_doubts(items(root)["finetune_M1"]) == []
    manifest = root / RUNS / "finetune_M1_160" / "manifest.json"
    values = json.loads(manifest.read_text(encoding="utf-8"))
    write_json(manifest, {**values, "config": {"epochs": 3, "batch": 1024}})
    write_run(root, "probe_M1_160", (0.1, 0.1, 0.5), [("sad", "sad"), ("happy", "sad")])
    found = items(root)
    assert own_doubts(found["finetune_M1"]) == ["not the runbook's recipe"]
    assert own_doubts(found["probe_M1"])[:2] == ["one answer only", "fewer than 100 test rows"]
    useless, *_ = all_doubts(list(found.values()))
    assert useless.startswith("M1 Probe: the model gives the same answer to every image")


def test_different_weights_are_named(root: Path) -> None:
    for folder, weights in (("finetune_M1_160", "none"), ("probe_M1_160", f"sha256:{'ab' * 32}")):
        write_run(root, folder, (0.8, 0.8, 0.8), [("sad", "sad")])
        manifest = root / RUNS / folder / "manifest.json"
        write_json(manifest, {**json.loads(manifest.read_text(encoding="utf-8")), "identity": {"weights": weights}})
    doubts = all_doubts(list(items(root).values()))
    assert any("different weights" in each and "file abababab" in each and "none" in each for each in doubts)


def test_an_odd_file_costs_its_own_panel(root: Path) -> None:
    out = root / RUNS / "finetune_M1_160"
    (out / "history.csv").write_text('epoch,stage,val_macro_f1\n1,"x,y\n', encoding="utf-8")
    write_json(out / "manifest.json", {"config": {}, "versions": 3, "identity": {"weights": {}}})
    text, page = made(root)
    assert "the training of M1 Finetune is not shown:" in text
    assert "the origin of M1 Finetune is not shown:" in text
    assert "contests" in page.named


def test_the_surest_mistakes_come_first(root: Path) -> None:
    paths, item = ProjectPaths(root, root), items(root)["finetune_M1"]
    assert find_mistakes(paths, item) is None, "without logits nobody knows how sure it was"
    sure = np.linspace(0, 5, 120).astype(np.float32)
    classes = sorted(NAMES.values())
    answers = [classes.index(name) for name in item.result.rows["pred"]]
    logits = np.zeros((120, 3), np.float32)
    logits[np.arange(120), answers] = sure
    table = pd.DataFrame({f"logit_{name}": logits[:, i] for i, name in enumerate(classes)})
    table.to_parquet(paths.run(item.result.experiment).test_logits)
    (root / "faces").mkdir()
    Image.new("RGB", (160, 160), "red").save(root / "faces" / "115.jpg")
    found = find_mistakes(paths, item)
    assert found is not None
    assert len(found) == MISTAKES
    assert (found[0].path, found[0].true, found[0].predicted) == ("faces/115.jpg", "기쁨", "분노")
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)
    assert found[0].image.startswith("data:image/jpeg;base64,")
    assert not found[1].image, "the image is not there"


def test_face_apis_confidence_is_that_of_the_faces_it_matched(root: Path) -> None:
    """Of a photo, the face is shown: here the blue half."""
    paths, box = ProjectPaths(root, root), (200, 0, 400, 400)
    rows = [(f"photos/{i}.png", name, *box) for i, name in enumerate(TRUE)]
    write_rows(root / PHOTOS / "test_M1.csv", ("path", "label", *BOX), rows)
    photo = Image.new("RGB", (400, 400), "red")
    photo.paste("blue", box)
    (root / "photos").mkdir()
    photo.save(root / "photos/2.png")
    item = items(root)["faceapi_M1"]
    assert measure_confidence(paths, item) is None, "nobody says how sure it was"
    sure = [0.97 if i == 2 else 0.7 for i in range(120)]
    answers = [name if i % 2 else "neutral" for i, name in enumerate(TRUE)]
    seven = [
        [p if name == answer else (1 - p) / 6 for name in class_names()]
        for p, answer in zip(sure, answers, strict=True)
    ]
    file = probabilities_file(paths.faceapi_results(item.result.experiment))
    write_probabilities(file, [path for path, *_ in rows], [p if i % 3 else None for i, p in enumerate(seven)])
    found, mistakes = measure_confidence(paths, item), find_mistakes(paths, item)
    assert found is not None
    assert (sum(each.n for each in found.before.bins), found.temperature) == (80, None)
    assert mistakes is not None
    assert (mistakes[0].path, mistakes[0].predicted, round(mistakes[0].confidence, 4)) == (
        "photos/2.png",
        "neutral",
        0.97,
    )
    shown = Image.open(io.BytesIO(base64.b64decode(mistakes[0].image.partition(",")[2]))).convert("RGB")
    assert shown.size == (48, 96)
    red, _, blue = shown.resize((1, 1)).getpixel((0, 0))
    assert (red < 20, blue > 230) == (True, True)
    write_probabilities(file, [path for path, *_ in rows], [seven[1]] * 120)
    assert measure_confidence(paths, item) is None, "the answers are another program's"


def test_a_thumbnail_is_small_and_of_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (2000, 1500, 3), np.uint8)
    Image.fromarray(pixels).save(root / "큰.png")
    Image.fromarray(pixels[:9, :9]).save(tmp_path / "other.png")
    (root / "broken.jpg").write_bytes(b"no image")
    assert 100 < len(thumbnail(root, "큰.png")) < 10_000
    assert [
        thumbnail(root, path) for path in ("../other.png", str(tmp_path / "other.png"), "broken.jpg", "none.jpg")
    ] == [""] * 4


def test_groups_of_the_csv(root: Path) -> None:
    found = subgroups(items(root)["finetune_M1"])
    assert found is not None
    assert {(each.by, each.value): each.scores.n for each in found} == {("gender", "남"): 60, ("gender", "여"): 60}
    wrong = {each.value: 1 - each.scores.accuracy.value for each in found}
    assert wrong == pytest.approx({"남": 0, "여": 1 / 3}), "all errors are on odd rows"


def test_leaks_and_photos_that_splits_share(root: Path) -> None:
    write_run(root, "finetune_M2_160", (0.8, 0.8, 0.8), [("sad", "sad"), ("happy", "sad")])
    write_rows(root / CROPS / "test_M2.csv", ("path", "label"), [("faces/0.jpg", "분노"), ("faces/1.jpg", "happy")])
    (sentence,) = same_photos(list(items(root).values()))
    assert sentence.startswith("M1 and M2 share 2 test photos (of 120 and 2), of which 1 have the same label in both.")
    (root / "faces").mkdir()
    for name, content in (("0.jpg", b"same"), ("train.jpg", b"same"), ("1.jpg", b"else")):
        (root / "faces" / name).write_bytes(content)
    item = items(root)["finetune_M2"]
    write_rows(root / CROPS / "train_M2.csv", ("path", "label"), [("faces/train.jpg", "sad")])
    assert item.inputs is not None
    tables = {"train": read_input(root / CROPS / "train_M2.csv"), "test": item.inputs}
    assert leaks(ProjectPaths(root, root), tables) == ["1 images are in train and in test (compared by content)"]


def test_the_command_of_a_result(root: Path) -> None:
    manifest = root / RUNS / "finetune_M1_160" / "manifest.json"
    config = {"epochs": 3, "batch": 1024, "weights": "내 가중치.pt", "seed": 1337, "lr_head": 0.01, "lr_backbone": 1e-4}
    write_json(manifest, {"config": config})
    command, recipe = command_of(items(root)["finetune_M1"])
    assert command == (
        "python -m orchestrator run-all --only finetune_M1 --epochs 3 --weights '내 가중치.pt' --config recipe.json"
    )
    assert json.loads(recipe) == {"lr_head": 0.01}


def test_a_failure_is_on_the_first_screen_and_its_message_is_cut(root: Path) -> None:
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths, {"probe_M1": "메모리가 모자랍니다. " * 30}))
    text = html.unescape(paths.index.read_text(encoding="utf-8"))
    first, rest = text[: text.index("<h2>Results")], text[text.index("<h2>Results") :]
    assert "<li>M1 Probe: failed in the last run; the notes in the table say why.</li>" in first
    assert "MobileNet probe has no result (failed: 메모리가 모자랍니다. " in first
    assert first.count("메모리가") < 15 < rest.count("메모리가")
    assert Page(paths.index).named["summary"][2][6] == "failed"
