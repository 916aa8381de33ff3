"""The benchmark: every row a ratio (or a bounded figure) measured in this one run; a table and JSON.

    python -m benchmarks --project-root DIR --weights FILE --out DIR [--rows NAME ...] [--repeat N]

Rows: memory, peak, decoders, probes, sweep, confirmation, grid, stage3, tiles, seven, growth, five128, one1024,
floor128, floor1024, five1024. The peer is `runbook_baseline.py`: the runbook's commands done literally. What is
compared runs alternately, on a machine that should do nothing else; all rows once take some hours on two cores, most of
it the peer's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.growth import drawn, growth
from benchmarks.harness import Bench, Row, machine, write
from benchmarks.steps import decoders, memory_of_a_trial, peak_of_a_step, stage3_speed, tiles
from benchmarks.sweep_rows import confirmation, grid_beside_the_seven, sixteen_finetunes
from benchmarks.sweeps import sixteen_probes
from benchmarks.whole import beyond_the_busiest, five_above_the_floor, five_experiments, one_experiment

ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "memory": lambda bench: [memory_of_a_trial(bench, bench.project)],
    "peak": lambda bench: peak_of_a_step(bench, bench.project),
    "decoders": lambda bench: [decoders(bench, bench.project)],
    "probes": lambda bench: sixteen_probes(bench, 128),
    "sweep": lambda bench: sixteen_finetunes(bench, 128),
    "confirmation": lambda bench: confirmation(bench, 128),
    "grid": lambda bench: grid_beside_the_seven(bench, 128),
    "stage3": lambda bench: [stage3_speed(bench, drawn(bench), batch) for batch in (128, 1024)],
    "tiles": lambda bench: [tiles(bench, batch, threads) for batch in (128, 1024) for threads in (1, 2)],
    "seven": lambda bench: [beyond_the_busiest(bench, 128)],
    "growth": lambda bench: [growth(bench, drawn(bench))],
    "five128": lambda bench: five_experiments(bench, 128, 2.3),
    "one1024": lambda bench: [one_experiment(bench, "finetune_M1", 1024)],
    "floor128": lambda bench: [five_above_the_floor(bench, 128)],
    "floor1024": lambda bench: [five_above_the_floor(bench, 1024)],
    "five1024": lambda bench: five_experiments(bench, 1024, 4.5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--repeat", type=int, default=1, help="of the whole commands")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.project_root.resolve(), options.weights.resolve(), out, options.repeat)
    about, rows = machine(), []
    for name in options.rows:
        rows += ROWS[name](bench)
        write(out / "benchmarks.json", rows, about)
        Console().print(table(rows))


def table(rows: list[Row]) -> Table:
    found = Table("what", "median", "from", "to", "target", "met")
    for row in rows:
        figures = [f"{value:.3g} {row.unit}" for value in (row.median, min(row.samples), max(row.samples))]
        target = "" if row.target is None else f"{'>=' if row.at_least else '<='} {row.target:g}"
        found.add_row(row.name, *figures, target, {None: "", True: "yes", False: "no"}[row.met])
    return found


if __name__ == "__main__":
    main()
