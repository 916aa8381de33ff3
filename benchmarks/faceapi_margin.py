"""How much margin around a face does the FaceAPI baseline want?

    python benchmarks/faceapi_margin.py --project-root DIR [--split M2] [--margins 0 0.25 0.5]

Evaluates a split as it is and with grey borders of some part of each photo's width around it, and prints coverage
(detected, IoU at least 0.30) and Top-1 over the matched rows.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from PIL import Image, ImageOps

from faceapi.contract.results import RESULT_COLUMNS
from faceapi.contract.settings import FaceApiSettings
from faceapi.node.process import evaluate_rows
from faceapi.setup import prepare
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.faceapi_counts import is_matched
from trainable.data.tables import Row, load_table

GREY = (120, 120, 120)


def bordered(row: Row, margin: float, folder: Path) -> Row:
    """The row with a border around its photo and its box moved along."""
    with Image.open(row.file) as photo:
        width = round(margin * photo.width)
        name = f"{row.line}.png"
        ImageOps.expand(photo.convert("RGB"), width, GREY).save(folder / name)
    left, top, right, bottom = row.box or (0, 0, 0, 0)
    return replace(row, path=name, box=(left + width, top + width, right + width, bottom + width))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path, required=True)
    parser.add_argument("--split", default="M2")
    parser.add_argument("--margins", type=float, nargs="+", default=[0, 0.25, 0.5])
    options = parser.parse_args()
    paths = ProjectPaths(options.project_root, options.project_root)
    evaluator = prepare(FaceApiSettings(engine="node"), paths.faceapi_baseline)
    table = load_table(paths.faceapi_csv(options.split), paths.root, boxes=True)
    print("| border / width | rows | matched | coverage | Top-1 (matched) |\n|---:|---:|---:|---:|---:|")
    for margin in options.margins:
        with tempfile.TemporaryDirectory() as name:
            rows = [bordered(row, margin, Path(name)) for row in table.rows]
            found = evaluate_rows(rows, Path(name), FaceApiSettings(), evaluator).rows.splitlines()
        results = pd.DataFrame([line.split(",") for line in found], columns=list(RESULT_COLUMNS))
        matched = results[is_matched(results)]
        right = matched["correct"].astype(int).sum()
        shares = f"{100 * len(matched) / len(rows):.2f}% | {100 * right / max(1, len(matched)):.2f}%"
        print(f"| {margin:g} | {len(rows)} | {len(matched)} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
