"""Whether the disks have room for a run: the output folder must, the cache had better (no torch, no Ray)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from trainable.base.errors import ConfigError
from trainable.cache.folder import LIMIT_VARIABLE, ROOT_VARIABLE, cache_limit, cache_root, segment_files

RESULT_BYTES = 10_000_000
"""What a finished run leaves: 6 MB of weights and its tables."""
CHECKPOINT_BYTES = 90_000_000
"""What a running trial keeps: the last two epochs, each with the best one, beside the one that is being written."""
IMAGE_BYTES = 160 * 160 * 3
HEAD_BYTES, TRUNK_BYTES = 1024 * 4, 96 * 5 * 5 * 4
"""An image's stored features for stage 1 and the probe, and for stage 2 (docs/cache.md)."""


def disk_free(folder: Path) -> int:
    """Free bytes on the disk on which `folder` is or would be."""
    return shutil.disk_usage(next(p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir())).free


def check_output_room(output: Path, runs: int, at_once: int, free: Callable[[Path], int] = disk_free) -> None:
    """Compare what `runs` runs leave, of which `at_once` run at the same time, with what the disk has free.

    Raises:
        ConfigError: the output folder's disk has less.
    """
    need = runs * RESULT_BYTES + at_once * CHECKPOINT_BYTES
    have = free(output)
    if have < need:
        raise ConfigError(
            f"--output-root {output}: its disk has {size_text(have)} free, but results and checkpoints of {runs} "
            f"run{'s' if runs > 1 else ''} take about {size_text(need)}"
        )


def cache_remark(train: int, others: int, *, staged: bool, free: Callable[[Path], int] = disk_free) -> str | None:
    """What to say where the cache has no room for all rows of a run; None where it has, or is switched off.

    Args:
        train: images of which the flip is kept too.
        others: images for validation and test.
        staged: some run has stage 2, whose features are larger.
    """
    root, limit = cache_root(), cache_limit()
    features = (HEAD_BYTES + (TRUNK_BYTES if staged else 0)) * (2 * train + others)
    need = IMAGE_BYTES * (train + others) + features
    room = min(limit, free(root) + sum(segment.size for segment in segment_files(root)))
    if limit == 0 or need <= room:
        return None
    return (
        f"the cache in {root} has room for {size_text(room)}, but the images and features of this run take about "
        f"{size_text(need)}: what does not fit is computed in every epoch, which is slower and changes no number "
        f"(${ROOT_VARIABLE} and ${LIMIT_VARIABLE} change folder and limit)"
    )


def size_text(size: int) -> str:
    """A size such as 7.68 GB, in units of a thousand and with three digits."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
