"""The files and sentences of a sweep: what was chosen, by what, and what may be said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planned import planner, sweep_of

from orchestrator.cli.sweep_table import conclusions
from orchestrator.planning.planner import Planner
from orchestrator.planning.settings import load_recipe
from orchestrator.reporting.sweep_results import Confirmed, SweepResult, TrialRow, write_sweep
from orchestrator.sweeps.records import TrialRecord
from orchestrator.sweeps.verdict import Comparison
from trainable.run.history import TrialHistory

COMPARED = Comparison((0.3, 0.5), (0.5, 0.7), low=0.01, high=0.2)


@pytest.fixture
def result(project: Path) -> tuple[SweepResult, Planner]:
    ours = planner(project, seed=7, batch=8)
    sweep = sweep_of(ours, "probe_M1", num_samples=3, confirm=2)
    record = TrialRecord(TrialHistory((0.25, 0.5), (1, 1), 1.5), 2.0, "finished", finished=True)
    trials = tuple(TrialRow(m, n, sweep.values(m.config), record) for n, m in enumerate(sweep.members))
    confirmed = (
        Confirmed(trials[0], (8, 9), (0.4, 0.6), (0.3, 0.5)),
        Confirmed(trials[2], (8, 9), (0.5, 0.7), (0.5, 0.7), COMPARED),
    )
    return SweepResult(sweep, trials, confirmed, trials[2]), ours


def test_the_verdict_says_the_level_of_its_interval(result: tuple[SweepResult, Planner]) -> None:
    found, ours = result
    write_sweep(found, ours)
    verdict = json.loads(ours.paths.sweep(found.sweep.experiment, "_verdict.json").read_text(encoding="utf-8"))
    assert verdict["chosen"] == 2
    default, other = verdict["compared"]
    assert (default["trial"], default["verdict"], "level" in default) == (0, "default", False)
    assert (other["interval"], other["level"], other["verdict"]) == ([0.01, 0.2], 0.95, "better")
    assert other["difference"] == pytest.approx(0.2)


def test_the_recommended_recipe_leaves_weights_and_seed_to_the_command(result: tuple[SweepResult, Planner]) -> None:
    found, ours = result
    write_sweep(found, ours)
    recipe = load_recipe(ours.paths.sweep(found.sweep.experiment, "_best.json"))
    assert found.chosen is not None
    values = recipe.experiments["probe_M1"].model_dump(exclude_none=True)
    assert values == {"lr_head": found.chosen.step.config.lr_head, "batch": 8}


def test_the_sentences_give_means_interval_verdict_and_choice(result: tuple[SweepResult, Planner]) -> None:
    found, _ = result
    default, other, choice = conclusions(found)
    assert default == "default on 2 new seeds: val 0.5000 ± 0.1414, test 0.4000 ± 0.1414"
    assert other.startswith("#2 on 2 new seeds: val 0.6000 ± 0.1414, test 0.6000 ± 0.1414; against the default ")
    assert other.endswith("+0.2000 [+0.0100, +0.2000]: better")
    assert choice.startswith("chosen: #2 (mean validation macro-F1 over new seeds)")


def test_a_choice_on_one_seed_is_called_luck(result: tuple[SweepResult, Planner]) -> None:
    found, _ = result
    alone = SweepResult(found.sweep, found.trials, (), found.trials[0])
    assert conclusions(alone)[0].startswith(
        "chosen: the default (validation macro-F1 on one seed, which is partly luck)"
    )
    assert conclusions(SweepResult(found.sweep, found.trials, (), None, "a problem")) == [
        "a problem",
        "no trial went to its end",
    ]
