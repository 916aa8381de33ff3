"""The sweeps on the page, from files in reports/sweeps/."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from by_hand import write_json
from pages import Page

from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.reporting.frames import read_rows, write_frame
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect
from orchestrator.reporting.sweep_figures import parallel_figure
from orchestrator.reporting.sweep_page import sweep_sections
from orchestrator.reporting.sweep_results import Confirmed, SweepResult, TrialRow, write_sweep
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.records import TrialRecord
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from orchestrator.sweeps.verdict import Comparison
from search_spaces.runbook import EXPERIMENTS
from trainable.run.history import TrialHistory

FINETUNE = next(e for e in EXPERIMENTS if e.name == "finetune_M1")
VALUES = (
    {"lr_head": 5e-4, "schedule": "constant"},
    {"lr_head": 5e-3, "schedule": "cosine"},
    {"lr_head": 5e-5, "schedule": "cosine"},
    {"lr_head": 1e-4, "schedule": "cosine"},
)
RECORDS = (
    TrialRecord(TrialHistory((0.25, 0.5, 0.5), (1, 2, 3)), 60.5, "finished", finished=True),
    TrialRecord(TrialHistory((0.25, 0.5, 0.6), (1, 2, 3)), 61.5, "finished", finished=True),
    TrialRecord(TrialHistory((0.125, 0.25), (1, 2)), 2.5, "not among the best 2 of 3 in stage 2, epoch 2"),
    TrialRecord(),
)
BETTER = Comparison((0.3, 0.5), (0.5, 0.5), low=0.01, high=0.2)


def planned(planner: Planner) -> Sweep:
    """A sweep of four trials. Its names of parameters are replaced, because only they reach the files."""
    base = planner.run(FINETUNE)
    options = SweepOptions(num_samples=4)
    space = plan_spaces({base.name: base.config}, options)[base.name]
    sweep = plan_sweep(base, space, options, planner, fixed=False)
    return replace(sweep, space=dict.fromkeys(VALUES[0], 0))


@pytest.fixture
def paths(shared_project: Path, tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(shared_project, tmp_path)


@pytest.fixture
def reported(paths: ProjectPaths) -> ProjectPaths:
    """The files of a sweep in which trial 1 is chosen, by the program's own writer."""
    settings = Settings(Recipe(epochs=3, weights="none"))
    planner = Planner(check_inputs([FINETUNE], settings, paths), settings, paths)
    sweep = planned(planner)
    trials = tuple(
        TrialRow(step, number, values, record)
        for number, (step, values, record) in enumerate(zip(sweep.members, VALUES, RECORDS, strict=True))
    )
    confirmed = (
        Confirmed(trials[0], (1, 2), (0.4, 0.6), (0.3, 0.5)),
        Confirmed(trials[1], (1, 2), (0.5, 0.7), (0.5, 0.5), BETTER),
    )
    write_sweep(SweepResult(sweep, trials, confirmed, trials[1]), planner)
    return paths


def page(paths: ProjectPaths) -> Page:
    write_reports(paths, collect(paths))
    return Page(paths.index)


def test_the_page_shows_trials_and_verdicts(reported: ProjectPaths) -> None:
    found = page(reported)
    compared, trials = [table for table in found.tables if table[0][0] == "Trial"]
    assert [row[0] for row in compared[1:]] == ["0", "1 ★"]
    assert compared[2][1:] == ["0.005", "cosine", "2", "0.6000 ± 0.1414", "0.5000 ± 0.0000",
                               "+0.1000 [+0.0100, +0.2000]", "better"]  # fmt: skip
    assert compared[1][-2:] == ["–", "default"]
    assert [row[0] for row in trials[1:]] == ["0", "1 ★", "2", "3"]
    assert trials[1][1:] == ["0.0005", "constant", "3", "3", "0.5000", "1:00", "finished"]
    assert trials[3][1:] == [
        "5e-05", "cosine", "2", "2", "0.2500", "2 s", "not among the best 2 of 3 in stage 2, epoch 2"
    ]  # fmt: skip
    assert trials[4][-3:] == ["–", "–", "not started"]


