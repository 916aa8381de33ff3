"""The table of `python -m orchestrator cache` in 80 columns. It needs neither torch nor Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trainable.base.errors import ConfigError
from trainable.base.files import read_json
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
    """A folder of the cache, which holds rows of one kind; `size` is in bytes and `used` in seconds since 1970."""

    what: str
    made_by: str
    rows: int
    files: int
    size: int
    used: float


def usable_root() -> Path:
    """Find the cache's folder, which need not exist yet.

    Raises:
        ConfigError: the folder's path is a file, or an environment variable of the cache has a wrong value.
    """
    root = cache_root()
    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root}: is a file, but must be a folder (${ROOT_VARIABLE} says where the cache is)")
    return root


def kept(root: Path) -> list[Kept]:
    """List the folders of the cache: images first, then features by stage; among equals the last used first."""
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
        names += [f"threads {about['threads']}"] if about.get("threads") else []
        made_by = ", ".join(names)
    rows = sum(map(_rows, (segment.path for segment in segments)))
    size = sum(segment.size for segment in segments)
    return Kept(what, made_by, rows, len(segments), size, max(segment.used for segment in segments))


def _rows(path: Path) -> int:
    """Count the rows of a segment; a segment that cannot be read has none."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            return int(pa.ipc.open_file(file).get_batch(0).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def print_cache(console: Console) -> None:
    """Print a row for each folder of the cache, then the total, the limit and the place."""
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
            table.add_row(group.what, escape(group.made_by), *counts, used)
        console.print(table)
    total = size_text(sum(group.size for group in groups)) if groups else "nothing"
    _say(console, f"{total} of at most {size_text(limit)} in {root}")
    _say(console, f"${ROOT_VARIABLE} and ${LIMIT_VARIABLE} change folder and limit; `cache --clear` deletes all of it")


def size_text(size: int) -> str:
    """Write a number of bytes with three digits, such as "7.68 GB"; 1 kB is 1000 bytes."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def _say(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
