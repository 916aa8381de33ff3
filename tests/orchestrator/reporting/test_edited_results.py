"""Results that somebody has edited, that a training which diverged has left, or that say too much: all are reported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from by_hand import FACEAPI, RUNS, Cli, read_rows, write_faceapi, write_json, write_rows
from hypothesis import given
from hypothesis import strategies as st
from pages import Page

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.formats import duration, percent, score
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import Result, collect
from orchestrator.reporting.sweep_results import spread
from trainable.base.text import LONGEST

PROBE, K7 = f"{RUNS}/probe_M1_160", f"{RUNS}/finetune_K7_160"
PREDS, FACES = f"{K7}/test_preds.csv", f"{FACEAPI}/faceapi_M1_eval.csv"
Spoil = Callable[[Path], object]


def results(root: Path, failures: dict[str, str] | None = None) -> dict[str, Result]:
    """Of all experiments by name; the files of reports/ are written too."""
    paths = ProjectPaths(root, root)
    found = collect(paths, failures)
    write_reports(paths, found)
    return {result.experiment.name: result for result in found}


def notes_everywhere(root: Path, name: str, cli: Cli) -> list[str]:
    """The notes of an experiment in summary.csv, on the page and on the terminal."""
    done = cli("report", "--output-root", root)
    assert (done.returncode, done.stderr) == (0, "")
    place = [result.experiment.name for result in collect(ProjectPaths(root, root))].index(name)
    rows = read_rows(root / "reports/summary_overall_7exp.csv")
    table = Page(root / "reports/index.html").tables[0]
    return [rows[place]["notes"], table[1 + place][-1], done.stdout]


def change(root: Path, file: str, **values: object) -> None:
    path = root / file
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **values})


# -- files that went through Excel


def recode(file: str, encoding: str, old: str = "", new: str = "") -> Spoil:
    def spoil(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        (root / file).write_bytes((text.replace(old, new) if old else text).encode(encoding))

    return spoil


@pytest.mark.parametrize(
    ("name", "file", "spoil", "words"),
    [
        pytest.param("finetune_K7", PREDS, recode(PREDS, "cp949"), "iconv -f CP949 -t UTF-8", id="cp949"),
        pytest.param("finetune_K7", PREDS, recode(PREDS, "utf-16"), "UTF-16", id="unicode-text"),
        pytest.param("finetune_K7", PREDS, recode(PREDS, "utf-8", ",", ";"), "semicolons", id="semicolons"),
        pytest.param("finetune_K7", PREDS, recode(PREDS, "utf-8", ",", "\t"), "tabs", id="tabs"),
        pytest.param("faceapi_M1", FACES, recode(FACES, "cp949", "happy", "기쁨"), "CP949", id="faceapi-cp949"),
        pytest.param("faceapi_M1", FACES, recode(FACES, "utf-8", ",", ";"), "semicolons", id="faceapi-semicolons"),
        pytest.param("faceapi_M1", FACES, recode(FACES, "utf-8", "0.8,", '"0,8",'), "'0,8'", id="decimal-commas"),
        pytest.param("finetune_K7", f"{K7}/classes.json", recode(f"{K7}/classes.json", "cp949"), "CP949", id="classes"),
        pytest.param(
            "finetune_K7",
            f"{K7}/test_metrics.json",
            recode(f"{K7}/test_metrics.json", "utf-16"),
            "UTF-16",
            id="metrics",
        ),
    ],
)
def test_the_note_names_the_file_and_a_way_out(name: str, file: str, spoil: Spoil, words: str, seven: Path) -> None:
    spoil(seven)
    found = results(seven)
    (note,) = found.pop(name).notes
    assert note.startswith(f"its files are not readable: {seven}/{file}")
    assert words in note
    assert len(note.splitlines()) == 1
    assert all(result.present and not result.notes for result in found.values())


@pytest.mark.parametrize("marks", ["\ufeff", "\ufeff\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_marks_and_line_ends_of_windows_are_read(marks: str, end: str, seven: Path) -> None:
    before = {name: (r.test_top1, r.classes, r.coverage) for name, r in results(seven).items()}
    for file in (*(seven / RUNS).glob("*/*.*s*"), *(seven / FACEAPI).glob("*.csv")):
        if file.suffix in (".csv", ".json") and file.name != "manifest.json":
            text = file.read_text(encoding="utf-8").replace("\n", end)
            file.write_bytes((marks + text).encode())
    found = results(seven)
    assert {name: (r.test_top1, r.classes, r.coverage) for name, r in found.items()} == before
    assert not [note for result in found.values() for note in result.notes]


# -- scores that are no numbers


@pytest.mark.parametrize(
    ("file", "key", "said"),
    [
        ("val_metrics_best.json", "macro_f1", "macro-F1 (val): not a number"),
        ("test_metrics.json", "macro_f1", "macro-F1 (test): not a number"),
        ("test_metrics.json", "accuracy", "Top-1 (test): not a number"),
    ],
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "NaN"])
def test_a_score_that_is_no_number_is_shown_and_noted(
    value: object, file: str, key: str, said: str, seven: Path, cli: Cli
) -> None:
    change(seven, f"{PROBE}/{file}", **{key: value})
    shown = f"{float(value)}"  # type: ignore[arg-type]
    for notes in notes_everywhere(seven, "probe_M1", cli):
        assert said in notes
    row = read_rows(seven / "reports/summary_overall_7exp.csv")[1]
    assert shown in row.values()
    assert shown in " ".join(Page(seven / "reports/index.html").tables[0][2])
    assert all(float(row["test_macro_f1"]) > 0 for row in read_rows(seven / "reports/summary_overall_7exp.csv")[4:])


@pytest.mark.parametrize("seconds", [math.nan, math.inf, "long", None, [1], True])
def test_a_time_of_any_kind(seconds: object, seven: Path, cli: Cli) -> None:
    change(seven, f"{PROBE}/manifest.json", seconds=seconds)
    assert cli("report", "--output-root", seven).returncode == 0


@given(st.floats() | st.none())
def test_every_figure_can_be_written(value: float | None) -> None:
    assert score(value) and percent(value) and duration(value)
    assert "%" not in percent(value) or (value is not None and math.isfinite(value))


@given(st.lists(st.floats(-1e3, 1e3) | st.just(math.nan) | st.just(math.inf), max_size=6))
def test_mean_and_deviation_of_anything(values: list[float]) -> None:
    import statistics

    mean, deviation = spread(values)
    if len(values) > 1 and all(map(math.isfinite, values)):
        assert mean == pytest.approx(statistics.fmean(values), abs=1e-9)
        assert deviation == pytest.approx(statistics.stdev(values), abs=1e-6)
    else:
        assert math.isnan(deviation)


# -- one answer for everything


def test_a_model_that_predicts_one_class_only(seven: Path, cli: Cli) -> None:
    rows = [("a", "angry", "happy"), ("b", "happy", "happy"), ("c", "sad", "happy")]
    write_rows(seven / PROBE / "test_preds.csv", ("path", "true", "pred"), rows)
    for notes in notes_everywhere(seven, "probe_M1", cli):
        assert "predicts one class only: happy" in notes


def test_so_does_the_runbooks_own_script(seven: Path) -> None:
    """It leaves neither classes.json nor a manifest."""
    write_rows(seven / K7 / "test_preds.csv", ("path", "true", "pred"), [("a", "기쁨", "중립"), ("b", "슬픔", "중립")])
    for name in ("classes.json", "manifest.json", "history.csv"):
        (seven / K7 / name).unlink()
    assert results(seven)["finetune_K7"].notes == (
        "no manifest: made by something else, or unfinished",
        "predicts one class only: 중립",
    )


def test_so_does_faceapi(seven: Path) -> None:
    write_faceapi(seven, "M1", [("a", "happy", "neutral", 0.9, 1, 0.8, 0), ("b", "neutral", "neutral", 0.9, 1, 0.8, 1)])
    assert results(seven)["faceapi_M1"].notes == ("predicts one class only: neutral",)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([("a", "happy", "happy"), ("b", "happy", "happy")], id="rows-of-one-class"),
        pytest.param([("a", "happy", "happy"), ("b", "sad", "sad")], id="two-classes"),
        pytest.param([("a", "happy", "sad")], id="one-row"),
        pytest.param([], id="no-row"),
    ],
)
def test_what_is_no_single_answer(rows: list[tuple[str, str, str]], seven: Path) -> None:
    write_rows(seven / PROBE / "test_preds.csv", ("path", "true", "pred"), rows)
    assert results(seven)["probe_M1"].notes == ()


# -- notes


def test_the_notes_of_a_run_are_shown_once(seven: Path, cli: Cli) -> None:
    said = "weights: prefix 'module.' removed"
    write_rows(seven / PROBE / "test_preds.csv", ("path", "true", "pred"), [("a", "angry", "sad"), ("b", "sad", "sad")])
    change(seven, f"{PROBE}/manifest.json", notes=[said, "predicts one class only: sad"], fallbacks=["batch halved"])
    assert results(seven)["probe_M1"].notes == (said, "predicts one class only: sad", "batch halved")
    for notes in notes_everywhere(seven, "probe_M1", cli):
        assert said in notes and "batch halved" in notes


TRACE = (
    "Traceback (most recent call last):\n" + "\n".join(f'  File "{i}.py", line {i}\r' for i in range(90)) + "\nboom\n"
)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda root: change(root, f"{PROBE}/manifest.json", notes=[TRACE]), id="note"),
        pytest.param(
            lambda root: change(root, f"{PROBE}/manifest.json", fallbacks=[TRACE, {"a": TRACE}]), id="fallback"
        ),
        pytest.param(lambda root: change(root, f"{PROBE}/manifest.json", corrupt_images={"test": [TRACE]}), id="path"),
        pytest.param(
            lambda root: write_rows(root / PROBE / "test_preds.csv", ("path", "true", "pred"), [("a", "sad", TRACE)]),
            id="label",
        ),
    ],
)
def test_a_note_is_one_line_of_a_sensible_length(spoil: Spoil, seven: Path, cli: Cli) -> None:
    spoil(seven)
    notes = results(seven)["probe_M1"].notes
    assert notes
    assert all(len(note) <= LONGEST and len(note.splitlines()) == 1 for note in notes)
    in_csv, on_page, on_terminal = notes_everywhere(seven, "probe_M1", cli)
    assert in_csv == on_page == "; ".join(notes)
    assert [line for line in on_terminal.splitlines() if line.startswith("probe_M1: ")] == [
        f"probe_M1: {note}" for note in notes
    ]


def test_so_is_a_failure(seven: Path) -> None:
    for result in (
        results(seven, {"probe_M1": TRACE})["probe_M1"],
        results(seven.parent, {"probe_M1": TRACE})["probe_M1"],
    ):
        assert result.notes[0].startswith("failed: Traceback (most recent call last):")
        assert all(len(note) <= LONGEST and len(note.splitlines()) == 1 for note in result.notes)


# -- labels that Excel would take for formulas


def test_labels_in_the_csvs_stay_as_they_are(seven: Path) -> None:
    """They are data for programs: a class named -1 is no other one than in classes.json (docs/data.md)."""
    labels = ["-1", "+1", "=1+1", "@x", "\tx"]
    write_json(seven / PROBE / "classes.json", {"classes": labels})
    write_rows(seven / PROBE / "test_preds.csv", ("path", "true", "pred"), [("a", label, label) for label in labels])
    assert results(seven)["probe_M1"].present
    rows = read_rows(seven / "reports/probe_M1_160_per_class_metrics.csv")
    assert [row["class"] for row in rows] == labels
    counts = read_rows(seven / "reports/probe_M1_160_cm_counts.csv")
    assert [row["true\\pred"] for row in counts] == labels == list(counts[0])[1:]
