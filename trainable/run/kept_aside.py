"""Results that a run finds in its folder and did not make: they are moved aside, never overwritten (no torch)."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from trainable.base.files import read_json, write_json
from trainable.base.paths import RunPaths
from trainable.cache.hashes import digest
from trainable.run.identity import Identity

_GATHERED = ".earlier"
"""Where the files are put together. It gets its name when all of them are there, so that none is split between two
folders by a process that is killed meanwhile."""


def keep_aside(out: Path, identity: Identity | None = None) -> Path | None:
    """Move the result files of a folder into `earlier-<when>-<digest>` inside it, or `earlier-<n>`.

    Nothing is moved where the manifest says that the run of `identity` made them, nor where that run has marked
    the folder's results as its own (see `mark_as_own`). Files that no run of ours writes stay where they are.

    Args:
        out: the folder of a run.
        identity: of the run that is about to write there; None for none, so that whatever is there is moved.

    Returns:
        The folder that has them now; None where nothing had to be moved.

    Raises:
        OSError: a file cannot be moved.
    """
    paths, gathered = RunPaths(out), out / _GATHERED
    files = [path for path in (*paths.files, paths.manifest) if path.is_file() or path.is_symlink()]
    begun = gathered.is_dir() or any(path in files for path in paths.files)
    if begun and not _may_be_replaced(paths, identity):
        gathered.mkdir(exist_ok=True)
        for path in files:
            path.rename(gathered / path.name)
    if not gathered.is_dir():
        return None
    target = _free_name(out, _record(gathered / paths.manifest.name))
    gathered.rename(target)
    return target


def _may_be_replaced(paths: RunPaths, identity: Identity | None) -> bool:
    """Whether the run of `identity` has made what is there."""
    made_by = [_record(file).get("identity") for file in (paths.manifest, paths.owner)]
    return identity is not None and identity in made_by


def mark_as_own(out: Path, identity: Identity) -> None:
    """Note that result files in the folder belong to the run of `identity`, with a manifest or without one: it is about
    to put its own there, or to replace those that it has made before."""
    write_json(RunPaths(out).owner, {"identity": identity})


def is_marked(paths: RunPaths) -> bool:
    """Whether some run has marked the result files in its folder as its own."""
    return paths.owner.is_file()


def _record(file: Path) -> dict[str, Any]:
    """A JSON object; {} where there is none."""
    found = read_json(file)
    return found if isinstance(found, dict) else {}


def _free_name(out: Path, manifest: dict[str, Any]) -> Path:
    """Named by the time at which they were finished and by what made them, where a manifest of ours says it."""
    names = (f"earlier-{number}" for number in count(1))
    if isinstance(manifest.get("identity"), dict):
        when = "".join(c for c in str(manifest.get("finished", ""))[:19] if c.isdigit() or c == "T") or "unknown"
        name = f"earlier-{when}-{digest(manifest['identity'])[:8]}"
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(out / name for name in names if not (out / name).exists())
