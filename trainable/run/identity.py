"""What a step's result depends on, as digests: data, weights and configuration (no torch).

Two runs with the same identity give the same result, so a finished one need not be run again. Workers, devices,
versions and verbosity are recorded in the manifest but are no part of it.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainable.base.config import PARTS, TrainConfig
from trainable.base.errors import ConfigError
from trainable.cache.hashes import MISSING, ImageHashes, Progress, file_digest, json_text, no_progress
from trainable.data.tables import ImageTable

Identity = dict[str, Any]

_BLOCK = 8192  # rows that are text at a time
IMAGENET_WEIGHTS = "MobileNet_V3_Small_Weights.IMAGENET1K_V1"


def table_digests(table: ImageTable) -> dict[str, str]:
    """Digests of a table's rows and of its images' contents, in row order; its files must be hashed already."""
    return {"rows": _rows_digest(table), "images": _images_digest(table)}


def _rows_digest(table: ImageTable) -> str:
    """`digest` of the list of [path, label, *box] of each row, whose text is made part by part. A box in the upright
    photo has one more value, "upright"."""
    paths, boxes = table.files.json_paths(), table.boxes
    labels = [f",{json_text(label)}".encode() for label in table.classes]
    ends = [labels[code] + b"]" for code in table.codes]
    if boxes:
        sides = (boxes[side::4] for side in range(4))
        frames = [b',"upright"]' if upright else b"]" for upright in table.upright or bytes(len(table))]
        pixels = (f",{x0!r},{y0!r},{x1!r},{y1!r}".encode() for x0, y0, x1, y1 in zip(*sides, strict=True))
        texts = map(operator.add, pixels, frames)
        ends = [labels[code] + text for code, text in zip(table.codes, texts, strict=True)]
    found, comma = hashlib.sha256(b"["), b"["
    for start in range(0, len(table), _BLOCK):
        numbers = table.numbers[start : start + _BLOCK]
        rows = [paths[number] + end for number, end in zip(numbers, ends[start : start + _BLOCK], strict=True)]
        found.update(comma + b",[".join(rows))
        comma = b",["
    found.update(b"]")
    return found.hexdigest()


def _images_digest(table: ImageTable) -> str:
    """`digest` of the list of the hex digests, which need no escapes in JSON."""
    return hashlib.sha256(('["' + '","'.join(table.digests(MISSING)) + '"]').encode()).hexdigest()


def weights_identity(weights: str) -> str:
    """`imagenet` and `none` by name, a file by its content."""
    if weights == "none":
        return "none"
    if weights == "imagenet":
        return IMAGENET_WEIGHTS
    path = Path(weights)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise ConfigError(f"--weights {weights}: {what} (imagenet, none, or the path of a state dict)")
    return f"sha256:{file_digest(path)}"


def data_identity(tables: Mapping[str, ImageTable], hashes: ImageHashes, progress: Progress = no_progress) -> Identity:
    """Digests of train, val and test: the data's part of a run's identity. The tables have their digests then.

    Args:
        tables: of the parts that the run reads; a trial does not depend on the test set.
        progress: called with the number of files that are hashed, and that of all.
    """
    parts = [part for part in PARTS if part in tables]
    hashes.fill([tables[part] for part in parts], progress)
    return {part: table_digests(tables[part]) for part in parts}


def run_identity(config: TrainConfig, data: Identity, weights: str) -> Identity:
    """The identity of a run from its parts (see `data_identity`, `weights_identity`)."""
    return {"data": data, "weights": weights, "config": config.identity()}


def training_identity(config: TrainConfig, tables: Mapping[str, ImageTable], hashes: ImageHashes) -> Identity:
    """The identity of one training run; compared key by key to say what changed."""
    return run_identity(config, data_identity(tables, hashes), weights_identity(config.weights))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What changed from one identity to another, in words such as `config.lr_head 0.0005 -> 0.0007`."""
    found: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        name = f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{name}.")
        elif before != after:
            hidden = any(isinstance(v, str) and len(v) >= 64 for v in (before, after))
            found.append(f"{name} changed" if hidden else f"{name} {before} -> {after}")
    return found
