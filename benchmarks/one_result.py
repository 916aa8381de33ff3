"""One hash per experiment: the five trainings under everything that must not change them.

    python -m benchmarks.one_result --project-root DIR --weights FILE --out DIR [--epochs 6] [--batch 128]

On one CPU and on two, alone, together, killed and continued; the two of M2 beside their sweeps; finetune_M1 on the
plain path. Each has an empty cache of its own. Prints a line a condition; exit code 1 where two hashes of an experiment
differ.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.harness import ROOT, TRAINED

KILLS, BETWEEN = 3, (20.0, 60.0)
TEXTS = ("classes.json", "val_metrics_best.json", "test_metrics.json", "test_preds.csv")


def digest(run: Path) -> str:
    """Of everything that a run has found: the epochs without their times, weights, metrics, predictions."""
    found = hashlib.sha256()
    with (run / "history.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found.update(repr(sorted((k, v) for k, v in row.items() if k != "seconds")).encode())
    for name, tensor in torch.load(run / "best.pt", map_location="cpu", weights_only=True)["state_dict"].items():
        found.update(name.encode() + tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    for name in TEXTS:
        found.update((run / name).read_bytes())
    return found.hexdigest()[:12]


class Conditions:
    """Runs commands, each in a folder of its own."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.out = options, options.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.found: dict[str, set[str]] = {name: set() for name in TRAINED}

    def command(self, name: str, *more: object) -> tuple[list[str], Mapping[str, str]]:
        given = self.options
        command = [sys.executable, "-m", "orchestrator", "run-all", "--project-root", given.project_root.resolve()]
        command += ["--weights", given.weights.resolve(), "--epochs", given.epochs, "--batch", given.batch]
        command += ["--output-root", self.out / name / "out", *more]
        return [str(part) for part in command], {**os.environ, "EMOSWEEP_CACHE": str(self.out / name / "cache")}

    def run(self, name: str, *more: object, kills: int = 0) -> None:
        """Run the experiments to their end, after up to `kills` kills: they may have ended before."""
        killed = 0
        (self.out / name).mkdir()
        command, environment = self.command(name, *more)
        began = time.perf_counter()
        with (self.out / name / "log").open("wb") as log:
            for _ in range(kills):
                child = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
                try:
                    child.wait(random.uniform(*BETWEEN))
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                    killed += 1
            subprocess.run(
                command, cwd=ROOT, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.note(name, time.perf_counter() - began, f", {killed} times" if kills else "")

    def note(self, name: str, seconds: float, remark: str) -> None:
        hashes = {}
        for experiment in TRAINED:
            run = self.out / name / "out/models/mobilenetv3_classifier/runs" / f"{experiment}_160"
            if (run / "manifest.json").exists():
                hashes[experiment] = digest(run)
                self.found[experiment].add(hashes[experiment])
        print(f"{name + remark:22} {seconds:6.0f} s  " + " ".join(f"{k} {v}" for k, v in hashes.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=128)
    conditions = Conditions(parser.parse_args())
    five = ("--only", ",".join(TRAINED))
    conditions.run("together, 2 CPUs", *five, "--num-cpus", 2)
    conditions.run("together, 1 CPU", *five, "--num-cpus", 1)
    for name in TRAINED:
        conditions.run(f"{name} alone", "--only", name, "--num-cpus", 2)
    conditions.run("killed", *five, "--num-cpus", 2, kills=KILLS)
    some = ("--only", "probe_M2,finetune_M2", "--num-cpus", 2)
    conditions.run("beside a sweep", *some, "--sweep", "lr-grid", "--confirm", 0)
    conditions.run("plain", "--only", "finetune_M1", "--num-cpus", 2, "--plain")
    for name, found in conditions.found.items():
        print(f"{name}: {'one hash' if len(found) == 1 else f'{len(found)} hashes'}")
    sys.exit(any(len(found) != 1 for found in conditions.found.values()))


if __name__ == "__main__":
    main()
