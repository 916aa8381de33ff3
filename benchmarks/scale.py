"""What a project of 100,000 photos costs before anything trains: time of `plan`, memory a row, speed of hashing.

    python -m benchmarks.scale --out DIR [--photos N] [--rows NAME ...]

The project is laid out as the published data are: one set of photos under the three label maps M1, M2 and K7, seven
classes, 70/10/20, names of a person's hash, Korean words and a time. Each photo is one drawn crop with its number after
the end of the JPEG, so that all contents differ. All seven experiments are noted as finished, so `plan` compares the
contents of all photos. Rows: cold, warm, driver, trial, hashing, table.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KOREAN = ("기쁨", "당황", "분노", "불안", "상처", "슬픔", "중립")
M1 = {"기쁨": "happy", "당황": "surprised", "분노": "angry", "불안": "fearful", "슬픔": "sad", "중립": "neutral"}
M2 = {**{korean: english for korean, english in M1.items() if korean != "당황"}, "상처": "disgusted"}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
BOX = ("minX", "minY", "maxX", "maxY")
FEW = 1000
"""Photos of the small project against which memory is compared."""
READ_BYTES = 1 << 18


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
