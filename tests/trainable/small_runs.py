"""Runs of seconds for the tests: three classes, a few images, one thread."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainable.base.config import PARTS, Resources, RunSpec, TrainConfig
from trainable.data.tables import ImageTable, load_table
from trainable.feed.plain import ImageBatches
from trainable.network.model import build_model
from trainable.network.pixels import normalise

# Bit-equal results need equal numbers of threads, and for images this few one is the fastest.
torch.set_num_threads(1)

CPU = Resources("cpu", threads=1, workers=0)
RESULTS = {
    "best.pt",
    "val_metrics_best.json",
    "test_metrics.json",
    "test_preds.csv",
    "val_logits.parquet",
    "test_logits.parquet",
    "classes.json",
    "history.csv",
    "manifest.json",
}
TRIAL_RESULTS = RESULTS - {"best.pt", "test_metrics.json", "test_preds.csv", "test_logits.parquet"}


def csvs_of(root: Path, split: str = "M1") -> dict[str, Path]:
    return {part: root / f"data_shared/cropped_faces_csv/{part}_{split}.csv" for part in PARTS}


def tables_of(root: Path, split: str = "M1") -> dict[str, ImageTable]:
    return {part: load_table(path, root) for part, path in csvs_of(root, split).items()}


def finetune(weights: Path | str = "none", **changes: Any) -> TrainConfig:
    """Stages of 1, 1 and 2 epochs; three steps an epoch."""
    values = {"epochs": 4, "lr_head": 1e-2, "lr_backbone": 1e-3, "batch": 8, **changes}
    return TrainConfig("finetune", weights=str(weights), **values)


def probe(weights: Path | str = "none", **changes: Any) -> TrainConfig:
    return TrainConfig("probe", weights=str(weights), **{"epochs": 2, "lr_head": 1e-2, "batch": 8, **changes})


def spec_of(root: Path, out: Path, config: TrainConfig, split: str = "M1", *, test: bool = True) -> RunSpec:
    return RunSpec(root, csvs_of(root, split), out, config, test)


def unbalance(root: Path, counts: Sequence[int], split: str = "M1") -> Path:
    """Leave so many training rows of each class, in its order."""
    csv_file = csvs_of(root, split)["train"]
    header, *lines = csv_file.read_text(encoding="utf-8").splitlines()
    labels = sorted({line.rpartition(",")[2] for line in lines})
    kept: list[str] = []
    for line in lines:
        label = line.rpartition(",")[2]
        if sum(other.endswith(f",{label}") for other in kept) < counts[labels.index(label)]:
            kept.append(line)
    csv_file.write_text("\n".join([header, *kept, ""]), encoding="utf-8")
    return root


def write_weights(path: Path, table: ImageTable, seed: int = 0) -> Path:
    """A state dict of random weights whose BatchNorm statistics fit the images.

    With those of a new network nothing gets through it in eval mode, and every prediction is the same class: tests of
    predictions would compare constants. A head on top of this one learns them in some epochs.
    """
    classes = sorted(set(table.labels))
    model, _ = build_model(TrainConfig("probe", 1, 1e-3, weights="none", seed=seed), classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it sees
    model.train()
    images = ImageBatches(table, classes, len(table), seed=None, workers=0, pin=False)
    with torch.no_grad():
        for pixels, _, _ in images.epoch():
            model(normalise(pixels, torch.device("cpu")))
    torch.save(model.state_dict(), path)
    return path


def best_weights(out: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(out / "best.pt", weights_only=True)["state_dict"]
    return state


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def history(out: Path) -> list[dict[str, str]]:
    """history.csv without the times, which are never the same."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_rows(out / "history.csv")]
