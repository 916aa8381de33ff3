"""A sweep some of whose results are no numbers, or were edited: it goes on, chooses among the others, and says so."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import pytest
from pages import Page
from planned import planner, sweep_of
from scripted import Script

from orchestrator.cli.sweep_table import print_sweep
from orchestrator.cli.terminal import Terminal
from orchestrator.execution.events import NoEvents
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.local import local_executor
from orchestrator.execution.runner import Outcome, run_steps
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.steps import Step
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect
from orchestrator.reporting.sweep_results import SweepResult, sweep_result, write_sweep
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.sweep import Sweep
from search_spaces.runbook import EXPERIMENTS
from trainable.base.config import TrainConfig
from trainable.base.errors import Failure
from trainable.run.history import TrialHistory

NAME = "probe_M1"


@dataclass
class Silent(NoEvents):
    failures: dict[str, Failure] = field(default_factory=dict)

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None: ...
    def say(self, text: str) -> None: ...
    def decoded(self, there: int, wanted: int) -> None: ...
    def snapshot(self) -> dict[str, Any]:
        return {}

    def abandon(self) -> None: ...
    def failed(self, name: str, failure: Failure) -> None:
        self.failures[name] = failure


@contextmanager
def silent(terminal: TextIO) -> Iterator[Silent]:
    yield Silent()


def sweep(root: Path, script: Script) -> tuple[Outcome, Callable[[], Sweep]]:
    """A sweep of four trials, run with made-up scores: NaN cannot be forced with real training."""

    def plan() -> Sweep:
        return sweep_of(planner(root, epochs=6), NAME, num_samples=4, confirm=2, scheduler="none")

    executor = local_executor(((2, 0.0),), script.stepper)
    ours = planner(root, epochs=6)
    planned = sweep_of(ours, NAME, num_samples=4, confirm=2, scheduler="none")
    return run_steps([], [planned], ours, Hardware(plain=True), silent, open_executor=executor), plan


def reported(root: Path, planned: Sweep) -> tuple[SweepResult, str]:
    """The sweep's result, written and shown in all places; and what is on the terminal."""
    ours, out = planner(root, epochs=6), StringIO()
    found = sweep_result(planned, ours)
    write_sweep(found, ours)
    print_sweep(Terminal(file=out, width=1000), found)  # paths of temporary folders are long
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths))
    assert "Sweeps" in Page(paths.index).text
    return found, out.getvalue()


def by_number(name: str) -> int:
    return int(name.partition("#")[2].partition("/")[0] or 0)


def rising(name: str, epoch: int) -> float:
    return 0.1 + 0.2 * by_number(name) + 0.001 * epoch


def test_a_trial_without_a_score_is_neither_chosen_nor_confirmed(project: Path) -> None:
    outcome, plan = sweep(project, Script(score=lambda n, e: math.nan if by_number(n) == 3 else rising(n, e)))
    assert outcome.exit_code == 0
    found, said = reported(project, plan())
    assert [confirmed.trial.number for confirmed in found.confirmed] == [0, 2, 1]
    assert found.chosen is not None and found.chosen.number == 2
    assert "nan" in said


@pytest.mark.parametrize(("number", "chosen"), [(3, 2), (0, 3)])
def test_a_confirmation_without_a_score_is_not_chosen(number: int, chosen: int, project: Path) -> None:
    outcome, plan = sweep(project, Script(score=rising))
    assert outcome.exit_code == 0
    best = plan().members[number].run.out.name.partition("-")[0]
    for file in project.glob(f"models/*/sweeps/*/{best}-s133[89]/val_metrics_best.json"):
        file.write_text('{"macro_f1": NaN}', encoding="utf-8")
    found, said = reported(project, plan())
    assert [confirmed.trial.number for confirmed in found.confirmed] == [0, 3, 2]
    assert found.chosen is not None and found.chosen.number == chosen
    assert f"{f'#{number}' if number else 'default'} on 2 new seeds: val nan ± nan" in said
    tables = Page(project / "reports/index.html").tables
    table = next(table for table in tables if table[0][0] == "Trial")
    assert [row[0] for row in table[1:] if "★" in row[0]] == [f"{chosen} ★"]


def test_no_score_at_all(project: Path) -> None:
    outcome, plan = sweep(project, Script(score=lambda n, e: math.nan))
    assert outcome.exit_code == 0
    found, said = reported(project, plan())
    assert (found.chosen, found.confirmed) == (None, ())
    assert "no trial went to its end" in said


