"""The checks and rows that need a GPU, from the source tree alone: PyTorch, torchvision and filelock are enough.

    bash benchmarks/gpu_check.sh [--quick] [--device auto|cpu|cuda] [--only NAME ...] [--out FILE]

Prints a table and writes it as JSON, anew after every check. Exit code 1: a row misses its target, or a check broke.
`--device cpu` tries the script itself; rows that need CUDA say that they were skipped.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import torchvision

from benchmarks.gpu_rows import compiled, learning, memory, runs, sameness, sharing, throughput
from benchmarks.gpu_rows.common import QUICK, Row, Setup, Sizes
from trainable.base.files import write_json
from trainable.cache.folder import ROOT_VARIABLE
from trainable.network.compute import device_name, pick_device
from trainable.run.allocator import keep_freed_memory

CHECKS: dict[str, Callable[[Setup], list[Row]]] = {
    "sameness": sameness.check,
    "learning": learning.check,
    "memory": memory.check,
    "throughput": throughput.training,
    "filling": throughput.filling,
    "runs": runs.check,
    "sharing": sharing.check,
    "compiled": compiled.check,
}
COMPILE_UNTIL_SECONDS = 300.0
RESULTS = {True: "pass", False: "FAIL", None: ""}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS))
    parser.add_argument("--out", type=Path, default=Path("build/gpu_check.json"))
    return parser.parse_args()


def about(device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device_name(device),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "cpus": len(os.sched_getaffinity(0)),
        "quick": options.quick,
    }


def rows_of(name: str, setup: Setup) -> list[Row]:
    """A check that breaks is a row that fails; the others are not concerned."""
    try:
        return CHECKS[name](setup)
    except Exception as error:
        traceback.print_exc()
        return [Row("runs", f"{type(error).__name__}: {error}".splitlines()[0][:80], target="runs", passed=False)]
    finally:
        gc.collect()
        if setup.cuda:
            torch.cuda.empty_cache()


def print_rows(check: str, rows: Sequence[Row], seconds: float) -> None:
    print(f"\n{check} ({seconds:.1f} s)")
    for row in rows:
        value = f"{row.value:.6g}" if isinstance(row.value, float) else str(row.value)
        target = f"target {row.target}" if row.target else ""
        print(
            f"  {row.name:<62} {value:>12} {row.unit:<9} {row.spread:<34} {target:<16} {RESULTS[row.passed]}".rstrip()
        )
    sys.stdout.flush()


def main() -> int:
    options = arguments()
    device = pick_device(options.device)
    began = time.monotonic()
    found: dict[str, Any] = {**about(device, options), "rows": []}
    print(", ".join(f"{key} {value}" for key, value in found.items() if key != "rows"))
    keep_freed_memory()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        os.environ[ROOT_VARIABLE] = str(Path(folder) / "cache")
        setup = Setup(device, QUICK if options.quick else Sizes(), Path(folder), began + COMPILE_UNTIL_SECONDS)
        for check in options.only:
            start = time.monotonic()
            rows = rows_of(check, setup)
            print_rows(check, rows, time.monotonic() - start)
            found["rows"] += [{"check": check, **asdict(row)} for row in rows]
            found["seconds"] = round(time.monotonic() - began, 1)
            write_json(options.out, found)
    failed = [f"{row['check']}: {row['name']}" for row in found["rows"] if row["passed"] is False]
    print(f"\n{len(failed)} of {len(found['rows'])} rows failed in {found['seconds']} s; written to {options.out}")
    print("".join(f"  {line}\n" for line in failed), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
