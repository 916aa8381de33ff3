"""Sweeps on real data: against the runbook's command again and again, and how busy they keep the machine."""

from __future__ import annotations

import csv
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import TRAINED, Bench, Row, ours, peer, timed

TRIALS, PEER_RUNS = 16, 4


def sixteen_finetunes(bench: Bench, batch: int) -> list[Row]:
    """Peer / ours for 16 learning rates of finetune_M1: the peer runs four times around ours, and counts four times."""
    ratios, details = [], []
    for _ in range(bench.repeat):
        folder = bench.fresh("sweep")
        peers = [_peer(bench, folder, batch, i) for i in range(PEER_RUNS // 2)]
        mine = _sweep(bench, folder, "finetune_M1", "--confirm", 0, "--batch", batch)
        peers += [_peer(bench, folder, batch, i) for i in range(PEER_RUNS // 2, PEER_RUNS)]
        ratios.append(TRIALS * statistics.fmean(peers) / mine)
        details.append({"ours": mine, "peer": peers})
    return [Row(f"{TRIALS} rates of finetune_M1, batch {batch}: peer / ours", "x", ratios, 8.0, details={"s": details})]


def confirmation(bench: Bench, batch: int) -> list[Row]:
    """Seconds of a sweep's confirmation: the same command once more, after the sweep."""
    seconds = []
    for _ in range(bench.repeat):
        folder = bench.fresh("confirmation")
        _sweep(bench, folder, "finetune_M1", "--confirm", 0, "--batch", batch)
        seconds.append(_sweep(bench, folder, "finetune_M1", "--batch", batch))
    return [Row(f"confirmation of a sweep of finetune_M1, batch {batch}", "s", seconds)]


def _peer(bench: Bench, folder: Path, batch: int, number: int) -> float:
    alone = folder / f"peer{number}"
    alone.mkdir()
    return peer(bench, alone, "--only", "finetune_M1_160", "--batch", batch)


def _sweep(bench: Bench, folder: Path, *options: object) -> float:
    command = [sys.executable, "-m", "orchestrator", "sweep", *options]
    command += ["--project-root", bench.project, "--output-root", folder / "out", "--weights", bench.weights]
    return timed(command, folder / "ours.log", EMOSWEEP_CACHE=str(folder / "cache"))


def grid_beside_the_seven(bench: Bench, batch: int) -> list[Row]:
    """`run-all --sweep lr-grid`: the share of the CPUs that trials use, and whether the fixed runs are the same."""
    busy, same, details = [], [], []
    for _ in range(bench.repeat):
        plain, swept = bench.fresh("grid_without"), bench.fresh("grid")
        seconds = {"without": ours(bench, plain, "--batch", batch)}
        seconds["with"] = ours(bench, swept, "--batch", batch, "--sweep", "lr-grid", "--confirm", 0)
        worked = used(swept / "out/.emosweep/tune")
        busy.append(worked / (seconds["with"] * (os.cpu_count() or 1)))
        same.append(float(all(results(plain, name) == results(swept, name) for name in TRAINED)))
        details.append({**seconds, "cpu_seconds": worked})
    return [
        Row("run-all --sweep lr-grid: CPU slots in use", "share", busy, 0.90, details={"s": details}),
        Row("fixed runs identical to those without a sweep", "share", same, 1.0),
    ]


def used(storage: Path) -> float:
    """CPU seconds of all epochs in Tune's records, by the CPUs that trials reserve: a trial that also uses those of
    others who do not need them counts as one."""
    total = 0.0
    for file in storage.glob("*/*/result.json"):
        for line in file.read_text(encoding="utf-8").splitlines():
            result = json.loads(line)
            resources: dict[str, Any] = result["config"]["job"]["resources"]
            total += result["time_this_iter_s"] * resources["threads"]
    return total


def results(folder: Path, experiment: str) -> list[Any]:
    """What a fixed run found, times left out."""
    run = folder / "out/models/mobilenetv3_classifier/runs" / f"{experiment}_160"
    with (run / "history.csv").open(encoding="utf-8", newline="") as stream:
        history = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
    return [history, *((run / name).read_bytes() for name in ("test_preds.csv", "test_metrics.json"))]
