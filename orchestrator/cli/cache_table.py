"""The machine's cache on the terminal, in 80 columns (no torch, no Ray)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.terminal import say
from orchestrator.planning.room import size_text
from trainable.base.errors import ConfigError
from trainable.base.files import read_json
from trainable.base.text import visible
from trainable.cache.folder import (
    ABOUT,
    LIMIT_VARIABLE,
    ROOT_VARIABLE,
    SegmentFile,
    cache_limit,
    cache_root,
    segment_files,
)


@dataclass(frozen=True)
class Kept:
    """One folder of the cache, with rows of one kind. `used` is in seconds since 1970."""

    what: str
    made_by: str
    rows: int
    files: int
    size: int
    used: float


def usable_root() -> Path:
    """The cache's folder, which need not be there yet.

    Raises:
        ConfigError: it is a file, or one of its variables has a wrong value.
    """
    root = cache_root()
    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root}: is a file, but must be a folder (${ROOT_VARIABLE} says where the cache is)")
    return root


def kept(root: Path) -> list[Kept]:
    """The folders that hold rows: images first, then features by stage, each kind in the order of last use."""
    by_folder = sorted(segment_files(root), key=lambda segment: segment.path.parent)
    groups = [_describe(folder, list(some)) for folder, some in groupby(by_folder, lambda segment: segment.path.parent)]
    return sorted(groups, key=lambda group: (not group.what.startswith("images"), group.what, -group.used))


def _describe(folder: Path, segments: Sequence[SegmentFile]) -> Kept:
    what, made_by = "images", folder.name
    if segments[0].kind == "features":
        about = read_json(folder / ABOUT)
        about = about if isinstance(about, dict) else {}
        what = f"features, stage {about.get('stage', '?')}"
        names = [f"weights {str(about.get('weights', '?'))[:8]}", str(about.get("dtype", "?")).removeprefix("torch.")]
        names += [str(about.get("device", "?"))]
        made_by = ", ".join(names)
    rows = sum(map(_rows, (segment.path for segment in segments)))
    size = sum(segment.size for segment in segments)
    return Kept(what, made_by, rows, len(segments), size, max(segment.used for segment in segments))


def _rows(path: Path) -> int:
    """Count the rows of a segment; 0 where it is not whole."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            return int(pa.ipc.open_file(file).get_batch(0).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def print_cache(console: Console) -> None:
    """Print what the cache holds, how large it is and when it was used last."""
    root, limit = usable_root(), cache_limit()
    groups = kept(root)
    if groups:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("Kept", no_wrap=True)
        table.add_column("Made by", overflow="fold")
        for name in ("Rows", "Files", "Size"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("Last used", no_wrap=True)
        for group in groups:
            used = f"{datetime.fromtimestamp(group.used):%Y-%m-%d %H:%M}"
            counts = (f"{group.rows:,}", f"{group.files:,}", size_text(group.size))
            table.add_row(visible(group.what), visible(group.made_by), *counts, used)
        console.print(table)
    total = size_text(sum(group.size for group in groups)) if groups else "nothing"
    say(console, f"{total} of at most {size_text(limit)} in {root}")
    say(console, f"${ROOT_VARIABLE} and ${LIMIT_VARIABLE} change folder and limit; `cache --clear` deletes all of it")
