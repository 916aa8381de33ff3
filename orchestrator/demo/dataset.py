"""The demo project: photos, crops and CSV files of drawn faces, in the layout of a real project.

    <root>/data_raw/photos/<split>/<index>.jpg
    <root>/data_shared/cropped_faces_160/<split>/<index>.jpg
    <root>/data_shared/cropped_faces_csv/{train,val,test}_{M1,M2,K7}.csv
    <root>/data_shared/splits_csv/test_{M1,M2}.csv

Boxes are in pixels of the photo, in every CSV, and every path in a CSV is relative to <root>. A split is named like
its CSV, for example `train_M1`.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from orchestrator.demo.expressions import KOREAN, LABELS
from orchestrator.demo.photo import STREET, STUDIO, Box, Domain, photo_generator, take_photo
from trainable.base.limits import usable_cpus
from trainable.data.tables import BOX_COLUMNS

FORMAT = 2
"""Raised when the same seed and size no longer give the same files."""

MARKER = "demo.json"
FOLDERS = ("data_raw", "data_shared")
PHOTOS = "data_raw/photos"
CROPS = "data_shared/cropped_faces_160"
CROP_CSV = "data_shared/cropped_faces_csv"
PHOTO_CSV = "data_shared/splits_csv"


@dataclass(frozen=True)
class Collection:
    """One data set of the project: its classes in the order they are dealt, and the origin of its photos."""

    name: str
    labels: tuple[str, ...]  # English
    domains: tuple[Domain, ...]
    korean: bool = False  # label column `orig_kor` in Korean instead of `label_en`
    photo_csv: bool = True  # the test split is also listed by photo

    def draw_of(self, index: int) -> tuple[str, Domain]:
        """Label and domain of photo `index`: all classes take turns, and within a class the domains do."""
        turn, place = divmod(index, len(self.labels))
        return self.labels[place], self.domains[turn % len(self.domains)]


COLLECTIONS = (
    Collection("M1", tuple(label for label in LABELS if label != "disgusted"), (STUDIO,)),
    Collection("M2", tuple(label for label in LABELS if label != "surprised"), (STREET,)),
    Collection("K7", LABELS, (STUDIO, STREET), korean=True, photo_csv=False),
)


@dataclass(frozen=True)
class SplitSize:
    """Number of photos in the three splits of one collection."""

    train: int
    val: int
    test: int


@dataclass(frozen=True)
class DemoSize:
    """Number of photos of every collection. Multiples of 6 (M1, M2) and 7 (K7) keep the classes balanced."""

    M1: SplitSize = SplitSize(240, 60, 60)
    M2: SplitSize = SplitSize(240, 60, 60)
    K7: SplitSize = SplitSize(280, 70, 70)


@dataclass(frozen=True)
class DemoSummary:
    """What `write_demo` left behind."""

    root: Path
    seed: int
    rows: dict[str, int]  # number of rows by split name
    created: bool  # False: the same data was already there


@dataclass(frozen=True)
class _Job:
    """One photo to draw into the project below `root`; small, because it travels to another process."""

    root: Path
    seed: int
    collection: int
    split: str
    index: int


@dataclass(frozen=True)
class _Row:
    split: str
    name: str  # file name in the folders of photos and crops
    label: str
    box: Box  # in pixels of the photo


def _draw(job: _Job) -> _Row:
    """Write one photo and its crop."""
    label, domain = COLLECTIONS[job.collection].draw_of(job.index)
    photo = take_photo(label, domain, photo_generator(job.seed, job.split, job.index))
    name = f"{job.split}/{job.index:05}.jpg"
    (job.root / PHOTOS / name).write_bytes(photo.jpeg)
    (job.root / CROPS / name).write_bytes(photo.crop_jpeg)
    return _Row(job.split, name, label, photo.box)


def _draw_all(jobs: list[_Job], workers: int) -> Iterator[_Row]:
    """Draw the photos with `workers` processes (1: in this one); the rows come in the order of the jobs."""
    if workers == 1:
        yield from map(_draw, jobs)
        return
    # Not fork: the caller may have threads (Torch, Ray), whose locks a forked child would keep for ever.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_draw, jobs, chunksize=16)


def _write_csv(path: Path, label_column: str, rows: list[tuple[str, str, Box]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", label_column, *BOX_COLUMNS))
        writer.writerows((name, label, *(f"{value:.1f}" for value in box)) for name, label, box in rows)


def _write_tables(root: Path, collection: Collection, split: str, rows: list[_Row]) -> None:
    column = "orig_kor" if collection.korean else "label_en"
    shown = {label: KOREAN[label] if collection.korean else label for label in collection.labels}
    crops = [(f"{CROPS}/{row.name}", shown[row.label], row.box) for row in rows]
    _write_csv(root / CROP_CSV / f"{split}.csv", column, crops)
    if collection.photo_csv and split.startswith("test_"):
        photos = [(f"{PHOTOS}/{row.name}", shown[row.label], row.box) for row in rows]
        _write_csv(root / PHOTO_CSV / f"{split}.csv", column, photos)


def _write_project(root: Path, seed: int, size: DemoSize, workers: int) -> None:
    """Write the whole project into the folder `root`, which does not exist yet."""
    counts = asdict(size)
    jobs = [
        _Job(root, seed, place, f"{split}_{collection.name}", index)
        for place, collection in enumerate(COLLECTIONS)
        for split, count in counts[collection.name].items()
        for index in range(count)
    ]
    splits = {f"{split}_{c.name}": c for c in COLLECTIONS for split in counts[c.name]}
    for split in splits:
        (root / PHOTOS / split).mkdir(parents=True)
        (root / CROPS / split).mkdir(parents=True)
    rows: dict[str, list[_Row]] = {split: [] for split in splits}
    for row in _draw_all(jobs, workers):
        rows[row.split].append(row)
    for split, collection in splits.items():
        _write_tables(root, collection, split, rows[split])
    for folder in FOLDERS:
        (root / folder / MARKER).write_text(_marker(seed, size), encoding="utf-8")


def _marker(seed: int, size: DemoSize) -> str:
    """What both folders say about how they were made."""
    return json.dumps({"demo": FORMAT, "seed": seed, "size": asdict(size)}, indent=2) + "\n"


def _marker_of(folder: Path) -> str | None:
    try:
        return (folder / MARKER).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: not UTF-8, so not ours
        return None


def _refuse_foreign(root: Path) -> None:
    """Stop before a folder is replaced that this module did not write."""
    for folder in (root / name for name in FOLDERS):
        if folder.exists() and _marker_of(folder) is None:
            raise FileExistsError(f"{folder} exists and is not demo data; choose another folder for the demo")


def _put_in_place(project: Path, root: Path, trash: Path) -> None:
    """Move the finished project to `root`, or its two folders into `root` and older demo data into `trash`.

    Each folder moves as a whole and carries its marker, so that a stop between two moves is noticed later.
    """
    if not root.exists():
        project.rename(root)
        return
    trash.mkdir()
    for name in FOLDERS:
        if (root / name).exists():
            (root / name).rename(trash / name)
        (project / name).rename(root / name)


def write_demo(
    root: Path,
    seed: int = 1337,
    size: DemoSize | None = None,
    workers: int | None = None,
) -> DemoSummary:
    """Write the demo project to `root`, unless the same one is there; other files in `root` stay.

    The files depend on `seed` and `size` alone, not on the number of `workers` (default: one a CPU).
    """
    size = size or DemoSize()
    marker = _marker(seed, size)
    counts = asdict(size).items()
    rows = {f"{split}_{name}": count for name, splits in counts for split, count in splits.items()}
    if all(_marker_of(root / name) == marker for name in FOLDERS):
        return DemoSummary(root, seed, rows, created=False)
    _refuse_foreign(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        _write_project(workspace / "project", seed, size, workers or usable_cpus())
        _put_in_place(workspace / "project", root, workspace / "trash")
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    return DemoSummary(root, seed, rows, created=True)
