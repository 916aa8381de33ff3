"""How long the seven experiments and their sweeps would take on 1 to 512 GPUs, at the size of the real data.

    python -m benchmarks.scale_curve [--svg docs/scale.svg] [--trials 16]

Nothing is run: it is the simulation of `plan --simulate` on 195,770 photos, at the H100's speed (docs/performance.md).
Rows are photos of the splits: 70, 10 and 20 percent of them, all under K7 and six sevenths under M1 and M2, which leave
out one of seven classes of about the same size. FaceAPI takes 13.8 ms of a CPU a photo. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from orchestrator.execution.hardware import Hardware
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Confirmation, FaceApiEvaluation, Run, Step, Trial
from orchestrator.reporting.formats import duration
from orchestrator.simulation.costs import ON_GPU, Overheads
from orchestrator.simulation.plan import Planned, Simulated, rates_of, simulate
from orchestrator.simulation.shape import Shape
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.rates import FACEAPI, FinishedRun, Rates
from orchestrator.sweeps.sweep import Sweep
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.config import TrainConfig
from trainable.base.paths import RunPaths

PHOTOS = 195_770
SHARES = {"M1": 6 / 7, "M2": 6 / 7, "K7": 1.0}
FACEAPI_SECONDS = 0.0138
SHAPES = [Shape(1, 1), Shape(1, 2), Shape(1, 4), *(Shape(nodes, 8) for nodes in (1, 2, 4, 8, 16, 32, 64))]
NOWHERE = RunPaths(Path())


class Pretended:
    """As much of a `Planner` as a simulation of what is new asks for."""

    def confirmation(self, experiment: Experiment, config: TrainConfig, number: int) -> Confirmation:
        return Confirmation(experiment=experiment, rows=rows(experiment), config=config, run=NOWHERE, number=number)


def rows(experiment: Experiment) -> tuple[int, ...]:
    """The split's rows in train, val and test; for FaceAPI in test."""
    photos = PHOTOS * SHARES[experiment.split]
    found = tuple(round(share * photos) for share in (0.7, 0.1, 0.2))
    return found if experiment.trains else found[2:]


def config(experiment: Experiment) -> TrainConfig:
    assert experiment.epochs and experiment.batch and experiment.lr_head
    mode = "probe" if experiment.method == "probe" else "finetune"
    return TrainConfig(
        mode, experiment.epochs, experiment.lr_head, experiment.lr_backbone, experiment.batch  # type: ignore[arg-type]
    )  # fmt: skip


def steps() -> list[Step]:
    """The seven experiments, none of which has run."""
    found: list[Step] = []
    for e in EXPERIMENTS:
        if e.trains:
            found.append(Run(experiment=e, rows=rows(e), config=config(e), run=NOWHERE))
        else:
            nowhere: dict[str, Any] = {"csv": Path(), "manifest": Path(), "begun": Path()}
            found.append(FaceApiEvaluation(experiment=e, rows=rows(e), **nowhere))
    return found


def sweeps(base: Sequence[Step], trials: int, options: SweepOptions) -> list[Sweep]:
    """A sweep of learning rates of each experiment that trains, which is its default."""
    found = []
    for run in base:
        if isinstance(run, Run):
            new: dict[str, Any] = {"experiment": run.experiment, "rows": run.rows, "run": NOWHERE}
            others = [
                Trial(
                    **new, config=replace(run.config, lr_head=run.config.lr_head * (1 + 0.01 * number)), number=number
                )
                for number in range(1, trials)
            ]
            found.append(Sweep(run.experiment, options, {}, run, others))
    return found


@dataclass(frozen=True)
class Curve:
    """A command on all shapes."""

    name: str
    points: Sequence[Simulated]


def curve(name: str, trials: int | None, overheads: Overheads = ON_GPU) -> Curve:
    base = steps()
    options = SweepOptions(num_samples=trials) if trials else None
    planned = Planned(base, sweeps(base, trials, options) if trials and options else [], cast(Planner, Pretended()))
    faceapi = FinishedRun("faceapi_M1", "", (), {FACEAPI: FACEAPI_SECONDS})
    rates = rates_of(SHAPES[0], Rates("", [faceapi]), 1024)
    return Curve(name, [simulate(planned, shape, rates, Hardware(), overheads) for shape in SHAPES])


