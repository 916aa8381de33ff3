"""Wall time of whole commands, this checkout against another one, alternately.

    python -m benchmarks.versions --before DIR --project-root DIR --weights FILE --out DIR [--epochs 6] [--repeat 3]

The five trainings at batch 128 and 1024, and finetune_K7 alone; each with an empty cache. A ratio above 1 says that
this checkout is slower.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import ROOT, TRAINED

CASES = {
    "five, batch 128": (",".join(TRAINED), 128),
    "five, batch 1024": (",".join(TRAINED), 1024),
    "finetune_K7 alone, batch 128": ("finetune_K7", 128),
}


def seconds(checkout: Path, folder: Path, options: argparse.Namespace, only: str, batch: int) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "orchestrator", "run-all", "--project-root", options.project_root.resolve()]
    command += ["--weights", options.weights.resolve(), "--epochs", options.epochs, "--batch", batch, "--only", only]
    command += ["--output-root", folder / "out"]
    environment = {"EMOSWEEP_CACHE": str(folder / "cache"), "PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin"}
    with (folder / "log").open("wb") as log:
        began = time.perf_counter()
        subprocess.run(
            [str(part) for part in command], cwd=checkout, env=environment, check=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("before", "project-root", "weights", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    out = options.out.resolve()
    for case in options.cases:
        only, batch = CASES[case]
        pairs = []
        for _ in range(options.repeat):
            before = seconds(options.before.resolve(), out / "before", options, only, batch)
            pairs.append((before, seconds(ROOT, out / "now", options, only, batch)))
            print(f"{case}: {pairs[-1][0]:.1f} s before, {pairs[-1][1]:.1f} s now", flush=True)
        print(f"{case}: median ratio {statistics.median(now / before for before, now in pairs):.3f}", flush=True)


if __name__ == "__main__":
    main()
