"""Whole commands: the five MobileNet experiments against the runbook's commands and against the floor."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, TRAINED, Bench, Row, jemalloc, manifest, ours, peer


def five_experiments(bench: Bench, batch: int, target: float) -> list[Row]:
    """Peer / ours, and ours / floor. Ours starts with an empty cache, so decoding and features are in it."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": [], "floor": []}
    beyond, decoded, runs = [], [], []
    for _ in range(bench.repeat):
        folder = bench.fresh(f"five_{batch}")
        found = between_floors(bench, folder, batch)
        seconds["ours"].append(found["ours"])
        runs.append(found)
        seconds["floor"].append(found["floor"])
        seconds["peer"].append(peer(bench, folder, "--batch", batch))
        busiest = max(manifest(folder, name)["seconds"] for name in TRAINED)
        beyond.append(seconds["ours"][-1] / busiest - 1)
        decoded.append(decode_ratio(bench, folder))
    ratios = [p / o for p, o in zip(seconds["peer"], seconds["ours"], strict=True)]
    above = [o / f for o, f in zip(seconds["ours"], seconds["floor"], strict=True)]
    modules = [found["ours"] / found["modules"] for found in runs]
    return [
        Row(f"five experiments, batch {batch}: peer / ours", "x", ratios, target, details=seconds),
        Row(f"five experiments, batch {batch}: ours / floor", "x", above, 1.2, at_least=False, details={"runs": runs}),
        Row(f"five experiments, batch {batch}: ours / floor of PyTorch's modules", "x", modules),
        Row(f"batch {batch}: wall beyond the longest trial", "share", beyond, 0.10, at_least=False),
        Row(f"batch {batch}: images decoded / distinct", "x", decoded, 1.0, at_least=False),
    ]


def five_above_the_floor(bench: Bench, batch: int) -> Row:
    """Ours / floor without the peer, which takes most of `five_experiments`' time."""
    samples, details = [], []
    for _ in range(bench.repeat):
        folder = bench.fresh(f"floor_{batch}")
        found = between_floors(bench, folder, batch)
        samples.append(found["ours"] / found["floor"])
        details.append(found)
    row = f"five experiments without the peer, batch {batch}: ours / floor"
    return Row(row, "x", samples, 1.2, at_least=False, details={"runs": details})


def between_floors(bench: Bench, folder: Path, batch: int) -> dict[str, Any]:
    """Seconds of ours and of its finetunes' stages, and of the floor before and after it, since a machine's speed
    drifts."""
    before = floor(bench, batch)
    mine = ours(bench, folder, "--only", ",".join(TRAINED), "--batch", batch)
    floors = [before, floor(bench, batch)]
    stages = {name: stage_seconds(folder, name) for name in TRAINED if name.startswith("finetune")}
    mean = statistics.mean(found["seconds"] for found in floors)
    modules = statistics.mean(found["modules"]["seconds"] for found in floors)
    return {"ours": mine, "floor": mean, "modules": modules, "floors": floors, "stages": stages}


def one_experiment(bench: Bench, experiment: str, batch: int) -> Row:
    """Peer / ours for a single experiment, with an empty cache."""
    ratios, details = [], []
    for _ in range(bench.repeat):
        folder = bench.fresh(f"{experiment}_{batch}")
        mine = ours(bench, folder, "--only", experiment, "--batch", batch)
        theirs = peer(bench, folder, "--only", f"{experiment}_160", "--batch", batch)
        ratios.append(theirs / mine)
        details.append({"ours": mine, "peer": theirs})
    return Row(f"{experiment} alone, batch {batch}: peer / ours", "x", ratios, details={"runs": details})


def stage_seconds(folder: Path, experiment: str) -> dict[str, float]:
    """Where a finetune's epochs spent their seconds. The first of stage 3 takes its memory from the system."""
    history = folder / "out/models/mobilenetv3_classifier/runs" / f"{experiment}_160" / "history.csv"
    with history.open(encoding="utf-8", newline="") as stream:
        rows = [(row["stage"], float(row["seconds"])) for row in csv.DictReader(stream)]
    first, *rest = [seconds for stage, seconds in rows if stage == "3"]
    frozen = {f"stage_{n}": sum(seconds for stage, seconds in rows if stage == n) for n in "12"}
    others = {"stage_3_others": sum(rest), "median_of_the_others": statistics.median(rest)}
    return {**frozen, "stage_3_first": first, **others}


def decode_ratio(bench: Bench, folder: Path) -> float:
    """Rows in the pack's segments, duplicates counted, over the distinct images of the project's CSVs."""
    import hashlib

    import pyarrow as pa

    from trainable.base.config import PARTS
    from trainable.data.tables import load_table

    files = set()
    for split in ("M1", "M2", "K7"):
        for part in PARTS:
            csv = bench.project / f"data_shared/cropped_faces_csv/{part}_{split}.csv"
            files |= {row.file for row in load_table(csv, bench.project).rows}
    distinct = {hashlib.sha256(file.read_bytes()).digest() for file in files}
    stored = 0
    for segment in (folder / "cache/images").rglob("*.arrow"):
        with pa.memory_map(str(segment)) as file:
            stored += pa.ipc.open_file(file).get_batch(0).num_rows
    return stored / len(distinct)


def floor(bench: Bench, batch: int) -> dict[str, Any]:
    """Seconds of the stage-3 steps alone, on resident synthetic data (see `benchmarks.floor`)."""
    command = [sys.executable, "-m", "benchmarks.floor", "--project-root", str(bench.project), "--batch", str(batch)]
    environment = {**os.environ, **jemalloc()}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def beyond_the_busiest(bench: Bench, batch: int) -> Row:
    """All seven experiments: wall time beyond the longest trial, which is the busiest slot's work."""
    samples, details = [], []
    for _ in range(bench.repeat):
        folder = bench.fresh("seven")
        wall = ours(bench, folder, "--batch", batch)
        busiest = max(manifest(folder, name)["seconds"] for name in TRAINED)
        samples.append(wall / busiest - 1)
        details.append({"wall": wall, "longest_trial": busiest})
    row = f"run-all of seven, batch {batch}: wall beyond the longest trial"
    return Row(row, "share", samples, 0.10, at_least=False, details={"runs": details})
