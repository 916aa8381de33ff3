"""Which files `--weights` can be read from, by their first bytes, and where ImageNet's lie; without torch."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from pathlib import Path

from trainable.base.errors import ConfigError

NO_CHECKPOINT = "not a PyTorch checkpoint that loads with weights_only"
SAVE_STATE_DICT = "save the weights alone: torch.save(model.state_dict(), 'weights.pt')"
IMAGENET_URL = "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth"
"""The address of torchvision's `MobileNet_V3_Small_Weights.IMAGENET1K_V1`."""
_HEADER_LIMIT = 100_000_000
"""Bytes that the safetensors format allows its header."""


def imagenet_file() -> Path:
    """The file in which torch.hub keeps the ImageNet weights; it need not be there."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()
    return home / "hub" / "checkpoints" / IMAGENET_URL.rpartition("/")[2]


def check_format(weights: str) -> None:
    """Look at a file that is there: it must begin and end as PyTorch's files do.

    Raises:
        ConfigError: it does not; what it is instead, and what to do, where that can be told.
    """
    path = Path(weights)
    if zipfile.is_zipfile(path):
        trouble = _trouble_of_archive(path)
    else:
        with path.open("rb") as file:
            start = file.read(64)
        # PyTorch wrote pickles and tar files before version 1.6.
        fits = (start.startswith(b"\x80") and not _is_safetensors(path)) or tarfile.is_tarfile(path)
        trouble = "" if fits else _trouble(path, start)
    if trouble:
        raise ConfigError(f"--weights {weights}: {trouble}")


def _trouble_of_archive(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names):
        return f"a TorchScript archive, which holds a program; {SAVE_STATE_DICT}"
    return "" if any(name.endswith("data.pkl") for name in names) else NO_CHECKPOINT


def _trouble(path: Path, start: bytes) -> str:
    if _is_safetensors(path):
        return (
            "a safetensors file; convert it once: torch.save(safetensors.torch.load_file("
            f"{path.name!r}), {path.with_suffix('.pt').name!r})"
        )
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS and not the weights themselves; fetch them with `git lfs pull`"
    if start.startswith(b"PK"):
        return f"{NO_CHECKPOINT} (the file is cut short)"
    return NO_CHECKPOINT


def _is_safetensors(path: Path) -> bool:
    """Eight bytes with the length of a header, and the header in JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if 2 <= length <= min(_HEADER_LIMIT, path.stat().st_size - 8) else b""
    try:
        return isinstance(json.loads(header), dict)
    except ValueError:
        return False