@pytest.mark.parametrize("scheduler", ["halving", "median", "none"])
def test_a_score_that_is_no_number_beats_none(scheduler: str) -> None:
    policy = make_policy(scheduler)
    config = TrainConfig("finetune", 30, 5e-4, 1e-4)
    for number in range(6):
        policy.add(f"t#{number}", config, exempt=number == 0)
    stages = tuple(config.stage_at(epoch) for epoch in range(12))
    for number in range(6):
        score = math.nan if number == 1 else 0.1 * number
        policy.report(f"t#{number}", TrialHistory((score,) * 12, stages))
    assert policy.decision("t#5") == "go"
    assert policy.decision("t#1") == ("go" if scheduler == "none" else "stop")
    assert policy.why("t#1") is not None


# -- edited files


def recode(encoding: str, old: str = "", new: str = "") -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        text = file.read_text(encoding="utf-8")
        file.write_bytes((text.replace(old, new) if old else text).encode(encoding))

    return spoil


@pytest.fixture
def done(project: Path) -> tuple[Path, Callable[[], Sweep]]:
    outcome, plan = sweep(project, Script(score=rising))
    assert outcome.exit_code == 0
    return project, plan


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(recode("utf-16"), "UTF-16", id="utf-16"),
        pytest.param(recode("utf-8", ",", ";"), "semicolons", id="semicolons"),
        pytest.param(recode("utf-8", "val_macro_f1", "f1"), "not a history of epochs (KeyError", id="other-columns"),
        pytest.param(
            lambda file: file.write_text("epoch,val_macro_f1,stage\n1,0.5\n"), "history of epochs", id="short"
        ),
        pytest.param(lambda file: file.write_text(""), "is empty", id="empty"),
    ],
)
def test_a_history_that_cannot_be_read_costs_its_own_trial_only(
    spoil: Callable[[Path], object], words: str, done: tuple[Path, Callable[[], Sweep]]
) -> None:
    root, plan = done
    spoil(plan().members[3].run.history)
    found, said = reported(root, plan())
    assert found.trials[3].record.why.startswith(f"not readable: {plan().members[3].run.history}")
    assert words in found.trials[3].record.why
    assert found.chosen is not None and found.chosen.number == 2
    with ProjectPaths(root, root).sweep(EXPERIMENTS[1], ".csv").open(encoding="utf-8", newline="") as stream:
        assert words in list(csv.DictReader(stream))[3]["why_it_stopped"]
    assert "not readable: " in said


@pytest.mark.parametrize("marks", ["\ufeff", "\ufeff\ufeff"])
def test_byte_order_marks_are_read_away(marks: str, done: tuple[Path, Callable[[], Sweep]]) -> None:
    root, plan = done
    before = reported(root, plan())[1]
    for file in (*root.glob("models/*/sweeps/*/*/*.csv"), *root.glob("models/*/sweeps/*/*/*_*.json")):
        file.write_bytes((marks + file.read_text(encoding="utf-8").replace("\n", "\r\n")).encode())
    assert reported(root, plan())[1] == before


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        ("test_preds.csv", recode("utf-16"), "UTF-16"),
        ("test_preds.csv", recode("utf-8", ",", ";"), "semicolons"),
        ("test_preds.csv", recode("cp949", "a", "가"), "iconv -f CP949 -t UTF-8"),
        ("classes.json", recode("cp949", "a", "가"), "CP949"),
        ("test_metrics.json", recode("utf-16"), "UTF-16"),
        ("val_metrics_best.json", lambda file: file.write_text('{"macro_f1": "x"}'), "must be a number, not 'x'"),
    ],
)
def test_a_confirmation_that_cannot_be_read_is_named(
    file: str, spoil: Callable[[Path], object], words: str, done: tuple[Path, Callable[[], Sweep]]
) -> None:
    root, plan = done
    paths = sorted(root.glob(f"models/*/sweeps/*/*-s1338/{file}"))
    spoil(paths[0])
    found, said = reported(root, plan())
    assert str(paths[0]) in found.problem
    assert words in found.problem
    (shown,) = [line for line in said.splitlines() if str(paths[0]) in line]
    assert found.problem.startswith(shown.removesuffix("…")), "a long folder's name costs the sentence its end"
    assert found.chosen is not None and found.chosen.number == 3, "by its score in the sweep"


@pytest.mark.parametrize(
    "change",
    [
        {"values": {}}, {"interval": [1]}, {"interval": "ab"}, {"difference": None}, {"val_macro_f1": ["x", "y"]},
        {"seeds": 3}, {"test_macro_f1": None},
    ],
)  # fmt: skip
def test_a_verdict_of_another_origin_does_not_cost_the_page(
    change: dict[str, object], done: tuple[Path, Callable[[], Sweep]]
) -> None:
    root, plan = done
    reported(root, plan())
    paths = ProjectPaths(root, root)
    file = paths.sweep(EXPERIMENTS[1], "_verdict.json")
    verdict = json.loads(file.read_text(encoding="utf-8"))
    verdict["compared"][1] |= change
    file.write_text(json.dumps(verdict), encoding="utf-8")
    write_reports(paths, collect(paths))
    assert len(Page(paths.index).tables) == 1
