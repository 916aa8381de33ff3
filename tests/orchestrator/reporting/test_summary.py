"""The runbook's table: as a CSV with exact columns, and on a terminal of 80 columns."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from by_hand import read_rows
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli.summary_table import print_summary
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import Result, collect

COLUMNS = [
    "experiment", "split", "method", "epochs", "batch", "n", "val_macro_f1", "test_macro_f1", "test_top1", "coverage",
    "top1_all_rows", "published_val_macro_f1", "published_test_macro_f1", "published_top1", "published_coverage",
    "seconds", "notes",
]  # fmt: skip

# The runbook's section 7, column by column: val and test macro-F1, Top-1, coverage.
PUBLISHED = {
    "faceapi_M1": ("", "", "0.4207", "0.5008"),
    "probe_M1_160": ("0.4617", "0.4597", "0.5034", ""),
    "finetune_M1_160": ("0.7303", "0.7298", "0.7494", ""),
    "faceapi_M2": ("", "", "0.3209", "0.5008"),
    "probe_M2_160": ("0.459", "0.4552", "0.499", ""),
    "finetune_M2_160": ("0.73", "0.729", "0.7427", ""),
    "finetune_K7_160": ("0.6555", "0.6546", "0.6865", ""),
}


def summary(root: Path, failures: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths, failures))
    return {row["experiment"]: row for row in read_rows(root / "reports" / "summary_overall_7exp.csv")}


def printed(results: list[Result], width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_summary(console, results)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def found(root: Path, failures: dict[str, str] | None = None) -> list[Result]:
    return collect(ProjectPaths(root, root), failures)


# -- the CSV


def test_columns_are_exact(seven: Path) -> None:
    summary(seven)
    header = (seven / "reports" / "summary_overall_7exp.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == ",".join(COLUMNS)


def test_rows_in_the_runbooks_order(seven: Path) -> None:
    rows = summary(seven)
    assert list(rows) == list(PUBLISHED)
    assert [(row["split"], row["method"]) for row in rows.values()] == [
        ("M1", "faceapi"), ("M1", "probe"), ("M1", "finetune"), ("M2", "faceapi"), ("M2", "probe"), ("M2", "finetune"),
        ("K7", "finetune"),
    ]  # fmt: skip


def test_what_was_published_stands_beside_it(seven: Path) -> None:
    names = ("published_val_macro_f1", "published_test_macro_f1", "published_top1", "published_coverage")
    assert {e: tuple(row[name] for name in names) for e, row in summary(seven).items()} == PUBLISHED


def test_our_figures(seven: Path) -> None:
    rows = summary(seven)
    own = COLUMNS[3:11]
    assert [rows["finetune_K7_160"][name] for name in own] == [
        "50", "1024", "3", "0.5111", "0.5222", "0.666667", "", ""
    ]  # fmt: skip
    assert [rows["faceapi_M1"][name] for name in own] == ["", "", "4", "", "", "0.5", "0.5", "0.25"]
    assert [rows["faceapi_M2"][name] for name in own] == ["", "", "3", "", "", "1.0", "0.333333", "0.333333"]
    assert (rows["probe_M1_160"]["seconds"], rows["probe_M1_160"]["notes"]) == ("61.25", "")


def test_without_results_only_what_was_published(tmp_path: Path) -> None:
    for row in summary(tmp_path).values():
        assert not any(row[name] for name in (*COLUMNS[3:11], "seconds"))
        assert row["published_top1"]
        assert row["notes"] == "no result yet"


def test_notes_are_joined(seven: Path) -> None:
    row = summary(seven, {"probe_M1": 'ran out, "again"'})["probe_M1_160"]
    assert row["notes"].startswith('failed: ran out, "again"; the figures are of an earlier run')


# -- the terminal


def test_the_table(seven: Path) -> None:
    lines = printed(found(seven))
    text = "\n".join(" ".join(line.split()) for line in lines)
    for line in (
        "M1 FaceAPI – – – – 50.00% 50.00% 25.00% 12 s",
        "M1 Probe 5 1024 0.1111 0.1222 50.00% – – 1:01",
        "M1 Finetune 30 1024 0.2111 0.2223 75.00% – – 1:01",
        "M2 FaceAPI – – – – 100.00% 33.33% 33.33% 12 s",
        "K7 Finetune 50 1024 0.5111 0.5222 66.67% – – 1:01",
    ):
        assert line in text
    assert "0.7303 0.7298 74.94%" in text, "the published figures of finetune_M1"
    assert "42.07% 50.08%" in text, "the published figures of faceapi_M1"


def test_dashes_where_there_is_nothing(tmp_path: Path) -> None:
    text = "\n".join(" ".join(line.split()) for line in printed(found(tmp_path)))
    assert text.count("Finetune – – – – – – – –") == 3
    assert text.count("FaceAPI – – – – – – – –") == 2


def test_it_fits_a_terminal_of_80_columns(seven: Path) -> None:
    slowest = [
        replace(r, epochs=1000 if r.epochs else None, batch=16384, test_top1=1.0, coverage=1.0, top1_all_rows=1.0,
                seconds=99 * 3600.0)
        for r in found(seven)
    ]  # fmt: skip
    for lines in (printed(found(seven)), printed(slowest)):
        assert max(map(cell_len, lines)) <= 80
        assert not any("…" in line for line in lines)
    text = " ".join(printed(slowest))
    assert "99:00:00" in text
    assert text.count("100.00%") == 21


def test_notes_stand_below_the_table_and_are_whole(seven: Path) -> None:
    note = "손상된 이미지 3개: data_shared/cropped_faces_160/M1/슬픔_0001.jpg, " + "가" * 60 + " [red]끝[/red]"
    lines = printed(found(seven, {"probe_M1": note}))
    assert f"probe_M1: failed: {note}" in lines, "cut, wrapped or taken for markup"
    assert max(cell_len(line) for line in lines if not line.startswith("probe_M1: ")) <= 80
    assert not any("…" in line for line in lines)
