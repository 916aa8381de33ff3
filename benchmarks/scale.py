"""What a project of 100,000 photos costs before anything trains: time of `plan`, memory a row, speed of hashing.

    python -m benchmarks.scale --out DIR [--photos N] [--rows NAME ...]

The project is laid out as the published data are: one set of photos under the three label maps M1, M2 and K7, seven
classes, 70/10/20, names of a person's hash, Korean words and a time. Each photo is one drawn crop with its number after
the end of the JPEG, so that all contents differ. All seven experiments are noted as finished, so `plan` compares the
contents of all photos. Rows: cold, warm, driver, trial, hashing, table.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import gc
import hashlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.harness import ROOT, Row, machine, write

KOREAN = ("기쁨", "당황", "분노", "불안", "상처", "슬픔", "중립")
M1 = {"기쁨": "happy", "당황": "surprised", "분노": "angry", "불안": "fearful", "슬픔": "sad", "중립": "neutral"}
M2 = {**{korean: english for korean, english in M1.items() if korean != "당황"}, "상처": "disgusted"}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
BOX = ("minX", "minY", "maxX", "maxY")
FEW = 1000
"""Photos of the small project against which memory is compared."""


# -- the project


def write_project(root: Path, photos: int) -> Path:
    """A project of so many photos, which is kept for the next call."""
    done = root / f".{photos}"
    if not done.exists():
        rows = list(_photos(root, photos))
        for split, names, column in (("M1", M1, "label_en"), ("M2", M2, "label_en"), ("K7", None, "orig_kor")):
            _write_split(root, split, rows, names, column)
        done.touch()
    return root


def _photos(root: Path, photos: int) -> Iterator[tuple[str, str]]:
    """Write the photos; their paths and Korean labels."""
    draw = random.Random(1337)
    crop = _crop()
    for number in range(photos):
        label = KOREAN[number % len(KOREAN)]
        person = hashlib.sha256(str(draw.randrange(photos // 4 + 1)).encode()).hexdigest()
        name = f"{person}_{draw.choice('남여')}_{draw.randrange(1, 7)}0_{label}_공공시설&종교&의료시설_{number:014}.jpg"
        path = root / "data_shared/cropped_faces_160" / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(crop + number.to_bytes(8, "big"))
        yield path.relative_to(root).as_posix(), label


def _crop() -> bytes:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((160, 160), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def _write_split(
    root: Path, split: str, photos: list[tuple[str, str]], names: dict[str, str] | None, column: str
) -> None:
    rows = [(path, names[label] if names else label) for path, label in photos if not names or label in names]
    random.Random(7).shuffle(rows)
    at = 0
    for part, share in SHARES.items():
        some = rows[at : at + round(share * len(rows))]
        at += len(some)
        _write_csv(root / f"data_shared/cropped_faces_csv/{part}_{split}.csv", ("path", column), some)
        if part == "test" and names:
            boxed = [(*row, 4, 4, 150, 150) for row in some]
            _write_csv(root / f"data_shared/splits_csv/test_{split}.csv", ("path", column, *BOX), boxed)


def _write_csv(path: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def finish(root: Path, cache: Path) -> None:
    """Note all seven experiments as finished on what is there now, so that `plan` has something to compare."""
    from orchestrator.planning.selection import select
    from trainable.base.files import write_json

    with _cache_at(cache):
        planner = _planner(root)
        for step in map(planner.identify, planner.plan(select([]))):
            manifest = planner.paths.manifest(step.experiment)
            manifest.parent.mkdir(parents=True, exist_ok=True)
            write_json(manifest, {"identity": step.identity, "finished": "2026-01-01T00:00:00+00:00"})
            for path in planner.paths.results(step.experiment):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.exists() or path.touch()


def _planner(root: Path) -> Any:
    from orchestrator.planning.inputs import check_inputs
    from orchestrator.planning.paths import ProjectPaths
    from orchestrator.planning.planner import Planner
    from orchestrator.planning.selection import select
    from orchestrator.planning.settings import Overrides, Settings

    paths, settings = ProjectPaths(root, root), Settings(Overrides(weights="none"))
    return Planner(check_inputs(select([]), settings, paths), settings, paths)


@contextmanager
def _cache_at(folder: Path) -> Iterator[None]:
    before = os.environ.get("EMOSWEEP_CACHE")
    os.environ["EMOSWEEP_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("EMOSWEEP_CACHE")
        if before is not None:
            os.environ["EMOSWEEP_CACHE"] = before


# -- what is measured


@dataclass(frozen=True)
class Scale:
    """A project of many photos and one of few, and a folder for caches."""

    large: Path
    small: Path
    out: Path
    repeat: int

    def fresh_cache(self) -> Path:
        folder = self.out / "cache"
        shutil.rmtree(folder, ignore_errors=True)
        return folder


def plan_cold(scale: Scale) -> Row:
    return _plan_row("plan, no digest known", scale, None, scale.fresh_cache)


def plan_warm(scale: Scale) -> Row:
    cache = scale.fresh_cache()
    _plan(scale.large, cache)
    return _plan_row("plan, all digests known", scale, 2.0, lambda: cache)


def _plan_row(name: str, scale: Scale, target: float | None, cache: Callable[[], Path]) -> Row:
    pairs = [_plan(scale.large, cache()) for _ in range(scale.repeat)]
    details = {"cpu_s": [cpu for _, cpu in pairs]}
    return Row(name, "s", [wall for wall, _ in pairs], target, at_least=False, details=details)


def _plan(root: Path, cache: Path) -> tuple[float, float]:
    """Wall and CPU seconds of the whole command."""
    command = [sys.executable, "-m", "orchestrator", "plan", "--project-root", root, "--weights", "none"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "EMOSWEEP_CACHE": str(cache), "PYTHONUTF8": "1"},
    )  # fmt: skip
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "nothing to run: all done" in done.stdout, done.stdout
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def driver(scale: Scale) -> Row:
    return _memory_row("driver: memory a row, at the peak of a plan", "driver_memory", scale)


def trial(scale: Scale) -> Row:
    """A first process fills the stores, with rows of eight bytes; a second one takes the batches of all stages."""
    for root in (scale.small, scale.large):
        _measured("fill_stores", root, scale.out / f"trial {root.name}")
    return _memory_row("trial: memory a row, all stages of finetune_K7", "trial_memory", scale)


def _memory_row(name: str, function: str, scale: Scale) -> Row:
    caches = {root: scale.out / f"trial {root.name}" for root in (scale.small, scale.large)}
    samples = []
    for _ in range(scale.repeat):
        few, many = (_measured(function, root, cache) for root, cache in caches.items())
        samples.append((many["bytes"] - few["bytes"]) / (many["rows"] - few["rows"]))
    return Row(name, "B", samples, 1000, at_least=False, details={"large": many, "small": few})


def _measured(function: str, root: Path, cache: Path) -> dict[str, float]:
    """What a function of this module prints in a process of its own."""
    code = f"from pathlib import Path; import benchmarks.scale as scale; scale.{function}(Path({str(root)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "EMOSWEEP_CACHE": str(cache), "PYTHONUTF8": "1"},
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def driver_memory(root: Path) -> None:
    from orchestrator.planning.selection import select

    planner = _planner(root)
    planner.plan(select([]))
    tables = [table for split in planner.inputs.training.values() for table in split.values()]
    rows = sum(map(len, (*tables, *planner.inputs.faceapi.values())))
    print(json.dumps({"rows": rows, "bytes": _status("VmHWM")}))


def _store(stage: int) -> Any:
    """The store of images (3), or of the features of stage 1 or 2, with rows of eight bytes."""
    import torch

    from trainable.cache.folder import cache_root
    from trainable.cache.rows import RowStore

    return RowStore(cache_root(), cache_root() / f"features/{stage}", (8,), torch.uint8)


def _keys(digests: list[str], stage: int, part: str) -> list[str]:
    """As images and their flips are kept."""
    if stage == 3:
        return digests
    return [digest + flip for digest in digests for flip in ("01" if part == "train" else "0")]


def fill_stores(root: Path) -> None:
    import torch

    for part, table in _tables(root).items():
        for stage in (1, 2, 3):
            keys = _keys(table.digests(), stage, part)
            _store(stage).fill(keys, lambda some: (torch.zeros(len(some), 8, dtype=torch.uint8), [False] * len(some)))
    print("{}")


def trial_memory(root: Path) -> None:
    """As `trainable.feed.factory` does it: the image store stays, batches stay as long as their stage.

    Counted is what is held then; lists of keys, which come and go, take some 300 bytes a row for a moment.
    """
    import pyarrow  # noqa: F401 (what opens the cache, which is no data)
    import torch

    from trainable.feed.batches import StoredBatches

    cpu = torch.device("cpu")
    before, most = _status("RssAnon"), 0
    images, tables = _store(3), _tables(root)
    for stage in (1, 2, 3):
        kept = []
        for part, table in tables.items():
            digests, flips = table.digests(), stage < 3 and part == "train"
            rows = images.rows(digests)
            if stage < 3:
                rows = _store(stage).rows(_keys(digests, stage, part))
            kept.append(StoredBatches(rows, list(table.codes), set(), 1024, seed=1, device=cpu, both_flips=flips))
            for x, _ in kept[-1].epoch():
                x.sum()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what is free is not a row's
        most = max(most, _status("RssAnon"))
    print(json.dumps({"rows": sum(map(len, tables.values())), "bytes": most - before}))


def _tables(root: Path) -> dict[str, Any]:
    from trainable.cache.folder import HASHES, cache_root
    from trainable.cache.hashes import ImageHashes
    from trainable.data.checks import check_tables

    csvs = {part: root / f"data_shared/cropped_faces_csv/{part}_K7.csv" for part in SHARES}
    tables, problems = check_tables(csvs, root)
    assert not problems
    ImageHashes(cache_root() / HASHES).fill(tables.values())
    return tables


def _status(name: str) -> int:
    """Bytes, from Linux's account of this process; getrusage's peak would be the parent's, if that was higher."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def hashing(scale: Scale) -> list[Row]:
    """Turns of reading all files in two threads, of hashing them, and of hashing and remembering them."""
    from trainable.cache.hashes import ImageHashes

    tables = _fresh_tables(scale.large)
    files = list(tables["train"].images)
    _read(files)
    alone, remembered, seconds = [], [], []
    for _ in range(scale.repeat):
        read = _seconds(partial(_read, files))
        table = _fresh_tables(scale.large)["train"]
        hash_only = _seconds(partial(ImageHashes().fill, [table]))
        table = _fresh_tables(scale.large)["train"]
        cache = scale.fresh_cache() / "hashes.sqlite"
        both = _seconds(partial(ImageHashes(cache).fill, [table]))
        alone.append(read / hash_only)
        remembered.append(read / both)
        seconds.append([read, hash_only, both])
    details = {"files": len(files), "s": seconds}
    return [
        Row("reading in two threads / hashing", "x", alone, 0.8, details=details),
        Row("reading in two threads / hashing and remembering", "x", remembered, details=details),
    ]


