"""Evaluates the same rows with both engines, and reports where they differ and how long each takes."""

from __future__ import annotations

import csv
import io
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceapi.contract.labels import labelled
from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import evaluate_rows as evaluate_with_node
from faceapi.python.networks import load_networks
from trainable.data.tables import ImageTable

TOLERANCES = {"score": 1e-4, "iou": 1e-3, "probability": 1e-3}
SEED = 1337


@dataclass(frozen=True)
class Comparison:
    """The results of two engines on the same rows, compared.

    `differences` has one line for each row in which the engines differ: in face_detected, pred_label or correct, in a
    score, an IoU or a class's probability by more than the tolerances, or because only one engine can read the photo.
    `score`, `iou` and `probability` are the largest absolute differences. `wall` and `cpu` are milliseconds per row, of
    onnx and of node.
    """

    rows: int
    detected: int
    unreadable: int
    differences: tuple[str, ...]
    score: float
    iou: float
    probability: float
    wall: tuple[float, float]
    cpu: tuple[float, float]


def compare_engines(
    table: ImageTable,
    settings: FaceApiSettings,
    onnx: Evaluator,
    node: Evaluator,
    *,
    root: Path,
    networks_folder: Path,
    sample: int,
) -> Comparison:
    """Evaluate `sample` rows of a split, drawn with a fixed seed, with one engine after the other.

    Args:
        root: the folder to which the rows' paths are relative.
        networks_folder: the cache of converted networks.

    Raises:
        ConfigError: the weights cannot be converted.
        ExperimentError: Node failed.
    """
    from faceapi.python.engine import evaluate_rows

    chosen = sorted(random.Random(SEED).sample(range(len(table)), min(sample, len(table))))
    ours = labelled(table, settings)
    networks = load_networks(onnx.models, settings.input_size, networks_folder)
    evaluate_rows([ours[i] for i in chosen[:1]], settings.score_threshold, networks)  # loads them
    first, *first_cost = _timed(lambda: evaluate_rows([ours[i] for i in chosen], settings.score_threshold, networks))
    rows, root = [table.rows[i] for i in chosen], root.resolve()
    second, *second_cost = _timed(lambda: evaluate_with_node(rows, root, settings, node))
    return compare_results(first, second, first_cost, second_cost)


def _timed(work: Callable[[], ShardResult]) -> tuple[ShardResult, float, float]:
    """Call `work`; returns its result, the seconds, and the CPU seconds of this process and its children."""
    began, before = time.perf_counter(), os.times()
    result = work()
    return result, time.perf_counter() - began, sum(os.times()[:4]) - sum(before[:4])


def compare_results(
    onnx: ShardResult, node: ShardResult, onnx_cost: Sequence[float], node_cost: Sequence[float]
) -> Comparison:
    """Compare the results of the same rows; a cost is (seconds, CPU seconds) for all rows."""
    first, second = _read(onnx), _read(node)
    differences: list[str] = []
    largest = dict.fromkeys(TOLERANCES, 0.0)
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        apart = [
            f"{name} {a[name]} / {b[name]}"
            for name in ("face_detected", "pred_label", "correct", "unreadable")
            if a[name] != b[name]
        ]
        gaps = {name: _gap(a[name], b[name]) for name in TOLERANCES}
        largest = {name: max(largest[name], gap) for name, gap in gaps.items()}
        apart += [f"{name} {a[name]} / {b[name]}" for name, most in TOLERANCES.items() if gaps[name] > most]
        if apart:
            differences.append(f"row {number + 1}, {a['image']}: {', '.join(apart)} (onnx / node)")
    wall, cpu = ((1000 * onnx_cost[k] / max(1, len(first)), 1000 * node_cost[k] / max(1, len(first))) for k in (0, 1))
    return Comparison(
        len(first),
        sum(row["face_detected"] == "1" for row in second),
        sum(row["unreadable"] == "yes" for row in second),
        tuple(differences),
        largest["score"],
        largest["iou"],
        largest["probability"],
        wall,
        cpu,
    )  # fmt: skip


def _gap(first: str, second: str) -> float:
    """The largest difference of the numbers of two cells; 0 where one of them has none."""
    pairs = zip(first.split(), second.split(), strict=False)
    return max((abs(float(a) - float(b)) for a, b in pairs), default=0.0)


def _read(result: ShardResult) -> list[dict[str, str]]:
    """The result rows, each with the cells `unreadable` and `probability`, which has a number for each class."""
    rows = [dict(zip(RESULT_COLUMNS, line, strict=True)) for line in csv.reader(io.StringIO(result.rows, newline=""))]
    remarks, probabilities = result.remarks.splitlines(), result.probabilities or [None] * len(rows)
    for row, found in zip(rows, probabilities, strict=True):
        row["probability"] = " ".join(f"{number:.6f}" for number in found or ())
        unreadable = any(remark.startswith(f"unreadable: {row['image']}: ") for remark in remarks)
        row["unreadable"] = "yes" if unreadable else "no"
    return rows