def markdown(curves: Sequence[Curve]) -> str:
    head = "| GPUs | nodes |" + "".join(f" {c.name}: time | GPU hours | idle |" for c in curves)
    lines = [head, "|---:|---:|" + "---:|" * (3 * len(curves))]
    for number, shape in enumerate(SHAPES):
        cells = [f"{shape.nodes * shape.gpus}", f"{shape.nodes}"]
        for one in (c.points[number] for c in curves):
            cells += [duration(one.clock), f"{one.used / 3600:.2f}", f"{one.idle:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def causes(trials: int) -> str:
    """What each of the overheads takes of a sweep, on one GPU, on 64 and on 512."""
    variants = {
        "as in the table": ON_GPU,
        "processes start at once": replace(ON_GPU, process=0.0),
        "images are on every node, decoded": replace(ON_GPU, decoding=0.0, image_bytes=0.0),
        "the driver's link has 100 MB/s instead of 1 GB/s": replace(ON_GPU, link=1e8),
        "nothing but training": Overheads(),
    }
    lines = ["| | 1 GPU | 64 GPUs | 512 GPUs |", "|---|---:|---:|---:|"]
    for name, overheads in variants.items():
        points = curve(name, trials, overheads).points
        picked = [points[SHAPES.index(shape)] for shape in (Shape(1, 1), Shape(8, 8), Shape(64, 8))]
        lines.append(f"| {name} | {' | '.join(duration(one.clock) for one in picked)} |")
    return "\n".join(lines)


def svg(curves: Sequence[Curve]) -> str:
    """Time over GPUs, both on logarithmic axes; dashed: the time on one GPU divided by their number."""
    gpus = [shape.nodes * shape.gpus for shape in SHAPES]
    left, top, width, height, least, most = 58, 14, 520, 260, 1.0, 128.0

    def at(count: float, minutes: float) -> str:
        x = left + width * math.log(count) / math.log(gpus[-1])
        y = top + height * (1 - math.log(max(minutes, least) / least) / math.log(most / least))
        return f"{x:.1f},{y:.1f}"

    def text(place: str, words: object, anchor: str, dx: int = 0, dy: int = 4, colour: str = "#555") -> str:
        x, y = (float(part) for part in place.split(","))
        return f'<text x="{x + dx:.1f}" y="{y + dy:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'

    parts = []
    for minutes in (1, 2, 4, 8, 16, 32, 64, 128):
        parts.append(f'<polyline points="{at(1, minutes)} {at(gpus[-1], minutes)}" stroke="#ddd"/>')
        parts.append(text(at(1, minutes), f"{minutes} min", "end", dx=-6))
    parts += [text(at(count, least), count, "middle", dy=18) for count in gpus]
    parts.append(text(at(gpus[len(gpus) // 2], least), "GPUs, eight to a node", "middle", dy=36))
    for one, colour in zip(curves, ("#0072b2", "#d55e00"), strict=True):
        times = [point.clock / 60 for point in one.points]
        even = [at(n, times[0] / n) for n in gpus if times[0] / n >= least]
        line = [at(n, minutes) for n, minutes in zip(gpus, times, strict=True)]
        parts.append(f'<polyline points="{" ".join(even)}" stroke="{colour}" stroke-dasharray="3 4" fill="none"/>')
        parts.append(f'<polyline points="{" ".join(line)}" stroke="{colour}" stroke-width="2" fill="none"/>')
        parts += ['<circle cx="{}" cy="{}" r="3" fill="{}"/>'.format(*place.split(","), colour) for place in line]
        parts.append(text(line[-1], one.name, "end", dy=-10, colour=colour))
    size = f'width="{left + width + 20}" height="{top + height + 46}"'
    style = 'font-family="sans-serif" font-size="12"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', background, *parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--trials", type=int, default=16)
    options = parser.parse_args()
    curves = [curve("the seven", None), curve(f"with sweeps of {options.trials}", options.trials)]
    print(markdown(curves), "\n")
    print(causes(options.trials))
    if options.svg is not None:
        options.svg.write_text(svg(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
