"""Reads face-api's weights from disk: tfjs weight manifests, and the shards that they name."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.base.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DETECTOR, EXPRESSION = "tiny_face_detector_model", "face_expression_model"
NETWORKS = (DETECTOR, EXPRESSION)
FACE_SIZE = 112
"""Side of FaceExpressionNet's input, in pixels. (The side of the detector's input is a setting.)"""
_BYTES = {"float32": 4, "uint8": 1, "uint16": 2}


@dataclass(frozen=True)
class _Entry:
    """One tensor of a manifest: `stored` is its dtype on disk, `scale` and `least` undo its quantisation, if any."""

    name: str
    shape: tuple[int, ...]
    stored: str
    scale: float | None
    least: float

    @property
    def size(self) -> int:
        return math.prod(self.shape) * _BYTES[self.stored]


def manifest_name(network: str) -> str:
    return f"{network}-weights_manifest.json"


def has_manifests(folder: Path) -> bool:
    return all((folder / manifest_name(network)).is_file() for network in NETWORKS)


def check_weights(folder: Path) -> None:
    """Check that the manifests can be read and that the shards exist in the sizes that the manifests say.

    Raises:
        ConfigError: a manifest or shard is missing, cut or not in tfjs' format; the message says which.
    """
    for network in NETWORKS:
        for entries, shards in _groups(folder, network):
            there = sum(shard.stat().st_size for shard in shards)
            wanted = sum(entry.size for entry in entries)
            if there != wanted:
                names = ", ".join(shard.name for shard in shards)
                raise ConfigError(f"models folder {folder}: {names}: {there} bytes where its manifest says {wanted}")


def weights_digest(folder: Path) -> str:
    """Compute the hex SHA-256 of both networks' manifests and shards."""
    found = hashlib.sha256()
    for network in NETWORKS:
        found.update((folder / manifest_name(network)).read_bytes())
        for _, shards in _groups(folder, network):
            for shard in shards:
                found.update(shard.read_bytes())
    return found.hexdigest()


def load_weights(folder: Path, network: str) -> dict[str, NDArray[np.float32]]:
    """Load a network's tensors, float32, by name, in tfjs' layouts (filters: height, width, in, out).

    Quantised values are restored as in tfjs: value * scale + min in double precision, then rounded to float32.

    Raises:
        ConfigError: see `check_weights`.
    """
    import numpy as np

    check_weights(folder)
    tensors: dict[str, NDArray[np.float32]] = {}
    for entries, shards in _groups(folder, network):
        data, offset = b"".join(shard.read_bytes() for shard in shards), 0
        for entry in entries:
            stored = np.frombuffer(data, f"<{np.dtype(entry.stored).str[1:]}", math.prod(entry.shape), offset)
            offset += entry.size
            values = stored if entry.scale is None else stored.astype(np.float64) * entry.scale + entry.least
            tensors[entry.name] = values.astype(np.float32).reshape(entry.shape)
    return tensors


def _groups(folder: Path, network: str) -> list[tuple[list[_Entry], list[Path]]]:
    """Read a manifest's groups: tensors, and the shards that hold them one after the other."""
    manifest = folder / manifest_name(network)
    try:
        groups = json.loads(manifest.read_text(encoding="utf-8-sig"))
        found = [([_entry(w) for w in g["weights"]], [folder / str(p) for p in g["paths"]]) for g in groups]
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise ConfigError(f"models folder {folder}: {manifest.name}: {why}") from error
    missing = [shard.name for _, shards in found for shard in shards if not shard.is_file()]
    if missing:
        raise ConfigError(f"models folder {folder}: {manifest.name} names {', '.join(missing)}: no such file")
    return found


def _entry(weight: dict[str, Any]) -> _Entry:
    quantised = weight.get("quantization")
    stored = quantised["dtype"] if quantised else weight["dtype"]
    if stored not in _BYTES:
        raise ValueError(f"{weight['name']} is stored as {stored}, not as one of {', '.join(_BYTES)}")
    scale, least = (float(quantised["scale"]), float(quantised["min"])) if quantised else (None, 0.0)
    return _Entry(str(weight["name"]), tuple(map(int, weight["shape"])), stored, scale, least)
