"""What a photo costs FaceAPI that lies on its side, or on its head, and is not turned before.

    python benchmarks/faceapi_upright.py --project-root DIR [--split M1] [--input-size 416]

Stores each photo of a split's test rows turned, with the EXIF orientation that turns it back, and evaluates it with its
box in stored pixels (the photo as it lies) and with that in upright pixels. Prints coverage (detected, IoU at least
0.30) and Top-1 over all rows.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from PIL import Image

from faceapi.contract.labels import LabelledRow, labelled
from faceapi.contract.results import RESULT_COLUMNS
from faceapi.contract.settings import FaceApiSettings
from faceapi.python.engine import evaluate_rows
from faceapi.python.networks import load_networks
from faceapi.setup import prepare
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.faceapi_counts import is_matched
from trainable.data.tables import Box, load_table

TURNS = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""By EXIF orientation: how the upright photo is turned to the stored one."""


def turned_box(box: Box, value: int, width: float, height: float) -> Box:
    """A box of the upright photo, which has these sides, in stored pixels."""
    left, top, right, bottom = box
    if value == 3:
        return width - right, height - bottom, width - left, height - top
    if value == 6:
        return top, width - right, bottom, width - left
    if value == 8:
        return height - bottom, left, height - top, right
    return box


def stored(row: LabelledRow, value: int, folder: Path) -> tuple[LabelledRow, LabelledRow]:
    """The row with its box in stored pixels, and in those of the upright photo."""
    file, exif, turn = folder / f"{row.path.replace('/', '-')}.png", Image.Exif(), TURNS[value]
    exif[0x0112] = value
    with Image.open(row.file) as photo:
        upright = photo.convert("RGB")
    (upright if turn is None else upright.transpose(turn)).save(file, exif=exif, compress_level=1)
    there = replace(row, file=file)
    return replace(there, box=turned_box(row.box, value, *upright.size)), replace(there, upright=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path, required=True)
    parser.add_argument("--split", default="M1")
    parser.add_argument("--input-size", type=int, default=416)
    options = parser.parse_args()
    settings = FaceApiSettings(input_size=options.input_size)
    paths = ProjectPaths(options.project_root, options.project_root)
    table = load_table(paths.faceapi_csv(options.split), paths.root, boxes=True)
    print("| EXIF orientation | frame | rows | coverage | Top-1 (all rows) |\n|---:|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        networks = load_networks(prepare(settings, paths.faceapi_baseline).models, settings.input_size, Path(name))
        for value in TURNS:
            rows = [stored(row, value, Path(name)) for row in labelled(table, settings)]
            for frame, chosen in zip(("stored", "upright"), zip(*rows, strict=True), strict=True):
                lines = evaluate_rows(chosen, settings.score_threshold, networks).rows.splitlines()
                found = pd.DataFrame(list(csv.reader(lines)), columns=list(RESULT_COLUMNS))
                matched = is_matched(found)
                right = found["correct"].astype(int)[matched].sum() / len(found)
                print(f"| {value} | {frame} | {len(found)} | {matched.mean():.1%} | {right:.1%} |", flush=True)


if __name__ == "__main__":
    main()
