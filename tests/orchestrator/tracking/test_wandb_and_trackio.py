"""W&B's offline folders and Trackio's database, read back."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracked import LABELS, ending, epoch

from orchestrator.tracking.tracker import Ending, Report, TrackedRun

RUN = TrackedRun(
    "20260101-000000-12345678", "finetune_K7#3", "finetune_K7 sweep", {"lr_head": 5e-4, "weights": "가중치.pt"},
    {"experiment": "finetune_K7", "kind": "trial"},
)  # fmt: skip


def stored(path: Path) -> Iterator[bytes]:
    """The records of a `.wandb` file: LevelDB's log format, blocks of 32 KiB after a header of 7 bytes."""
    data, place, record = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the end of one
            yield record
            record = b""


def wandb_folder(folder: Path) -> tuple[dict[int, dict[str, Any]], Any, list[str]]:
    """What `wandb sync` would upload: history by step, the run, and the names of its files."""
    from wandb.proto import wandb_internal_pb2

    [run] = (folder / "wandb").glob("offline-run-*")
    history, head = {}, None
    for data in stored(next(run.glob("*.wandb"))):
        record = wandb_internal_pb2.Record.FromString(data)
        if record.HasField("run"):
            head = record.run
        if record.HasField("history"):
            items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            history[record.history.step.num] = items
    return history, head, [path.name for path in (run / "files").iterdir()]


def test_a_wandb_run_is_whole_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed")
    from orchestrator.tracking.wandb import WandbTracker

    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "classes.json"
    file.write_text(json.dumps({"classes": LABELS}), encoding="utf-8")
    tracker = WandbTracker(tmp_path / "결과", "run-all")
    tracker.begin(RUN)
    for number in (1, 2, 2):
        tracker.epoch(RUN, epoch(number))
    tracker.end(RUN, ending(3, files=[file]))
    tracker.close(Report("FINISHED"))
    history, head, files = wandb_folder(tmp_path / "결과")
    assert {step: row["val_macro_f1"] for step, row in history.items()} == {1: 0.01, 2: 0.02, 3: 0.03}
    assert (head.run_id, head.display_name, head.run_group) == (RUN.key, RUN.name, RUN.group)
    assert "가중치.pt" in [json.loads(item.value_json) for item in head.config.update]
    assert file.name in files


def test_trackio_goes_on_in_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio", reason="Trackio is not installed (it holds Pillow below 13, so dev leaves it out)")
    from trackio import utils
    from trackio.sqlite_storage import SQLiteStorage

    from orchestrator.tracking.trackio import TrackioTracker

    for module in (utils, __import__("trackio.sqlite_storage", fromlist=["TRACKIO_DIR"])):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path)  # read once, when it is imported
    first = TrackioTracker("run-all")
    first.epoch(RUN, epoch(1))
    first.close(Report("KILLED"))
    second = TrackioTracker("run-all")
    second.epoch(RUN, epoch(2))
    second.end(RUN, Ending("FINISHED", metrics={f"test_f1/{LABELS[0]}": 0.25}))
    [record] = SQLiteStorage.get_run_records("emosweep")
    rows = SQLiteStorage.get_logs("emosweep", record["name"], run_id=record["id"])
    assert [row["step"] for row in rows if "val_macro_f1" in row] == [1, 2]
    assert [row["test_f1/기쁨"] for row in rows if "test_f1/기쁨" in row] == [0.25]
