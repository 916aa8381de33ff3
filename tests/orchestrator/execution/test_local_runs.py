"""Whole runs through the local executor: order, failures, interruptions, sweeps and confirmations, without Ray."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest
from by_hand import listing
from scripted import Script

from orchestrator.execution.entries import RETRIES
from orchestrator.execution.events import NoEvents
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.local import local_executor
from orchestrator.execution.runner import Outcome, run_steps
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.planning.steps import Run, Step
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.confirmation import to_confirm
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.records import BUDGET_SPENT, trial_record
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from trainable.base.errors import ConfigError, Failure
from trainable.base.files import read_json
from trainable.run.history import TrialHistory

FIVE = ("probe_M1", "finetune_M1", "probe_M2", "finetune_M2", "finetune_K7")
EPOCHS = 10
LONG = {"experiments": {"finetune_K7": {"epochs": EPOCHS + 2}}}


@dataclass
class Log(NoEvents):
    """A view that writes down what it is told."""

    failures: dict[str, Failure] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None:
        self.announced += [*(step.name for step in steps), *unchosen]

    def say(self, text: str) -> None:
        self.said.append(text)

    def decoded(self, there: int, wanted: int) -> None:
        pass

    def snapshot(self) -> dict[str, Any]:
        return {}

    def abandon(self) -> None:
        pass

    def finished(self, name: str) -> None:
        self.ended.append((name, "done"))

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        self.ended.append((name, why))

    def failed(self, name: str, failure: Failure) -> None:
        self.failures[name] = failure
        self.ended.append((name, "failed"))


@dataclass
class Project:
    """A small project, planned and run with made-up trainings."""

    root: Path
    output: Path
    script: Script = field(default_factory=Script)
    view: Log = field(default_factory=Log)

    def planner(self, *names: str, **recipe: Any) -> Planner:
        settings = Settings(recipe=Recipe.model_validate({"weights": "none", "epochs": EPOCHS, **LONG, **recipe}))
        paths = ProjectPaths(self.root, self.output)
        return Planner(check_inputs(select(names), settings, paths), settings, paths)

    def run(
        self,
        *names: str,
        options: SweepOptions | None = None,
        fixed: bool = True,
        cpus: int = 2,
        fresh: bool = False,
        hardware: Hardware | None = None,
    ) -> Outcome:
        """Like run-all (`fixed`) or sweep."""
        planner = self.planner(*names)
        steps = planner.plan(select(names), fresh=fresh)
        sweeps = self.sweeps(planner, steps, options, fixed=fixed, fresh=fresh) if options else []
        executor = local_executor(((cpus, 0.0),), self.script.stepper)
        hardware = hardware or Hardware(plain=True)  # plain: made-up trainings need no decoded images
        return run_steps(
            steps if fixed else [], sweeps, planner, hardware, self.opened, fresh=fresh, open_executor=executor
        )

    @staticmethod
    def sweeps(
        planner: Planner, steps: Sequence[Step], options: SweepOptions, *, fixed: bool = True, fresh: bool = False
    ) -> list[Sweep]:
        runs = [step for step in steps if isinstance(step, Run)]
        spaces = plan_spaces({run.name: run.config for run in runs}, options)
        return [plan_sweep(run, spaces[run.name], options, planner, fixed=fixed, fresh=fresh) for run in runs]

    @contextmanager
    def opened(self, terminal: TextIO) -> Iterator[Log]:
        yield self.view


@pytest.fixture
def run_project(shared_project: Path, tmp_path: Path) -> Project:
    return Project(shared_project, tmp_path / "output")


def rising(name: str, epoch: int) -> float:
    """The higher the number of a trial, the better its scores."""
    number = int(name.partition("#")[2].partition("/")[0] or 0)
    return 0.1 + 0.05 * number + 0.001 * epoch


def falling(name: str, epoch: int) -> float:
    """The lower the number of a trial, the better its scores; the default is the worst of all."""
    number = int(name.partition("#")[2].partition("/")[0] or 0)
    return (0.9 - 0.05 * number if number else 0.1) + 0.001 * epoch


def after(count: int, act: Callable[[], None]) -> Callable[[str, int], None]:
    """Calls `act` once, when `count` epochs have been trained."""
    left = [count]

    def on_epoch(name: str, epoch: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return on_epoch


def interrupt() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)


# -- fixed runs


def test_all_five_run_the_longest_first(run_project: Project) -> None:
    outcome = run_project.run(*FIVE)
    assert (outcome.exit_code, dict(outcome.failures)) == (0, {})
    assert run_project.script.starts[:3] == ["finetune_K7", "finetune_M1", "finetune_M2"]
    assert sorted(name for name, how in run_project.view.ended if how == "done") == sorted(FIVE)
    assert {step.status for step in run_project.planner(*FIVE).plan(select(FIVE))} == {"done"}


def test_finished_runs_are_not_run_again(run_project: Project) -> None:
    run_project.run("probe_M1", "probe_M2")
    before = listing(run_project.output)
    trained = len(run_project.script.log)
    assert run_project.run("probe_M1", "probe_M2").exit_code == 0
    assert (len(run_project.script.log), listing(run_project.output)) == (trained, before)


def test_a_failure_is_tried_again_and_leaves_the_others_alone(run_project: Project) -> None:
    run_project.script.fails = {"probe_M1": [3] * (RETRIES + 1), "probe_M2": [3] * RETRIES}
    outcome = run_project.run("probe_M1", "probe_M2", "finetune_M1")
    assert {name: failure.message for name, failure in outcome.failures.items()} == {
        "probe_M1": "made to fail in epoch 3"
    }
    assert outcome.exit_code == 1
    assert run_project.script.epochs("probe_M2") == EPOCHS, "no epoch is trained twice"
    again = run_project.run("probe_M1", "probe_M2", "finetune_M1")
    assert again.exit_code == 0
    assert run_project.script.epochs("probe_M1") == EPOCHS


def test_an_interrupted_run_goes_on_after_its_last_epoch(run_project: Project) -> None:
    """Every epoch in hand is finished, nothing else starts, and no epoch is trained twice."""
    run_project.script.on_epoch = after(5, interrupt)
    outcome = run_project.run(*FIVE)
    assert (outcome.interrupted, outcome.exit_code, dict(outcome.failures)) == (True, 130, {})
    assert run_project.script.starts == ["finetune_K7", "finetune_M1"]
    assert run_project.view.ended == []
    assert any("epochs in hand" in text for text in run_project.view.said)
    planned = run_project.planner(*FIVE).plan(select(FIVE))
    assert [step.status for step in planned if step.name.startswith("finetune")] == [
        "interrupted",
        "new",
        "interrupted",
    ]
    assert run_project.run(*FIVE).exit_code == 0
    trained = {name: run_project.script.epochs(name) for name in FIVE}
    assert trained == {**dict.fromkeys(FIVE, EPOCHS), "finetune_K7": EPOCHS + 2}


def test_a_fresh_run_forgets_what_was_done(run_project: Project) -> None:
    run_project.run("probe_M1")
    assert run_project.run("probe_M1", fresh=True).exit_code == 0
    assert run_project.script.epochs("probe_M1") == 2 * EPOCHS


def test_max_concurrent_holds_trainings_back(run_project: Project) -> None:
    run_project.run("finetune_M1", "finetune_M2", hardware=Hardware(plain=True, max_concurrent=1))
    names = [name for name, _ in run_project.script.log]
    assert names == ["finetune_M1"] * EPOCHS + ["finetune_M2"] * EPOCHS


@pytest.mark.parametrize(("given", "told"), [(None, {}), (1, None)])
def test_trainings_are_told_their_cpus_unless_the_user_has_given_them(
    given: int | None, told: Any, run_project: Project
) -> None:
    """When all is over nobody has any."""
    run_project.run("finetune_M1", "finetune_M2", hardware=Hardware(plain=True, cpus_per_trial=given))
    assert read_json(ProjectPaths(run_project.root, run_project.output).cpu_shares) == told


def test_what_cannot_be_held_is_refused_before_anything_starts(run_project: Project) -> None:
    with pytest.raises(ConfigError, match="--cpus-per-trial 3: no node"):
        run_project.run("probe_M1", hardware=Hardware(plain=True, cpus_per_trial=3))
    assert run_project.script.log == []


def test_a_second_run_in_the_same_folder_is_refused(run_project: Project) -> None:
    refused = []

    def second() -> None:
        with pytest.raises(ConfigError, match="another run is writing"):
            Project(run_project.root, run_project.output).run("probe_M2")
        refused.append(True)

    run_project.script.on_epoch = after(1, second)
    assert run_project.run("probe_M1").exit_code == 0
    assert refused == [True]


# -- sweeps


def test_a_sweep_stops_the_worst_and_confirms_the_best(run_project: Project) -> None:
    run_project.script.score = rising
    options = SweepOptions(num_samples=9, confirm=2)
    assert run_project.run("finetune_M1", options=options, fixed=False).exit_code == 0
    ends = dict(run_project.view.ended)
    assert [number for number in range(9) if ends[f"finetune_M1#{number}"] == "done"] == [0, 7, 8]
    again = {name for name, how in run_project.view.ended if "/" in name and how == "done"}
    assert again == {f"finetune_M1#{number}/{seed}" for number in (0, 7, 8) for seed in (1338, 1339)}
    trained = len(run_project.script.log)
    assert run_project.run("finetune_M1", options=options, fixed=False).exit_code == 0
    assert len(run_project.script.log) == trained, "a finished sweep is not run again"


@pytest.mark.parametrize("scheduler", ["halving", "median", "asha", "none"])
def test_fixed_runs_and_the_default_are_never_stopped(run_project: Project, scheduler: str) -> None:
    """Although they are the worst of all here."""
    run_project.script.score = falling
    options = SweepOptions(num_samples=9, confirm=0, scheduler=scheduler)
    assert run_project.run("finetune_M1", options=options).exit_code == 0
    ends = dict(run_project.view.ended)
    assert (ends["finetune_M1"], ends["finetune_M1#1"]) == ("done", "done")
    stopped = [name for name, how in ends.items() if how not in ("done", "failed")]
    assert bool(stopped) == (scheduler != "none")


def test_fixed_runs_train_the_same_epochs_with_a_sweep_beside_them(run_project: Project) -> None:
    run_project.run("probe_M1", "finetune_M1", options=SweepOptions(num_samples=4, confirm=0))
    assert run_project.script.starts[:2] == ["finetune_M1", "probe_M1"], "fixed runs go first"
    assert [run_project.script.epochs(name) for name in ("probe_M1", "finetune_M1")] == [EPOCHS, EPOCHS]


def test_trials_wait_for_one_that_failed_for_good_no_longer(run_project: Project) -> None:
    run_project.script.score = rising
    run_project.script.fails = {"finetune_M1#8": [1] * (RETRIES + 1)}
    outcome = run_project.run("finetune_M1", options=SweepOptions(num_samples=9, confirm=2), fixed=False)
    assert (outcome.exit_code, list(outcome.failures)) == (1, ["finetune_M1#8"])
    assert dict(run_project.view.ended)["finetune_M1#7"] == "done"


def test_an_interrupted_sweep_goes_on_and_repeats_nothing(run_project: Project) -> None:
    options = SweepOptions(num_samples=6, confirm=2)
    whole = Project(run_project.root, run_project.output.parent / "whole", Script(rising))
    whole.run("finetune_M1", options=options, fixed=False)
    run_project.script.score = rising
    for count in (3, 20, 7):
        run_project.script.on_epoch = after(count, interrupt)
        assert run_project.run("finetune_M1", options=options, fixed=False).exit_code == 130
    run_project.script.on_epoch = lambda name, epoch: None
    assert run_project.run("finetune_M1", options=options, fixed=False).exit_code == 0
    assert len(run_project.script.log) == len(set(run_project.script.log)), "an epoch was trained twice"
    assert dict(run_project.view.ended).keys() == dict(whole.view.ended).keys()
    assert {n for n, how in run_project.view.ended if how == "done"} >= {
        name for name, how in whole.view.ended if how == "done"
    }


def test_the_budget_ends_a_sweep_that_may_go_on_later(run_project: Project) -> None:
    """Without a confirmation: who is best is not known yet."""
    spent = SweepOptions(num_samples=4, confirm=2, deadline=time.monotonic())
    assert run_project.run("probe_M1", options=spent, fixed=False).exit_code == 0
    assert dict(run_project.view.ended) == {f"probe_M1#{number}": BUDGET_SPENT for number in range(4)}
    assert run_project.script.log == []
    options = replace(spent, deadline=None)
    assert run_project.run("probe_M1", options=options, fixed=False).exit_code == 0
    assert sum(how == "done" for name, how in run_project.view.ended if "/" in name) == 6


def test_the_budget_never_ends_fixed_runs(run_project: Project) -> None:
    run_project.run("probe_M1", options=SweepOptions(num_samples=4, confirm=2, deadline=time.monotonic()))
    ends = dict(run_project.view.ended)
    assert ends.pop("probe_M1") == "done"
    assert set(ends.values()) == {BUDGET_SPENT}


def test_a_sweep_ends_at_the_epoch_in_which_its_budget_is_spent(
    run_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is set by hand: it goes on an hour in the 25th epoch of the command, whose budget is a minute."""
    clock = [0.0]
    for module in ("active_run", "entries"):
        monkeypatch.setattr(f"orchestrator.execution.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    run_project.script.on_epoch = after(25, lambda: clock.append(clock.pop() + 3600))
    options = SweepOptions(num_samples=6, confirm=2, scheduler="none", deadline=60.0)
    assert run_project.run("finetune_M1", options=options, fixed=False).exit_code == 0
    trained, ends = len(run_project.script.log), dict(run_project.view.ended)
    assert 25 <= trained <= 26, "on two CPUs one more epoch was in hand"
    assert sorted(ends.values()) == [BUDGET_SPENT] * 4 + ["done"] * 2
    assert run_project.run("finetune_M1", options=replace(options, deadline=None), fixed=False).exit_code == 0
    assert len(run_project.script.log) == len(set(run_project.script.log)) == EPOCHS * (6 + 3 * 2)


def test_fresh_forgets_trials_confirmations_and_choices(run_project: Project) -> None:
    pytest.importorskip("optuna")
    options = SweepOptions(num_samples=10, confirm=2, search="optuna", scheduler="none")
    run_project.script.score = rising
    for fresh in (False, True):
        assert run_project.run("probe_M1", options=options, fixed=False, fresh=fresh).exit_code == 0
    assert run_project.script.epochs("probe_M1#0") == 2 * EPOCHS
    again = [name for name, _ in run_project.script.log if "/" in name]
    assert len(again) == 2 * 6 * EPOCHS


def test_a_search_chooses_when_a_cpu_is_free_and_its_choices_are_kept(run_project: Project) -> None:
    pytest.importorskip("optuna")
    run_project.script.score = rising
    options = SweepOptions(num_samples=11, confirm=0, search="optuna", scheduler="none")
    run_project.script.on_epoch = after(EPOCHS * 9 + 3, interrupt)
    assert run_project.run("probe_M1", options=options, fixed=False, cpus=1).exit_code == 130
    assert run_project.view.announced == [f"probe_M1#{number}" for number in range(11)]
    assert run_project.script.starts == [f"probe_M1#{number}" for number in range(10)]
    run_project.script.on_epoch = lambda name, epoch: None
    assert run_project.run("probe_M1", options=options, fixed=False, cpus=1).exit_code == 0
    assert len(run_project.script.log) == len(set(run_project.script.log)) == 11 * EPOCHS
    planner = run_project.planner("probe_M1")
    (sweep,) = Project.sweeps(planner, planner.plan(select(["probe_M1"])), options, fixed=False)
    assert all(trial_record(member, planner).finished for member in sweep.members)
    assert (len(sweep.members), sweep.unchosen, to_confirm(sweep, planner)) == (11, 0, [])


def test_runs_in_this_process_need_no_ray(shared_project: Path) -> None:
    """Importing the orchestration, its local executor among it, brings neither Ray nor torch."""
    import subprocess

    modules = "orchestrator.execution.runner, orchestrator.execution.local, orchestrator.execution.faceapi_tasks"
    code = f"import sys, {modules}; print(sorted({{'ray', 'torch'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_real_training_runs_through_the_local_executor(shared_project: Path, tmp_path: Path) -> None:
    """The same numbers as a trainer by itself."""
    from small_runs import best_weights, probe, same_weights, spec_of

    from trainable.run.trainer import Trainer

    config = probe(epochs=2)
    Trainer(spec_of(shared_project, tmp_path / "alone", config)).run()
    values = {name: getattr(config, name) for name in ("epochs", "batch", "lr_head", "seed")}
    project = Project(shared_project, tmp_path / "output")
    planner = project.planner("probe_M1", **values)
    steps = planner.plan(select(["probe_M1"]))
    outcome = run_steps(steps, [], planner, Hardware(cpus_per_trial=1), project.opened, open_executor=local_executor())
    assert (outcome.exit_code, dict(outcome.failures)) == (0, {})
    run = planner.paths.run(steps[0].experiment)
    assert same_weights(best_weights(run.out), best_weights(tmp_path / "alone"))
    assert run.test_preds.read_bytes() == (tmp_path / "alone" / "test_preds.csv").read_bytes()
