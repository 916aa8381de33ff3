"""The same run on the plain path and on the fast one, on projects of chosen sizes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from projects import ENGLISH, draw, write_csv
from small_runs import CPU, best_weights, history, same_weights, spec_of

from trainable.base.config import Resources, TrainConfig
from trainable.run.trainer import Trainer

PLAIN = replace(CPU, plain=True)
TEXTS = ("test_preds.csv", "val_metrics_best.json", "test_metrics.json", "classes.json")


def sized_project(root: Path, train: int, val: int, test: int, split: str = "M1", *, first: int = 0) -> Path:
    """A project of one split with that many images, 32 pixels wide; number `first` and on of one long series."""
    seed = first
    for part, count in {"train": train, "val": val, "test": test}.items():
        rows = []
        for _ in range(count):
            path = f"data_shared/cropped_faces_160/all/{seed:04}.jpg"
            draw(root / path, seed % 3, seed, size=32)
            rows.append((path, ENGLISH[seed % 3]))
            seed += 1
        write_csv(root / f"data_shared/cropped_faces_csv/{part}_{split}.csv", ("path", "label_en"), rows)
    return root


@contextmanager
def cache_at(folder: Path, gigabytes: float | None = None) -> Iterator[Path]:
    """The machine's cache is `folder`, for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOSWEEP_CACHE", str(folder))
        if gigabytes is not None:
            patch.setenv("EMOSWEEP_CACHE_GB", str(gigabytes))
        yield folder


def trained(root: Path, out: Path, config: TrainConfig, resources: Resources = CPU, split: str = "M1") -> Path:
    """The folder of a finished run."""
    told: list[str] = []
    Trainer(spec_of(root, out, config, split), resources, log=told.append).run()
    assert manifest(out)["path"] == ("plain" if resources.plain else "fast"), told
    return out


def steps_with_states(run: Trainer) -> list[dict[str, Any]]:
    """Train all epochs; what `state_dict` gave after each, each with its own epoch as the best."""
    states = []
    while not run.done:
        row = run.step()
        state = copy.deepcopy(run.state_dict())
        metrics = {**state["best"]["metrics"], "epoch": row["epoch"]}
        states.append({**state, "best": {"model": state["model"], "metrics": metrics}})
    return states


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return found


def assert_same(one: Path, other: Path) -> None:
    """Bit by bit, in everything but times."""
    assert history(one) == history(other)
    assert same_weights(best_weights(one), best_weights(other))
    for name in TEXTS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert manifest(one)["corrupt_images"] == manifest(other)["corrupt_images"]


def segments_of(cache: Path, kind: str) -> set[Path]:
    return set((cache / kind).rglob("*.arrow"))


def tells_classes_apart(out: Path) -> bool:
    """Constant predictions would prove little."""
    return len({line.rpartition(",")[2] for line in (out / "test_preds.csv").read_text().splitlines()[1:]}) > 1


def threads(count: int) -> Resources:
    return Resources("cpu", threads=count, workers=0)
