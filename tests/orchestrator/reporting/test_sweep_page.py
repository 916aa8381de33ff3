"""The sweeps on the page, from files in reports/sweeps/."""

from __future__ import annotations

from pathlib import Path

from by_hand import write_json, write_rows
from pages import Page

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect
from orchestrator.reporting.sweep_page import sweep_sections
from search_spaces.runbook import EXPERIMENTS

FINETUNE = next(e for e in EXPERIMENTS if e.name == "finetune_K7")
COLUMNS = ("trial", "lr_head", "schedule", "stage", "epochs", "best_val_macro_f1", "best_epoch", "seconds",
           "why_it_stopped", "folder")  # fmt: skip
ROWS = (
    (0, 5e-4, "constant", 3, 30, 0.5, 20, 60.5, "finished", "a"),
    (1, 5e-3, "cosine", 3, 30, 0.6, 21, 61.5, "finished", "b"),
    (2, 5e-5, "cosine", 2, 9, 0.25, 9, 2.5, "not among the best 2 of 3 in stage 2, epoch 9", "c"),
    (3, 1e-4, "cosine", "", 0, "", "", "", "not started", "d"),
)
COMPARED = [
    {"trial": 0, "values": {"lr_head": 5e-4, "schedule": "constant"}, "seeds": [1, 2], "val_macro_f1": [0.4, 0.6],
     "test_macro_f1": [0.3, 0.5], "verdict": "default"},
    {"trial": 1, "values": {"lr_head": 5e-3, "schedule": "cosine"}, "seeds": [1, 2], "val_macro_f1": [0.5, 0.7],
     "test_macro_f1": [0.5, 0.5], "difference": 0.1, "interval": [0.01, 0.2], "level": 0.95, "verdict": "better"},
]  # fmt: skip


def write_sweep_files(paths: ProjectPaths) -> None:
    paths.sweep(FINETUNE, ".csv").parent.mkdir(parents=True)
    write_rows(paths.sweep(FINETUNE, ".csv"), COLUMNS, ROWS)
    write_json(paths.sweep(FINETUNE, "_verdict.json"), {"chosen": 1, "compared": COMPARED})


def page(paths: ProjectPaths) -> Page:
    write_reports(paths, collect(paths))
    return Page(paths.index)


def test_the_page_shows_trials_and_verdicts(tmp_path: Path) -> None:
    paths = ProjectPaths(tmp_path, tmp_path)
    write_sweep_files(paths)
    found = page(paths)
    compared, trials = found.tables[-2:]
    assert [row[0] for row in compared[1:]] == ["0", "1 ★"]
    assert compared[2][1:] == ["0.005", "cosine", "2", "0.6000 ± 0.1414", "0.5000 ± 0.0000",
                               "+0.1000 [+0.0100, +0.2000]", "better"]  # fmt: skip
    assert compared[1][-2:] == ["–", "default"]
    assert [row[0] for row in trials[1:]] == ["0", "1 ★", "2", "3"]
    assert trials[3][-1] == "not among the best 2 of 3 in stage 2, epoch 9"
    assert trials[4][-3:] == ["–", "–", "not started"]


def test_a_panel_for_each_parameter_that_is_a_number(tmp_path: Path) -> None:
    paths = ProjectPaths(tmp_path, tmp_path)
    write_sweep_files(paths)
    (section,) = sweep_sections(paths)
    (panel,) = section.panels
    assert panel.parameter == "lr_head (log)"
    assert [dot.trial for dot in panel.dots] == ["0", "1", "2"], "a trial without a score has no dot"
    by_rate, by_score = (sorted(panel.dots, key=key) for key in (lambda d: d.x, lambda d: -d.y))
    assert [dot.trial for dot in by_rate] == ["2", "0", "1"]
    assert [dot.trial for dot in by_score] == ["2", "0", "1"]
    assert [dot.finished for dot in panel.dots] == [True, True, False]


def test_without_sweeps_the_page_has_no_such_part(tmp_path: Path) -> None:
    assert "Sweeps" not in page(ProjectPaths(tmp_path, tmp_path)).text


def test_files_that_are_not_ours_are_left_out(tmp_path: Path) -> None:
    paths = ProjectPaths(tmp_path, tmp_path)
    write_sweep_files(paths)
    for text in ("", "nothing", "trial,lr_head\n0,x\n"):
        paths.sweep(FINETUNE, ".csv").write_text(text, encoding="utf-8")
        assert sweep_sections(paths) == []
    write_rows(paths.sweep(FINETUNE, ".csv"), COLUMNS, ROWS)
    paths.sweep(FINETUNE, "_verdict.json").write_text('{"compared": [1]}', encoding="utf-8")
    assert sweep_sections(paths) == []
