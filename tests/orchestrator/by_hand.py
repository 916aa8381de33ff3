"""Results written by hand, as a run would have left them, and what tests need to look at them."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Listing = dict[str, tuple[int, int] | None]

ENGLISH = ("angry", "happy", "sad")
KOREAN = ("기쁨", "당황", "분노", "불안", "상처", "슬픔", "중립")
RUNS = "models/mobilenetv3_classifier/runs"
FACEAPI = "models/faceapi_baseline/results"
FACEAPI_COLUMNS = ("image", "gt_label", "pred_label", "score", "face_detected", "iou", "correct")
FINISHED = "2026-01-02T03:04:05+00:00"


def write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_run(root: Path, folder: str, figures: tuple[float, float, float], labels: Sequence[tuple[str, str]]) -> None:
    """A MobileNet run: `figures` are val macro-F1, test macro-F1 and Top-1, `labels` true and predicted ones."""
    out = root / RUNS / folder
    val, test, top1 = figures
    epochs = 50 if "K7" in folder else 30 if "finetune" in folder else 5
    config = {"epochs": epochs, "batch": 1024}
    write_json(out / "val_metrics_best.json", {"macro_f1": val, "accuracy": 0.4, "loss": 1.0, "n": 6, "epoch": 4})
    write_json(out / "test_metrics.json", {"macro_f1": test, "accuracy": top1, "loss": 1.5, "n": len(labels)})
    write_json(out / "classes.json", {"classes": KOREAN if "K7" in folder else ENGLISH})
    write_json(out / "manifest.json", {"identity": {}, "config": config, "finished": FINISHED, "seconds": 61.25})
    rows = [(f"faces/{i}.jpg", *pair) for i, pair in enumerate(labels)]
    write_rows(out / "test_preds.csv", ("path", "true", "pred"), rows)
    (out / "best.pt").write_bytes(b"weights")
    (out / "history.csv").write_text("epoch,stage\n1,1\n", encoding="utf-8")


def write_faceapi(root: Path, split: str, rows: Sequence[Sequence[object]]) -> None:
    results = root / FACEAPI / f"faceapi_{split}_eval.csv"
    write_rows(results, FACEAPI_COLUMNS, rows)
    write_json(results.with_suffix(".manifest.json"), {"identity": {}, "finished": FINISHED, "seconds": 12.0})


def write_seven(root: Path) -> Path:
    """All seven results.

    M1 and M2 have three classes, of which `sad` has no test row; K7 has seven, of which only 기쁨 and 슬픔 have rows.
    FaceAPI on M1: two of four rows match, one of them right. On M2: one of three, right, with an IoU of just 0.30.
    """
    english = [("angry", "angry"), ("angry", "sad"), ("angry", "angry"), ("happy", "happy")]
    korean = [("기쁨", "기쁨"), ("슬픔", "중립"), ("슬픔", "슬픔")]
    write_run(root, "probe_M1_160", (0.1111, 0.12224, 0.5), english)
    write_run(root, "finetune_M1_160", (0.2111, 0.22226, 0.75), english)
    write_run(root, "probe_M2_160", (0.3111, 0.3222, 0.5), english)
    write_run(root, "finetune_M2_160", (0.4111, 0.4222, 0.75), english)
    write_run(root, "finetune_K7_160", (0.5111, 0.5222, 2 / 3), korean)
    m1 = [
        ("a.jpg", "happy", "happy", 0.9, 1, 0.8, 1),
        ("b.jpg", "happy", "sad", 0.9, 1, 0.5, 0),
        ("c.jpg", "sad", "sad", 0.9, 1, 0.29, 1),
        ("d.jpg", "sad", "", 0, 0, 0, 0),
    ]
    m2 = [
        ("a.jpg", "happy", "happy", 0.9, 1, "0.300000", 1),
        ("b.jpg", "sad", "", 0, 0, 0, 0),
        ("c.jpg", "sad", "", 0, 0, 0, 0),
    ]
    write_faceapi(root, "M1", m1)
    write_faceapi(root, "M2", m2)
    return root


def listing(root: Path) -> Listing:
    """Everything below `root`: files with their mtime and size, folders with None."""
    found: Listing = {}
    for path in root.rglob("*"):
        stat = path.stat()
        found[path.relative_to(root).as_posix()] = None if path.is_dir() else (stat.st_mtime_ns, stat.st_size)
    return found


def changes(before: Listing, after: Listing) -> set[str]:
    """What is new, gone or different."""
    missing = object()
    return {name for name in {*before, *after} if before.get(name, missing) != after.get(name, missing)}
