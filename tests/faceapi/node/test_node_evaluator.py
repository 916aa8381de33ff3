"""The Node evaluator, run as a program on drawn faces."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from installed import MODELS, NODE, javascript, needs_node
from label_names import ALIASES
from PIL import Image
from portraits import Box, portrait

from faceapi.node.process import EVALUATOR, NODE_DIR

CLASSES = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"]
COLUMNS = ["image", "gt_label", "pred_label", "score", "face_detected", "iou", "correct"]
HEADER = ("path", "label_en", "minX", "minY", "maxX", "maxY")

pytestmark = [pytest.mark.node, needs_node]

# ---------------------------------------------------------------------------------------------- running


@dataclass
class Project:
    root: Path
    left: Box
    right: Box

    def csv(self, name: str, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
        path = self.root / "data_shared" / "splits_csv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])
        return path


@dataclass
class Run:
    code: int
    stdout: str
    stderr: str
    target: Path

    @property
    def table(self) -> list[dict[str, str]]:
        with self.target.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def evaluate(split: Path, target: Path, *options: object, models: Path = MODELS) -> Run:
    command = [str(NODE), str(NODE_DIR / EVALUATOR), *map(str, (split, models, target, *options))]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    return Run(done.returncode, done.stdout, done.stderr, target)


def refused(run: Run, *words: str) -> None:
    """One line on stderr, exit code 2, nothing written."""
    assert run.code == 2, run.stderr
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    for word in words:
        assert word in run.stderr
    assert not run.target.exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("project")
    photos = root / "data_raw"
    left, right = portrait(photos / "two.jpg", [(160, 180, 70), (480, 180, 70)], quality=95)
    Image.new("RGB", (320, 240), "#76848c").save(photos / "wall.png")
    whole = (photos / "two.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return Project(root, left, right)


@pytest.fixture(scope="module")
def rows(project: Project) -> list[list[object]]:
    return [
        ["data_raw/two.jpg", "happy", *project.right],
        ["data_raw/wall.png", "sad", 10, 10, 60, 60],
        ["data_raw/cut.jpg", "angry", *project.left],
        ["data_raw/two.jpg", "neutral", *project.left],
        ["data_raw/gone.jpg", "fear", 0, 0, 1, 1],
        ["data_raw/two.jpg", "surprised", 300, 0, 310, 10],
    ]


@pytest.fixture(scope="module")
def whole(project: Project, rows: list[list[object]]) -> Run:
    return evaluate(project.csv("whole.csv", rows), project.root / "out" / "whole.csv")


# ---------------------------------------------------------------------------------------------- contract


def test_results_follow_the_contract(whole: Run, rows: list[list[object]]) -> None:
    assert whole.code == 0, whole.stderr
    raw = whole.target.read_bytes()
    assert raw.startswith(",".join(COLUMNS).encode() + b"\n")
    assert b"\r" not in raw
    assert [row["image"] for row in whole.table] == [row[0] for row in rows]
    assert [row["gt_label"] for row in whole.table] == ["happy", "sad", "angry", "neutral", "fearful", "surprised"]
    for row in whole.table:
        assert row["correct"] == str(int(row["pred_label"] == row["gt_label"]))
        assert row["face_detected"] == str(int(row["pred_label"] in CLASSES))
    assert re.fullmatch(r"6 rows, 3 detected, 2 matched \(IoU >= 0\.30\), 2 unreadable, \d+\.\d s\n", whole.stdout)


def test_a_rows_box_chooses_among_the_faces_of_a_photo(whole: Run) -> None:
    right, left, nowhere = (whole.table[index] for index in (0, 3, 5))
    for row in (right, left):
        assert float(row["iou"]) > 0.5
        assert re.fullmatch(r"0\.\d{6}", row["iou"])
    assert nowhere["iou"] == "0.000000"
    assert float(nowhere["score"]) == max(float(left["score"]), float(right["score"])) >= 0.5


def test_a_photo_without_a_face_and_an_unreadable_one_keep_their_rows(whole: Run) -> None:
    for index in (1, 2, 4):
        assert list(whole.table[index].values())[2:] == ["", "0", "0", "0", "0"]
    cut, gone = whole.stderr.splitlines()
    assert cut.startswith("unreadable: data_raw/cut.jpg: ")
    assert gone == "unreadable: data_raw/gone.jpg: no such file"


def test_joined_shards_equal_the_whole(project: Project, rows: list[list[object]], whole: Run) -> None:
    joined = b""
    for index, part in enumerate((rows[:2], rows[2:])):
        shard = evaluate(project.csv(f"shard{index}.csv", part), project.root / "out" / f"shard{index}.csv")
        header, _, body = shard.target.read_bytes().partition(b"\n")
        joined += body if index else header + b"\n" + body
    assert joined == whole.target.read_bytes()


def test_both_namings_of_the_weights_give_the_same_results(
    project: Project, rows: list[list[object]], whole: Run, tmp_path: Path
) -> None:
    for name in ("tiny_face_detector_model", "face_expression_model"):
        manifest = json.loads((MODELS / f"{name}-weights_manifest.json").read_text())
        assert manifest[0]["paths"] == [f"{name}.bin"]
        manifest[0]["paths"] = [f"{name}-shard1"]
        (tmp_path / f"{name}-weights_manifest.json").write_text(json.dumps(manifest))
        shutil.copy(MODELS / f"{name}.bin", tmp_path / f"{name}-shard1")
    split = project.csv("shard1_weights.csv", rows)
    run = evaluate(split, project.root / "out" / "shard1.csv", models=tmp_path)
    assert run.target.read_bytes() == whole.target.read_bytes()


def test_results_replace_the_old_ones_in_one_step(project: Project, tmp_path: Path) -> None:
    """A reader that opened the old file still has it whole; nothing is left beside the new one."""
    target = tmp_path / "results.csv"
    target.write_text("old")
    with target.open() as reader:
        run = evaluate(project.csv("empty.csv", []), target)
        assert reader.read() == "old"
    assert run.stdout.startswith("0 rows, 0 detected")
    assert target.read_text() == ",".join(COLUMNS) + "\n"
    assert list(tmp_path.iterdir()) == [target]


# ---------------------------------------------------------------------------------------------- reading


def test_boxes_are_in_stored_pixels_whatever_the_exif_orientation(project: Project) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    [box] = portrait(project.root / "data_raw" / "turned.jpg", [(160, 180, 70)], exif=exif, quality=95)
    split = project.csv("exif.csv", [["data_raw/turned.jpg", "sad", *box]])
    [row] = evaluate(split, project.root / "out" / "exif.csv").table
    assert float(row["iou"]) > 0.5


def test_a_row_may_ask_for_the_upright_photo(project: Project) -> None:
    """As `convert -rotate` would leave it, with the box there; whoever says no frame, or another one, means the stored
    photo."""
    exif = Image.Exif()
    exif[0x0112] = 8
    [(left, top, right, bottom)] = portrait(project.root / "data_raw" / "upright.png", [(160, 180, 70)])
    upright = Image.open(project.root / "data_raw" / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_270).save(project.root / "data_raw" / "lying.png", exif=exif)
    lying = (upright.height - bottom, left, upright.height - top, right)
    rows = [["data_raw/lying.png", "sad", left, top, right, bottom, "upright"],
            ["data_raw/upright.png", "sad", left, top, right, bottom, "stored"],
            ["data_raw/lying.png", "sad", *lying, ""]]  # fmt: skip
    split = project.csv("frames.csv", rows, header=[*HEADER, "frame"])
    turned, plain, stored = evaluate(split, project.root / "out" / "frames.csv").table
    assert {**turned, "image": ""} == {**plain, "image": ""}
    assert float(turned["iou"]) > 0.5
    assert stored["score"] != turned["score"], "a face that lies"


def test_an_unknown_frame_is_refused(project: Project) -> None:
    rows = [["data_raw/two.jpg", "sad", 1, 2, 3, 4, "turned"]]
    split = project.csv("unknown_frame.csv", rows, header=[*HEADER, "frame"])
    refused(evaluate(split, project.root / "out" / "unknown_frame.csv"), "row 1", "frame", "turned")


def test_a_very_large_photo_is_measured_in_its_own_pixels(project: Project, whole: Run) -> None:
    photo = Image.open(project.root / "data_raw" / "two.jpg")
    photo.resize((6400, 4000)).save(project.root / "data_raw" / "large.jpg")
    split = project.csv("large.csv", [["data_raw/large.jpg", "sad", *(10 * side for side in project.left)]])
    [row] = evaluate(split, project.root / "out" / "large.csv").table
    assert float(row["iou"]) == pytest.approx(float(whole.table[3]["iou"]), abs=0.01)


def test_windows_text_and_decomposed_names(project: Project) -> None:
    composed, decomposed = (unicodedata.normalize(form, "data_raw/사진/얼굴.jpg") for form in ("NFC", "NFD"))
    [box] = portrait(project.root / decomposed, [(160, 180, 70)], quality=95)
    label = unicodedata.normalize("NFD", "슬픔")
    split = project.csv("korean.csv", [])
    lines = ["img,orig_kor,minX,minY,maxX,maxY,note"]
    lines += [f"{name},{text},{','.join(map(str, box))},\"a, b\"" for name, text in (
        (composed.replace("/", "\\"), label),
        (decomposed, f" {label} "),
    )]  # fmt: skip
    split.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    run = evaluate(split, project.root / "out" / "korean.csv")
    assert [row["image"] for row in run.table] == [composed.replace("/", "\\"), decomposed]
    for row in run.table:
        assert (row["gt_label"], row["face_detected"]) == ("sad", "1"), run.stderr


def test_each_component_of_a_path_has_a_form_of_its_own(project: Project) -> None:
    """Composed, decomposed, composed on disk; the CSV has them otherwise, and as one of them."""
    parts = ("섞인", "사진", "얼굴.jpg")
    spellings = [
        "/".join(unicodedata.normalize(form, part) for form, part in zip(forms, parts, strict=True))
        for forms in (("NFC", "NFD", "NFC"), ("NFD", "NFC", "NFD"), ("NFC", "NFC", "NFC"), ("NFD", "NFD", "NFD"))
    ]
    [box] = portrait(project.root / spellings[0], [(160, 180, 70)], quality=95)
    rows = [(name, "sad", *box) for name in [*spellings, "섞인/사진/없음.jpg", "섞인/없음/얼굴.jpg"]]
    run = evaluate(project.csv("mixed.csv", rows), project.root / "out" / "mixed.csv")
    assert [row["face_detected"] for row in run.table] == ["1", "1", "1", "1", "0", "0"]
    assert run.stderr.splitlines() == [f"unreadable: {row[0]}: no such file" for row in rows[4:]]


def test_formats_are_decoded_to_the_same_photo(project: Project) -> None:
    photo = Image.open(project.root / "data_raw" / "two.jpg")
    sixteen = Image.frombytes("I;16", photo.size, b"".join(bytes((v, v)) for v in photo.convert("L").tobytes()))
    variants = {
        "rgb.png": photo,
        "alpha.png": photo.convert("RGBA"),
        "palette.png": photo.quantize(256),
        "grey.jpg": photo.convert("L"),
        "sixteen.png": sixteen,
    }
    for name, variant in variants.items():
        variant.save(project.root / "data_raw" / name)
    split = project.csv("formats.csv", [[f"data_raw/{name}", "sad", *project.left] for name in variants])
    for row in evaluate(split, project.root / "out" / "formats.csv").table:
        assert float(row["iou"]) > 0.5, row


def test_project_root_and_detector_options(project: Project, rows: list[list[object]], tmp_path: Path) -> None:
    split = project.csv("elsewhere.csv", rows[:1])
    moved = shutil.move(split, tmp_path / "elsewhere.csv")
    strict = ("--project-root", project.root, "--score-threshold", "0.999999", "--input-size", "224")
    run = evaluate(moved, tmp_path / "out.csv", *strict)
    assert (run.code, run.stderr) == (0, "")
    assert run.table[0]["face_detected"] == "0"


# ---------------------------------------------------------------------------------------------- labels


def labelled(project: Project, labels: Sequence[str], target: Path, *options: object) -> Run:
    rows = [["no.jpg", label, 0, 0, 1, 1] for label in labels]
    return evaluate(project.csv(f"{target.stem}_labels.csv", rows), target, *options)


def test_every_class_and_alias_is_understood(project: Project, tmp_path: Path) -> None:
    names = [*CLASSES, *ALIASES]
    run = labelled(project, [f" {name.upper()} " for name in names], tmp_path / "aliases.csv")
    assert [row["gt_label"] for row in run.table] == [*CLASSES, *ALIASES.values()]


def test_a_label_map_overrides_and_adds(project: Project, tmp_path: Path) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(
        json.dumps({unicodedata.normalize("NFD", "당황"): "fearful", "Bored": "neutral"}), encoding="utf-8"
    )
    run = labelled(project, ["당황", "bored", "기쁨"], tmp_path / "mapped.csv", "--label-map", mapping)
    assert [row["gt_label"] for row in run.table] == ["fearful", "neutral", "happy"]


def test_a_label_map_to_no_class_is_refused(project: Project, tmp_path: Path) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"당황": "shy"}), encoding="utf-8")
    refused(labelled(project, ["당황"], tmp_path / "bad.csv", "--label-map", mapping), "당황", "shy")


def test_an_unknown_label_stops_before_anything_is_evaluated(project: Project, tmp_path: Path) -> None:
    refused(labelled(project, ["happy", "bored", "sad"], tmp_path / "unknown.csv"), "row 2", '"bored"')


# ---------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["extra"], "usage"),
        (["--input-size", "400"], "--input-size"),
        (["--score-threshold", "1.5"], "--score-threshold"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_bad_usage(project: Project, tmp_path: Path, options: list[str], word: str) -> None:
    refused(evaluate(project.csv("usage.csv", []), tmp_path / "out.csv", *options), word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "path|image|img|src"),
        ("path,minX,minY,maxX,maxY\n", "label_en|orig_kor|label"),
        ("path,label,minX,minY,maxY\n", "maxX"),
        ("path,label,minX,minY,maxX,maxY\na.jpg,sad,1,,3,4\n", "minY"),
        ("path,label,minX,minY,maxX,maxY\na.jpg,sad,1\n", "line 2"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, word: str) -> None:
    split = tmp_path / "split.csv"
    split.write_text(text)
    refused(evaluate(split, tmp_path / "out.csv"), word)


def test_missing_csv(tmp_path: Path) -> None:
    refused(evaluate(tmp_path / "none.csv", tmp_path / "out.csv"), "none.csv")


@pytest.mark.parametrize("missing", ["tiny_face_detector_model-weights_manifest.json", "face_expression_model.bin"])
def test_models_without_weights(project: Project, tmp_path: Path, missing: str) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for file in (*MODELS.glob("tiny_face_detector_model*"), *MODELS.glob("face_expression_model*")):
        shutil.copy(file, models)
    (models / missing).unlink()
    refused(evaluate(project.csv("models.csv", []), tmp_path / "out.csv", models=models), missing)


def test_models_with_cut_weights(project: Project, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(MODELS, models)
    os.truncate(models / "face_expression_model.bin", 1000)
    refused(evaluate(project.csv("models.csv", []), tmp_path / "out.csv", models=models), "face_expression_model")


# ---------------------------------------------------------------------------------------------- inner laws


def test_a_face_with_an_iou_of_030_is_matched() -> None:
    body = """
    const outcomes = [0.3, 0.2999999, 0.31].map((iou) => ({ face: { iou }, unreadable: false }));
    console.log(JSON.stringify(m.summary([...outcomes, { face: null, unreadable: true }], 1)));"""
    expected = "4 rows, 3 detected, 2 matched (IoU >= 0.30), 1 unreadable, 1.0 s"
    assert javascript("results.mjs", body) == expected


def test_the_face_with_the_highest_iou_then_score_is_chosen() -> None:
    body = """
    const at = (minX, score) => ({ box: { minX, minY: 0, maxX: minX + 2, maxY: 2 }, score });
    const wanted = { minX: 0, minY: 0, maxX: 2, maxY: 2 };
    const best = (...faces) => m.bestFace(faces, wanted);
    console.log(JSON.stringify([
      best(), best(at(9, 0.9), at(1, 0.6)).iou, best(at(9, 0.6), at(5, 0.9), at(7, 0.8)).score,
      best(at(1, 0.6), at(-1, 0.7)).score, m.iou(wanted, { ...wanted, maxX: 0 }),
    ]));"""
    assert javascript("geometry.mjs", body) == [None, pytest.approx(1 / 3), 0.9, 0.7, 0]


def test_expressions_stay_with_their_face_where_a_face_lies_outside_the_photo() -> None:
    body = """
    import faceapi from "@vladmandic/face-api/dist/face-api.node-wasm.js";
    const at = (x, y) => new faceapi.FaceDetection(0.9, new faceapi.Rect(x, y, 0.2, 0.2), { width: 100, height: 50 });
    const found = [[at(0.1, 0.1), "first"], [at(0.5, 1.3), "second"], [at(0.7, 0.7), undefined]];
    const pairs = m.pairWithCrops(found.map(([detection, expressions]) => ({ detection, expressions })), 100, 50);
    console.log(JSON.stringify(pairs.map((face) => [face.detection.box.x, face.expressions])));"""
    assert javascript("faces.mjs", body) == [[pytest.approx(10), "first"], [pytest.approx(70), "second"]]


@pytest.fixture
def parent(project: Project, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process whose child is an evaluator with hours of work; both write to the same stderr."""
    rows = [["gone.jpg", "sad", 0, 0, 1, 1], *[["data_raw/two.jpg", "sad", 0, 0, 1, 1]] * 100_000]
    split = project.csv("long.csv", rows)
    command = [str(NODE), str(NODE_DIR / EVALUATOR), str(split), str(MODELS), str(tmp_path / "out.csv")]
    code = f"import subprocess; subprocess.run({command!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True
    )
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_the_evaluator_does_not_outlive_its_parent(parent: subprocess.Popen[str]) -> None:
    assert parent.stderr is not None
    assert parent.stderr.readline().startswith("unreadable: gone.jpg")
    parent.kill()
    # Only the evaluator holds the pipe now: its end is the evaluator's.
    ended = threading.Thread(target=parent.stderr.read, daemon=True)
    ended.start()
    ended.join(timeout=60)
    assert not ended.is_alive()
