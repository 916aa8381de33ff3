"""Planned sweeps over small projects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.planning.steps import Run
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from search_spaces.quantiles import Space


def planner(root: Path, experiments: str = "probe_M1,finetune_M1", **recipe: Any) -> Planner:
    paths = ProjectPaths(root, root)
    settings = Settings(recipe=Recipe.model_validate({"weights": "none", **recipe}))
    return Planner(check_inputs(select([experiments]), settings, paths), settings, paths)


def sweep_of(
    ours: Planner,
    name: str,
    space: Space | None = None,
    *,
    seed: int | None = None,
    fixed: bool = False,
    **options: Any,
) -> Sweep:
    """The sweep of an experiment as the command line plans it; of `space`, where given."""
    (base,) = ours.plan(select([name]))
    assert isinstance(base, Run)
    if seed is not None:
        base = replace(base, config=replace(base.config, seed=seed))
    chosen = SweepOptions(**options)
    if space is None:
        space = plan_spaces({name: base.config}, chosen)[name]
    return plan_sweep(base, space, chosen, ours, fixed=fixed)
