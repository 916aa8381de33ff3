"""`python -m orchestrator faceapi` shows the engine and the weights; with `--compare`, where both engines differ."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from faceapi.contract.settings import FaceApiSettings
from faceapi.setup import prepare
from orchestrator.cli.terminal import say
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.settings import Settings
from search_spaces.runbook import Experiment
from trainable.base.errors import ConfigError

SHOWN = 10


def show_setup(settings: FaceApiSettings, paths: ProjectPaths, console: Console) -> None:
    """Print the engine, the weights and the place of Node.

    Raises:
        ConfigError: the chosen engine cannot run.
    """
    evaluator = prepare(settings, paths.faceapi_baseline)
    node = shutil.which("node") or "not on the PATH (needed by --faceapi-engine node and --faceapi-script only)"
    for name, value in (("engine", evaluator.engine), ("weights", evaluator.models), ("node", node)):
        say(console, f"{name + ':':9}{value}")


def show_comparison(
    experiments: Sequence[Experiment], settings: FaceApiSettings, paths: ProjectPaths, console: Console, sample: int
) -> bool:
    """Print where the engines differ on a sample of each split; returns whether they agree.

    Raises:
        ConfigError, InputError: an engine or the data are missing.
        ExperimentError: Node failed.
    """
    from faceapi.compare import TOLERANCES, compare_engines

    if sample < 1:
        raise ConfigError(f"--sample must be at least 1, not {sample}")
    plain = replace(settings, script=None)
    inputs = check_inputs(experiments, Settings(faceapi=replace(plain, engine="onnx")), paths)
    assert inputs.evaluator is not None
    node = prepare(replace(plain, engine="node"), paths.faceapi_baseline)
    agree = True
    for split, table in inputs.faceapi.items():
        found = compare_engines(
            table, plain, inputs.evaluator, node, root=paths.root, networks_folder=paths.networks, sample=sample
        )
        agree = agree and not found.differences
        lines = [
            f"{split}: {found.rows} of {len(table)} rows, {found.detected} detected, {found.unreadable} unreadable; "
            f"{len(found.differences)} row(s) differ",
            "    largest distance: "
            + ", ".join(f"{name} {getattr(found, name):.1e} (allowed {most:.0e})" for name, most in TOLERANCES.items()),
            f"    per image, onnx and node: {found.wall[0]:.1f} and {found.wall[1]:.1f} ms, "
            f"of CPU {found.cpu[0]:.1f} and {found.cpu[1]:.1f} ms (node's start included)",
            *(f"    {line}" for line in found.differences[:SHOWN]),
        ]
        if len(found.differences) > SHOWN:
            lines.append(f"    ... and {len(found.differences) - SHOWN} more")
        for line in lines:
            say(console, line)
    return agree
