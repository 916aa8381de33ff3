"""Many probes of one split at different learning rates, in one pool, against the runbook's command again and again."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Bench, Row, peer, timed

TRIALS = 16


def sixteen_probes(bench: Bench, batch: int) -> list[Row]:
    """Peer / ours, start-up included, and the wall seconds of one more trial while others run."""
    ratios, gaps, details = [], [], []
    for _ in range(bench.repeat):
        folder = bench.fresh("probes")
        command = [sys.executable, "-m", "benchmarks.sweeps", bench.project, bench.weights, folder / "out", batch]
        ours = timed(command, folder / "ours.log", EMOSWEEP_CACHE=str(folder / "cache"))
        theirs = peer(bench, folder, "--only", "probe_M1_160", "--sweep", TRIALS, "--batch", batch)
        ratios.append(theirs / ours)
        details.append({"ours": ours, "peer": theirs})
        manifests = (folder / "out").rglob("manifest.json")
        ends = sorted(path.stat().st_mtime for path in manifests)
        assert len(ends) == TRIALS
        gaps.append((ends[-1] - ends[3]) / (TRIALS - 4))  # the first ones compute what the others find
    return [
        Row(
            f"{TRIALS} probe learning rates on M1, batch {batch}: peer / ours",
            "x",
            ratios,
            10.0,
            details={"s": details},
        ),
        Row("one more probe trial in a running sweep", "s", gaps, 1.0, at_least=False),
    ]


def run(project: Path, weights: Path, out: Path, batch: int) -> None:
    """The peer's learning rates, a decade either way, as so many experiments of one `run-all`."""
    from orchestrator.cli.look import Look
    from orchestrator.execution.hardware import Hardware
    from orchestrator.execution.runner import run_steps
    from orchestrator.planning.inputs import check_inputs
    from orchestrator.planning.paths import ProjectPaths
    from orchestrator.planning.planner import Planner
    from orchestrator.planning.settings import Recipe, Settings
    from search_spaces.runbook import EXPERIMENTS

    probe = next(experiment for experiment in EXPERIMENTS if experiment.name == "probe_M1")
    assert probe.lr_head
    rates = [probe.lr_head * 10 ** (i / (TRIALS - 1) * 2 - 1) for i in range(TRIALS)]
    probes = [replace(probe, name=f"probe_M1_{i}", folder=f"probe_M1_160_{i}", lr_head=r) for i, r in enumerate(rates)]
    paths = ProjectPaths(project, out)
    settings = Settings(Recipe(batch=batch, weights=str(weights)))
    planner = Planner(check_inputs(probes, settings, paths), settings, paths)

    outcome = run_steps(planner.plan(probes), [], planner, Hardware(), Look("text", False).make_view([], planner))
    assert not outcome.failures, outcome.failures


if __name__ == "__main__":
    project, weights, out, batch = sys.argv[1:]
    run(Path(project), Path(weights), Path(out), int(batch))
