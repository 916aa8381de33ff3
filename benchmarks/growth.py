"""How wall time grows with the number of images: one finetune on 1,000 and on 10,000 drawn faces."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from benchmarks.harness import Bench, Row, ours

SIZES = {1_000: (798, 102, 100), 10_000: (7_998, 1_002, 1_000)}
"""Images in train, val and test."""
OPTIONS = ("--only", "finetune_M1", "--epochs", 5, "--batch", 128)


def drawn(bench: Bench) -> Path:
    """The project with 10,000 drawn faces in M1; drawing them takes a quarter of an hour, once."""
    from orchestrator.demo.dataset import DemoSize, SplitSize, write_demo

    root, few = bench.out / "demo10k", SplitSize(14, 7, 7)
    write_demo(root, 1337, DemoSize(SplitSize(7998, 1002, 1002), few, few), os.cpu_count() or 1)
    return root


def part_of(project: Path, folder: Path, sizes: tuple[int, int, int]) -> Path:
    """A project with the first rows of M1's CSVs and the same images."""
    root = folder / "project"
    tables = root / "data_shared" / "cropped_faces_csv"
    tables.mkdir(parents=True)
    for part, size in zip(("train", "val", "test"), sizes, strict=True):
        source = project / f"data_shared/cropped_faces_csv/{part}_M1.csv"
        with source.open(encoding="utf-8", newline="") as stream:
            lines = [line for _, line in zip(range(size + 1), csv.reader(stream), strict=False)]
        with (tables / source.name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(lines)
    (root / "data_shared" / "cropped_faces_160").symlink_to(project / "data_shared/cropped_faces_160")
    return root


def growth(bench: Bench, project: Path) -> Row:
    """Wall seconds at 10,000 images / ten times those at 1,000."""
    samples, details = [], []
    for _ in range(bench.repeat):
        seconds = {}
        for images, sizes in SIZES.items():
            folder = bench.fresh(f"growth_{images}")
            seconds[images] = ours(bench, folder, *OPTIONS, project=part_of(project, folder, sizes))
        small, large = seconds.values()
        samples.append(large / (10 * small))
        details.append(seconds)
    row = "finetune_M1, 5 epochs: 10,000 images / ten times 1,000"
    return Row(row, "x", samples, 1.0, at_least=False, details={"wall": details})
