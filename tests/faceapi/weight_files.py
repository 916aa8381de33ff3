"""Small weight files in tfjs' format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from faceapi.python.weights import NETWORKS


def write(folder: Path, network: str, groups: list[dict[str, Any]], **files: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{network}-weights_manifest.json").write_text(json.dumps(groups), encoding="utf-8")
    for name, data in files.items():
        (folder / name).write_bytes(data)


def tensor(name: str, count: int, kind: str = "", scale: float = 1, least: float = 0) -> dict[str, Any]:
    quantised = {"quantization": {"dtype": kind, "scale": scale, "min": least}} if kind else {}
    return {"name": name, "shape": [count], "dtype": "float32", **quantised}


def small(folder: Path) -> Path:
    """Write whole weights, which are of no real network."""
    for network in NETWORKS:
        write(folder, network, [{"paths": [f"{network}-shard1"], "weights": [tensor("a", 2)]}])
        (folder / f"{network}-shard1").write_bytes(np.array([1, 2], "<f4").tobytes())
    return folder
