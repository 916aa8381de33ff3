"""Images that are in two tables: photos that two splits share, and leaks from training into test."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.input_rows import InputRows
from orchestrator.reporting.material import Scored

MOST_FILES = 20_000
"""Of larger tables the contents are not compared, because a report is to take seconds."""


def same_photos(items: Sequence[Scored]) -> list[str]:
    """Say of each two splits whose test sets share photos that a difference between them is none of the data.

    Photos are the same where their paths are: those of FaceAPI's CSVs where both splits have one, else the crops'.
    """
    photos = {i.result.experiment.split: i.inputs for i in items if i.inputs and not i.result.experiment.trains}
    crops = {i.result.experiment.split: i.inputs for i in items if i.inputs and i.result.experiment.trains}
    said = []
    for one, other in combinations(dict.fromkeys([*photos, *crops]), 2):
        tables = next(((t[one], t[other]) for t in (photos, crops) if one in t and other in t), None)
        said += _same_photos(one, other, *tables) if tables else []
    return said


def _same_photos(one: str, other: str, left: InputRows, right: InputRows) -> list[str]:
    labels = dict(zip(left.paths, left.labels, strict=True))
    shared = [(labels[path], label) for path, label in zip(right.paths, right.labels, strict=True) if path in labels]
    if not shared:
        return []
    alike = sum(a == b for a, b in shared)
    said = (
        f"{one} and {other} share {len(shared):,} test photos (of {len(left.paths):,} and {len(right.paths):,}), of "
        f"which {alike:,} have the same label in both. Differences between the two splits are differences of their "
        "label maps there, not of their data."
    )
    only = [sorted(set(a.labels) - set(b.labels)) for a, b in ((left, right), (right, left))]
    maps = [f"only {split} has {', '.join(names)}" for split, names in zip((one, other), only, strict=True) if names]
    return [f"{said} Classes: {'; '.join(maps)}." if maps else said]


def leaks(paths: ProjectPaths, tables: dict[str, InputRows]) -> list[str]:
    """Say which parts of a split have the same images, by their content.

    Args:
        tables: the CSV of each part.
    """
    total = sum(len(table.paths) for table in tables.values())
    if total > MOST_FILES:
        found = [(a, b, len({*tables[a].paths} & {*tables[b].paths})) for a, b in combinations(tables, 2)]
        how = f"compared by path alone, since there are more than {MOST_FILES:,} images"
    else:
        contents = _contents([paths.root / path.replace("\\", "/") for t in tables.values() for path in t.paths])
        parts, start = {}, 0
        for part, table in tables.items():
            parts[part] = {each for each in contents[start : start + len(table.paths)] if each}
            start += len(table.paths)
        found = [(a, b, len(parts[a] & parts[b])) for a, b in combinations(parts, 2)]
        how = "compared by content"
    said = [f"{count:,} images are in {a} and in {b}" for a, b, count in found if count]
    return [f"{each} ({how})" for each in said] or [f"no image is in two parts ({how})"]


def _contents(files: Sequence[Path]) -> list[str]:
    """For each file what its content is known by; "" where it cannot be read. Only files of equal size are hashed."""
    sizes = [_size(file) for file in files]
    seen: dict[int, set[Path]] = defaultdict(set)
    for file, size in zip(files, sizes, strict=True):
        seen[size].add(file)
    known: dict[Path, str] = {}
    for size, alike in seen.items():
        known |= _hashed(alike) if len(alike) > 1 and size >= 0 else {file: str(file) for file in alike if size >= 0}
    return [known.get(file, "") for file in files]


def _hashed(files: Iterable[Path]) -> dict[Path, str]:
    found = {}
    for file in files:
        try:
            found[file] = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError:
            continue
    return found


def _size(file: Path) -> int:
    """In bytes; -1 where there is no such file."""
    try:
        return file.stat().st_size
    except OSError:
        return -1
