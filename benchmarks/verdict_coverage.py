"""How often is a verdict wrong, and how large a difference does it see? On simulated predictions.

    python -m benchmarks.verdict_coverage [--trials N] [--resamples N] [--rows N ...] [--seeds N]

Two configurations are simulated, trained with as many seeds each. Each class has a score, the largest is predicted: the
true class's strength, what makes the row hard (the same for both), what the configuration makes of the row, what the
seed does to the whole run, and chance in the single prediction. The settings are like the finetunes and probes of
docs/results.md in how often two seeds agree on a row (0.94 and 0.76 there); in the third, seeds are what differs most.

For each setting and number of test rows: how often two configurations of equal strength get "cannot tell", by
`orchestrator.sweeps.verdict` and by the plain percentile interval (drawn seeds on drawn rows, nothing widened); and how
often the stronger of two gets "better" where the mean difference of macro-F1 is about 0.05.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from orchestrator.sweeps.verdict import compare, draw_differences, draw_seeds, percentiles

CLASSES = 7
FREQUENCY = np.array([0.30, 0.20, 0.15, 0.12, 0.10, 0.08, 0.05])
STRENGTH, LIFT = 2.4, 0.25
"""Of the true class's score: about 0.58 macro-F1, and 0.05 more."""
HARDNESS, CONFIGURATION = 1.5, 0.4
"""Standard deviations: of a class's score in a row, and of what a configuration adds to it."""


@dataclass(frozen=True)
class Setting:
    """Standard deviations of what a seed does to a class's score: in all rows at once, and in a single prediction."""

    name: str
    run: float
    single: float


SETTINGS = (Setting("finetune-like", 0.03, 0.12), Setting("probe-like", 0.05, 0.5), Setting("seeds differ", 0.3, 0.12))

Trial = tuple[np.ndarray, np.ndarray, np.ndarray]


def simulate(generator: np.random.Generator, setting: Setting, rows: int, seeds: int, lift: float) -> Trial:
    """True classes (n,), and the predictions (s, n) of the default and of one that is stronger by `lift`."""
    true = generator.choice(CLASSES, rows, p=FREQUENCY)
    right = np.eye(CLASSES)[true]
    hard = generator.normal(0, HARDNESS, (rows, CLASSES))
    found = []
    for strength in (STRENGTH, STRENGTH + lift):
        score = hard + generator.normal(0, CONFIGURATION, (rows, CLASSES))
        run = generator.normal(0, setting.run, (seeds, 1, CLASSES))
        strengths = strength + generator.normal(0, setting.run, (seeds, 1, 1))
        single = generator.normal(0, setting.single, (seeds, rows, CLASSES))
        found.append((score + strengths * right + run + single).argmax(-1))
    return true, found[0], found[1]


def plain(trial: Trial, resamples: int, seed: int) -> bool:
    """Whether the plain percentile interval holds 0."""
    by_seed = draw_differences(*trial, CLASSES, resamples, seed)
    weights = draw_seeds(by_seed.shape[1], resamples, np.random.default_rng(seed + 1))
    low, high = percentiles((by_seed * weights).sum(1))
    return low <= 0 <= high


def measure(setting: Setting, rows: int, options: argparse.Namespace) -> str:
    """A row of the table."""
    generator = np.random.default_rng(options.seed)
    agree, spread, known, plainly = [], [], [], []
    for number in range(options.trials):
        trial = simulate(generator, setting, rows, options.seeds, 0.0)
        found = compare(*trial, CLASSES, resamples=options.resamples, seed=number)
        agree.append((trial[1][0] == trial[1][1]).mean())
        spread.append(found.default_std)
        known.append(found.verdict == "cannot tell")
        plainly.append(plain(trial, options.resamples, number))
    difference, seen = [], []
    for number in range(options.trials):
        trial = simulate(generator, setting, rows, options.seeds, LIFT)
        found = compare(*trial, CLASSES, resamples=options.resamples, seed=number)
        difference.append(found.difference)
        seen.append(found.verdict == "better")
    figures = [f"{np.mean(agree):.2f}", f"{np.mean(spread):.3f}"]
    figures += [f"{100 * np.mean(shares):.1f} %" for shares in (known, plainly)]
    figures += [f"{np.mean(difference):+.3f}", f"{100 * np.mean(seen):.1f} %"]
    return f"| {setting.name} | {rows} | " + " | ".join(figures) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300, help="simulated comparisons of each kind")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[67, 400], help="test rows")
    parser.add_argument("--seeds", type=int, default=5, help="of each configuration")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    options = parser.parse_args()
    print("| setting | rows | seeds agree | std of F1 | equals: cannot tell | plain | difference | seen |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for setting in SETTINGS:
        for rows in options.rows:
            print(measure(setting, rows, options), flush=True)


if __name__ == "__main__":
    main()
