"""Do our results differ from those of the runbook's commands? Both over several seeds, compared in pairs.

    python benchmarks/paired_seeds.py --project-root DIR --weights FILE --out DIR [--batch 128] [--only NAME ...]

Runs `run-all` and `runbook_baseline.py` (the runbook's commands done literally, one process after another) with each
seed, five for M1 and M2 and three for K7 by default. What is in `--out` already is not run again. Prints, for test
macro-F1 and accuracy of each experiment, both means, the mean difference and its 95 % t-interval.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import stats

EXPERIMENTS = ("probe_M1", "finetune_M1", "probe_M2", "finetune_M2", "finetune_K7")
METRICS = {"macro-F1": ("macro_f1", "test_macro_f1"), "accuracy": ("accuracy", "test_acc")}
PEER = Path(__file__).with_name("runbook_baseline.py")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    parser.add_argument("--seed", type=int, default=1337, help="the first")
    parser.add_argument("--seeds", type=int, default=5, help="how many for M1 and M2")
    parser.add_argument("--k7-seeds", type=int, default=3, help="how many for K7")
    return parser.parse_args()


def experiments_of(options: argparse.Namespace, seed: int) -> list[str]:
    with_k7 = seed < options.seed + options.k7_seeds
    return [name for name in options.only if with_k7 or not name.endswith("K7")]


def run_ours(options: argparse.Namespace, seed: int) -> None:
    """`run-all` itself skips what is done."""
    command = [sys.executable, "-m", "orchestrator", "run-all", "--project-root", options.project_root]
    command += ["--weights", options.weights, "--batch", options.batch, "--seed", seed]
    command += ["--only", ",".join(experiments_of(options, seed)), "--output-root", options.out / "ours" / str(seed)]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def run_peer(options: argparse.Namespace, seed: int, name: str) -> None:
    results = options.out / "peer" / str(seed) / f"{name}.json"
    if results.exists():
        return
    results.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, PEER, "--project-root", options.project_root, "--weights", options.weights]
    command += ["--batch", options.batch, "--seed", seed, "--only", f"{name}_160", "--out", results.with_suffix("")]
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    results.write_text(done.stdout.splitlines()[0] + "\n")


def compare(options: argparse.Namespace, name: str) -> None:
    seeds = [s for s in range(options.seed, options.seed + options.seeds) if name in experiments_of(options, s)]
    for label, (our_key, peer_key) in METRICS.items():
        folder = f"models/mobilenetv3_classifier/runs/{name}_160"
        ours = [json.loads((options.out / f"ours/{s}/{folder}/test_metrics.json").read_text())[our_key] for s in seeds]
        peer = [json.loads((options.out / f"peer/{s}/{name}.json").read_text())[peer_key] for s in seeds]
        difference = np.subtract(ours, peer)
        half = stats.t.ppf(0.975, len(seeds) - 1) * difference.std(ddof=1) / np.sqrt(len(seeds))
        mean = difference.mean()
        inside = "yes" if mean - half <= 0 <= mean + half else "no"
        print(
            f"| {name} | {label} | {len(seeds)} | {np.mean(ours):.4f} | {np.mean(peer):.4f} "
            f"| {mean:+.4f} | [{mean - half:+.4f}, {mean + half:+.4f}] | {inside} |"
        )


def main() -> None:
    options = arguments()
    for seed in range(options.seed, options.seed + options.seeds):
        run_ours(options, seed)
        for name in experiments_of(options, seed):
            run_peer(options, seed, name)
    print("| experiment | test | seeds | ours | peer | difference | 95 % interval | holds 0 |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    for name in options.only:
        compare(options, name)


if __name__ == "__main__":
    main()
