"""Small projects on disk: real files, laid out as in the runbook."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from trainable.data.tables import Row

ENGLISH = ("angry", "happy", "sad")
KOREAN = ("기쁨", "분노", "슬픔")
PARTS = {"train": 18, "val": 6, "test": 9}
BOX = ("minX", "minY", "maxX", "maxY")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def draw(path: Path, label: int, seed: int, size: int = 160) -> None:
    """An image whose colour tells its class, with noise: learnable in a few steps."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 90, (size, size, 3), np.uint8)
    pixels[..., label % 3] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=90)


def make_split(root: Path, split: str, labels: Sequence[str], column: str) -> None:
    seed = sum(map(ord, split)) * 1000
    for part, count in PARTS.items():
        rows = []
        for i in range(count):
            seed += 1
            path = f"data_shared/cropped_faces_160/{split}/{part}_{i:02}.jpg"
            draw(root / path, i % len(labels), seed)
            rows.append((path, labels[i % len(labels)]))
        write_csv(root / f"data_shared/cropped_faces_csv/{part}_{split}.csv", ("path", column), rows)


def make_photos(root: Path, split: str) -> None:
    rows = []
    for i in range(3):
        path = f"data_raw/photos/{split}/{i}.jpg"
        draw(root / path, i, i, size=120)
        rows.append((path, ENGLISH[i], 10, 10, 100, 100))
    write_csv(root / f"data_shared/splits_csv/test_{split}.csv", ("path", "label_en", *BOX), rows)


@dataclass
class Listed:
    """Rows in the place of an `ImageTable`, of which FaceAPI's evaluators look at rows and labels alone.

    A real table holds only images that were found in its project, and some tests need photos from elsewhere, or none.
    """

    rows: Sequence[Row]
    csv: Path = Path("split.csv")
    label_column: str = "label"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.label for row in self.rows))

    @property
    def lines(self) -> list[int]:
        return [row.line for row in self.rows]

    @property
    def codes(self) -> list[int]:
        return [self.classes.index(row.label) for row in self.rows]


def make_project(root: Path) -> Path:
    """M1 and M2 in English, K7 in Korean, three classes each; photos without faces for FaceAPI."""
    for split in ("M1", "M2"):
        make_split(root, split, ENGLISH, "label_en")
        make_photos(root, split)
    make_split(root, "K7", KOREAN, "orig_kor")
    return root