def test_a_figure_for_each_parameter_that_is_a_number(reported: ProjectPaths) -> None:
    (section,) = sweep_sections(reported)
    confirmation, rates = section.figures
    assert rates.title == "M1 Finetune: validation macro-F1 over lr_head"
    assert rates.layout["xaxis"]["type"] == "log"
    assert [row[0] for row in rates.rows] == ["0", "1", "2"], "a trial without a score has no dot"
    assert {trace["name"]: (trace["x"], trace["y"]) for trace in rates.traces} == {
        "default": ((5e-4,), (0.5,)), "chosen": ((5e-3,), (0.6,)), "stopped": ((5e-5,), (0.25,))
    }  # fmt: skip
    assert [row for row in confirmation.rows if "default" in row[0]] == [
        ("trial 0 (default)", 1, 0.3), ("trial 0 (default)", 2, 0.5)
    ]  # fmt: skip


def test_a_verdict_is_put_in_words(reported: ProjectPaths) -> None:
    (section,) = sweep_sections(reported)
    (meaning,) = section.meanings
    assert meaning.startswith("trial 1 is called 'better': the whole interval lies above 0")


def test_learning_curves_end_where_a_trial_was_stopped(reported: ProjectPaths) -> None:
    (section,) = sweep_sections(reported)
    folders = [reported.output / folder for folder in section.trials["folder"]]
    folders[0].mkdir(parents=True)
    (folders[0] / "history.csv").write_text("epoch,val_macro_f1\n1,0.25\n2,0.5\n", encoding="utf-8")
    write_json(folders[2] / "stopped.json", {"scores": [0.125, 0.25]})
    (section,) = sweep_sections(reported)
    (curves,) = [figure for figure in section.figures if "curves" in figure.id]
    assert curves.rows == [("0", 1, 0.25), ("0", 2, 0.5), ("2", 1, 0.125), ("2", 2, 0.25)]
    assert [trace["marker"]["symbol"][-1] for trace in curves.traces] == ["circle", "x"]


def test_a_folder_outside_the_results_is_not_read(reported: ProjectPaths) -> None:
    """The CSV may be of any origin."""
    file = reported.sweep(FINETUNE, ".csv")
    write_json(reported.output.parent / "elsewhere" / "stopped.json", {"scores": [0.5]})
    trials = read_rows(file)
    trials["folder"] = "../elsewhere"
    write_frame(file, trials)
    (section,) = sweep_sections(reported)
    assert not [figure for figure in section.figures if "curves" in figure.id]


def test_parallel_coordinates_from_three_parameters_on() -> None:
    trials = pd.DataFrame(
        {
            "trial": ["0", "1", "2"], "lr_head": ["1e-5", "1e-4", "1e-3"], "smooth": ["0", "0.1", "0.2"],
            "schedule": ["cosine", "constant", "cosine"], "best_val_macro_f1": ["0.5", "0.25", ""],
        }
    )  # fmt: skip
    assert parallel_figure("M1 Probe", ["lr_head", "smooth"], trials) is None
    figure = parallel_figure("M1 Probe", ["lr_head", "smooth", "schedule"], trials)
    assert figure is not None
    rate, smooth, schedule, score = figure.traces[0]["dimensions"]
    assert (rate["values"], rate["label"]) == ([-5, -4], "lr_head (log)")
    assert smooth["values"] == [0, 0.1]
    assert [schedule["ticktext"][value] for value in schedule["values"]] == ["cosine", "constant"]
    assert score["values"] == [0.5, 0.25]


def test_without_sweeps_the_page_has_no_such_part(paths: ProjectPaths) -> None:
    assert "Sweeps" not in page(paths).text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (".csv", ""),
        (".csv", "nothing"),
        (".csv", "trial,lr_head\n0,x\n"),
        (".csv", "trial,lr_head,best_val_macro_f1\n0,1\n"),
        ("_verdict.json", '{"compared": [1]}'),
        ("_verdict.json", "[1]"),
    ],
)
def test_files_of_another_origin_are_left_out(kind: str, text: str, reported: ProjectPaths) -> None:
    assert len(sweep_sections(reported)) == 1
    reported.sweep(FINETUNE, kind).write_text(text, encoding="utf-8")
    problems: list[str] = []
    assert sweep_sections(reported, problems) == []
    assert [problem[:37] for problem in problems] == ["the sweep of M1 Finetune is not shown"]
    assert problems[0] in html.unescape(page(reported).text)
