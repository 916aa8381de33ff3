"""What trackers hear of whole commands, run in this process with made-up trainings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import pytest
from by_hand import write_faceapi
from scripted import Script
from tracked import Heard

from orchestrator.execution.events import NoEvents
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.local import local_executor
from orchestrator.execution.runner import Outcome, run_steps
from orchestrator.execution.tracked_runs import epoch_of, finished
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.planning.steps import FaceApiEvaluation, Run, Step
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.sweep import plan_sweep
from search_spaces.runbook import EXPERIMENTS
from trainable.base.errors import Failure

EPOCHS = 4


@dataclass
class View(NoEvents):
    """Shows nothing."""

    failures: dict[str, Failure] = field(default_factory=dict)
    log: Path = Path()

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def decoded(self, there: int, wanted: int) -> None:
        pass

    def snapshot(self) -> dict[str, Any]:
        return {}

    def abandon(self) -> None:
        pass

    def failed(self, name: str, failure: Failure) -> None:
        self.failures[name] = failure


@dataclass
class Command:
    """A command on a small project, and what its tracker hears."""

    root: Path
    output: Path

    def run(
        self, *names: str, script: Script | None = None, sweep: SweepOptions | None = None
    ) -> tuple[Heard, Outcome]:
        heard, script = Heard(), script or Script()
        recipe = Recipe.model_validate({"weights": "none", "epochs": EPOCHS})
        settings, paths = Settings(recipe=recipe), ProjectPaths(self.root, self.output)
        planner = Planner(check_inputs(select(names), settings, paths), settings, paths)
        steps = planner.plan(select(names))
        runs = [step for step in steps if isinstance(step, Run)]
        spaces = plan_spaces({run.name: run.config for run in runs}, sweep) if sweep else {}
        sweeps = [plan_sweep(run, spaces[run.name], sweep, planner, fixed=True) for run in runs] if sweep else []
        outcome = run_steps(
            steps, sweeps, planner, Hardware(plain=True), self.opened, tracker=heard,
            open_executor=local_executor(((1, 0.0),), script.stepper),
        )  # fmt: skip
        return heard, outcome

    @staticmethod
    @contextmanager
    def opened(terminal: TextIO) -> Iterator[View]:
        yield View()


@pytest.fixture
def command(shared_project: Path, tmp_path: Path) -> Command:
    return Command(shared_project, tmp_path)


def test_a_training_from_its_parameters_to_its_files(command: Command) -> None:
    heard, _ = command.run("finetune_K7")
    [run] = heard.begun
    assert run.parameters.items() >= {
        "split": "K7", "method": "finetune", "mode": "finetune", "epochs": EPOCHS, "lr_head": 5e-4, "lr_backbone": 1e-4,
        "seed": 1337, "weights": "none", "stage2_epoch": 1, "rows_train": 18, "rows_val": 6, "rows_test": 9,
    }.items()  # fmt: skip
    assert run.tags.items() >= {"experiment": "finetune_K7", "kind": "run"}.items()
    assert {"host", "commit", "identity"} <= run.tags.keys()
    assert run.group is None
    assert not run.resumed
    assert heard.epochs == [("finetune_K7", number) for number in range(1, EPOCHS + 1)]
    ending = heard.ended["finetune_K7"]
    assert ending.status == "FINISHED"
    assert ending.metrics["test_macro_f1"] == ending.metrics["best_val_macro_f1"] == pytest.approx(0.1 + 0.001 * EPOCHS)
    assert {file.name for file in ending.files} >= {"best.pt", "test_preds.csv", "classes.json", "manifest.json"}
    assert not heard.reports, "the caller closes the tracker"


def test_one_failure_has_its_line_and_the_others_go_on(command: Command) -> None:
    heard, outcome = command.run("probe_M1", "probe_M2", script=Script(fails={"probe_M1": [2, 2, 2]}))
    assert outcome.exit_code == 1
    assert heard.ended["probe_M1"].status == "FAILED"
    assert heard.ended["probe_M1"].why == "made to fail in epoch 2"
    assert heard.ended["probe_M2"].status == "FINISHED"
    assert len(heard.begun) == 2, "a training that is tried again is one run"


def test_what_failed_goes_on_in_its_own_run(command: Command) -> None:
    first, _ = command.run("probe_M1", script=Script(fails={"probe_M1": [3, 3, 3]}))
    second, _ = command.run("probe_M1")
    before, after = first.run("probe_M1"), second.run("probe_M1")
    assert after.resumed
    assert replace(after, resumed=False) == before
    assert first.epochs == [("probe_M1", 1), ("probe_M1", 2)]
    assert second.epochs == [("probe_M1", 3), ("probe_M1", 4)]


def test_a_run_of_other_settings_is_another_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = command.run("probe_M1", script=Script(fails={"probe_M1": [3, 3, 3]}))
    monkeypatch.setattr("test_tracked_runs.EPOCHS", EPOCHS + 1)
    second, _ = command.run("probe_M1")
    assert not second.run("probe_M1").resumed
    assert second.run("probe_M1").key != first.run("probe_M1").key


def test_a_sweeps_trials_are_a_group(command: Command) -> None:
    options = SweepOptions("lr", num_samples=4, scheduler="halving", confirm=2, option="--sweep")
    heard, outcome = command.run("finetune_M1", sweep=options)
    assert outcome.exit_code == 0
    kinds = {run.name: (run.tags["kind"], run.group, run.tags.get("trial")) for run in heard.begun}
    assert kinds["finetune_M1"] == ("run", None, None)
    assert kinds["finetune_M1#1"] == ("trial", "finetune_M1 sweep", "1")
    assert {group for kind, group, _ in kinds.values() if kind == "confirmation"} == {"finetune_M1 sweep"}
    assert kinds.keys() == heard.ended.keys()
    stopped = [ending for ending in heard.ended.values() if ending.status == "KILLED"]
    assert stopped
    assert all(ending.why and not ending.files for ending in stopped)


def test_an_evaluation_of_faceapi(tmp_path: Path) -> None:
    rows = [("가.jpg", "happy", "happy", 0.9, 1, 0.8, 1), ("나.jpg", "happy", "sad", 0.9, 1, 0.5, 0),
            ("다.jpg", "sad", "", 0, 0, 0, 0)]  # fmt: skip
    write_faceapi(tmp_path, "M1", rows)
    paths, experiment = ProjectPaths(tmp_path, tmp_path), EXPERIMENTS[0]
    step = FaceApiEvaluation(
        experiment=experiment, rows=(3,), csv=paths.faceapi_results(experiment), manifest=paths.manifest(experiment),
        begun=tmp_path,
    )  # fmt: skip
    ending = finished(step)
    assert ending.metrics["coverage"] == pytest.approx(2 / 3)
    assert ending.metrics["matched_top1"] == 0.5
    assert ending.metrics["top1_all_rows"] == pytest.approx(1 / 3)
    assert step.csv in ending.files
    assert ending.history == ()


def test_an_epochs_metrics_are_numbers() -> None:
    row: dict[str, Any] = {"epoch": "3", "stage": "2", "train_loss": "0.5", "val_loss": "nan", "lr_backbone": "",
                           "seconds": "2.0", "micro_batch": "8"}  # fmt: skip
    told = epoch_of(row, images=18)
    assert told.number == 3
    assert told.metrics == {"train_loss": 0.5, "seconds": 2.0, "images_per_second": 9.0}