def _fresh_tables(root: Path) -> dict[str, Any]:
    from trainable.data.tables import load_table

    return {"train": load_table(root / "data_shared/cropped_faces_csv/train_K7.csv", root)}


def _read(files: list[Path]) -> None:
    def read(start: int) -> int:
        return sum(len(file.read_bytes()) for file in files[start : start + 64])

    with ThreadPoolExecutor(2) as pool:
        sum(pool.map(read, range(0, len(files), 64)))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def table_bytes(scale: Scale) -> Row:
    """A hashed table on its way to a worker."""
    from trainable.cache.hashes import ImageHashes

    table = _fresh_tables(scale.large)["train"]
    ImageHashes().fill([table])
    each = len(pickle.dumps(table)) / len(table)
    path = sum(len(path.encode()) for path in table.paths) / len(table)
    return Row("a row of a table that travels", "B", [each], 1000, at_least=False, details={"its path": path})


ROWS: dict[str, Callable[[Scale], Row | list[Row]]] = {
    "cold": plan_cold,
    "warm": plan_warm,
    "driver": driver,
    "trial": trial,
    "hashing": hashing,
    "table": table_bytes,
}


def main() -> None:
    from benchmarks.__main__ import table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    out = options.out.resolve()
    projects = [write_project(out / name, count) for name, count in (("large", options.photos), ("small", FEW))]
    for root in projects:
        finish(root, out / f"trial {root.name}")
    scale, rows = Scale(*projects, out, options.repeat), []
    for name in options.rows:
        found = ROWS[name](scale)
        rows += found if isinstance(found, list) else [found]
        write(out / "scale.json", rows, machine())
        Console().print(table(rows))


if __name__ == "__main__":
    main()
