"""What the table knows of each experiment, read back from the files of runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from by_hand import FACEAPI, FACEAPI_COLUMNS, FINISHED, RUNS, write_faceapi, write_json, write_rows

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import Result, collect

PROBE = f"{RUNS}/probe_M1_160"
FACES = f"{FACEAPI}/faceapi_M1_eval.csv"
Spoil = Callable[[Path], object]


def results(root: Path, failures: dict[str, str] | None = None) -> dict[str, Result]:
    return {result.experiment.name: result for result in collect(ProjectPaths(root, root), failures)}


def change(root: Path, name: str, **values: object) -> None:
    file = root / PROBE / name
    write_json(file, {**json.loads(file.read_text(encoding="utf-8")), **values})


def test_all_seven(seven: Path) -> None:
    found = results(seven)
    figures = {
        name: (r.epochs, r.batch, r.n, r.val_macro_f1, r.test_macro_f1, r.test_top1) for name, r in found.items()
    }
    assert figures == {
        "faceapi_M1": (None, None, 4, None, None, 0.5),
        "probe_M1": (5, 1024, 4, 0.1111, 0.12224, 0.5),
        "finetune_M1": (30, 1024, 4, 0.2111, 0.22226, 0.75),
        "faceapi_M2": (None, None, 3, None, None, 1.0),
        "probe_M2": (5, 1024, 4, 0.3111, 0.3222, 0.5),
        "finetune_M2": (30, 1024, 4, 0.4111, 0.4222, 0.75),
        "finetune_K7": (50, 1024, 3, 0.5111, 0.5222, 2 / 3),
    }
    assert all(result.present and not result.notes for result in found.values())
    assert found["probe_M1"].seconds == 61.25
    assert found["finetune_K7"].classes == ("기쁨", "당황", "분노", "불안", "상처", "슬픔", "중립")


def test_where_nothing_ran_there_is_nothing(tmp_path: Path) -> None:
    for result in results(tmp_path).values():
        assert result == Result(result.experiment)
        assert not result.present


# -- FaceAPI: matched rows, coverage, all rows

HIT, MISS = ("happy", "happy", 0.9, 1, 0.8, 1), ("happy", "sad", 0.9, 1, 0.8, 0)
ELSEWHERE, UNDETECTED = ("sad", "sad", 0.9, 1, 0.2999, 1), ("sad", "", 0, 0, 0, 0)
JUST = ("sad", "sad", 0.9, 1, 0.3, 1)


@pytest.mark.parametrize(
    ("rows", "n", "top1", "coverage", "all_rows"),
    [
        pytest.param([HIT], 1, 1, 1, 1, id="right"),
        pytest.param([MISS], 1, 0, 1, 0, id="wrong"),
        pytest.param([HIT, MISS, ELSEWHERE, UNDETECTED], 4, 1 / 2, 1 / 2, 1 / 4, id="one-of-each"),
        pytest.param([HIT, ELSEWHERE, ELSEWHERE], 3, 1, 1 / 3, 1 / 3, id="the-right-label-of-another-face-is-wrong"),
        pytest.param([JUST], 1, 1, 1, 1, id="an-iou-of-030-matches"),
        pytest.param([HIT, UNDETECTED, UNDETECTED, UNDETECTED], 4, 1, 1 / 4, 1 / 4, id="skipping-hard-faces"),
        pytest.param([UNDETECTED, ELSEWHERE], 2, 0, 0, 0, id="no-row-matches"),
        pytest.param([("happy", "happy", 0.9, "True", 0.8, 1)], 1, 1, 1, 1, id="true-in-words"),
        pytest.param([("happy", "happy", 0.9, "0", 0.8, 1)], 1, 0, 0, 0, id="overlap-without-detection"),
        pytest.param([], 0, 0, 0, 0, id="no-rows"),
    ],
)
def test_faceapi_arithmetic(
    rows: list[tuple[object, ...]], n: int, top1: float, coverage: float, all_rows: float, tmp_path: Path
) -> None:
    write_faceapi(tmp_path, "M1", [(f"{i}.jpg", *row) for i, row in enumerate(rows)])
    found = results(tmp_path)["faceapi_M1"]
    assert (found.n, found.test_top1, found.coverage, found.top1_all_rows) == (n, top1, coverage, all_rows)
    assert found.present
    assert len(found.predictions) == round(coverage * n)
    write_reports(ProjectPaths(tmp_path, tmp_path), collect(ProjectPaths(tmp_path, tmp_path)))


def test_faceapi_classes_are_those_of_matched_rows(seven: Path) -> None:
    found = results(seven)["faceapi_M1"]
    assert found.classes == ("happy", "sad")
    assert found.confusion.to_dict("tight") == {
        "index": ["happy", "sad"], "columns": ["happy", "sad"], "data": [[1, 1], [0, 0]],
        "index_names": [None], "column_names": [None],
    }  # fmt: skip
    assert found.per_class.to_dict("records") == [
        {"class": "happy", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
        {"class": "sad", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    ]


def test_faceapi_without_a_match_has_no_classes(tmp_path: Path) -> None:
    write_faceapi(tmp_path, "M1", [("a.jpg", *UNDETECTED)])
    found = results(tmp_path)["faceapi_M1"]
    assert found.classes == ()
    assert found.confusion.shape == (0, 0)
    assert found.per_class.empty


# -- files that are broken, lost or of another origin

BROKEN = [
    pytest.param(lambda p: (p / "test_metrics.json").write_text('{"macro_f1": 0.'), "test_metrics.json", id="cut-json"),
    pytest.param(lambda p: (p / "test_metrics.json").write_text(""), "test_metrics.json", id="empty-json"),
    pytest.param(lambda p: (p / "test_metrics.json").write_bytes(b"\xff\xfe\0"), "test_metrics.json", id="no-text"),
    pytest.param(lambda p: (p / "val_metrics_best.json").write_text("[0.5]"), "val_metrics_best.json", id="a-list"),
    pytest.param(lambda p: write_json(p / "test_metrics.json", {"n": 3}), "macro_f1", id="a-key-is-missing"),
    pytest.param(lambda p: change(p.parents[3], "test_metrics.json", macro_f1=None), "not None", id="null"),
    pytest.param(lambda p: change(p.parents[3], "test_metrics.json", macro_f1="x"), "'x'", id="text-for-a-number"),
    pytest.param(lambda p: change(p.parents[3], "manifest.json", config=[1]), "list", id="manifest-of-lists"),
    pytest.param(lambda p: (p / "classes.json").write_text("null"), "classes.json", id="null-classes"),
    pytest.param(lambda p: write_json(p / "classes.json", {"classes": ["x", "y"]}), "'angry'", id="other-classes"),
    pytest.param(lambda p: write_rows(p / "test_preds.csv", ["path", "true"], [["a", "sad"]]), "pred", id="no-column"),
    pytest.param(
        lambda p: write_rows(p / "test_preds.csv", ["path", "true", "pred"], [["a", "sad"]]),
        "test_preds.csv:2: has fewer cells", id="a-short-row",
    ),
    pytest.param(lambda p: (p / "test_preds.csv").write_bytes("분노".encode("cp949")), "f CP949", id="cp949"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), BROKEN)
def test_one_broken_file_hides_no_other_experiment(spoil: Spoil, words: str, seven: Path) -> None:
    paths = ProjectPaths(seven, seven)
    spoil(seven / PROBE)
    found = results(seven)
    broken = found.pop("probe_M1")
    assert not broken.present
    assert broken.notes[0].startswith("its files are not readable")
    assert words in broken.notes[0]
    assert all(result.present and not result.notes for result in found.values())
    write_reports(paths, collect(paths))
    with paths.summary.open(encoding="utf-8", newline="") as stream:
        assert [row["experiment"] for row in csv.DictReader(stream) if row["n"]] == [
            result.experiment.folder for result in found.values()
        ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        pytest.param(FACEAPI_COLUMNS[:-1], ("a.jpg", "sad", "sad", 1, 1, 0.9), id="no-column-correct"),
        pytest.param(FACEAPI_COLUMNS, ("a.jpg", "sad", "sad", 1, 1, "wide", 1), id="iou-no-number"),
        pytest.param(FACEAPI_COLUMNS, ("a.jpg", "sad", "sad", 1, 1, 0.9, "yes"), id="correct-no-number"),
        pytest.param(FACEAPI_COLUMNS, ("a.jpg", "sad"), id="a-short-row"),
    ],
)
def test_broken_faceapi_results(header: tuple[str, ...], row: tuple[object, ...], seven: Path) -> None:
    write_rows(seven / FACES, header, [row])
    found = results(seven)
    broken = found.pop("faceapi_M1")
    assert not broken.present
    assert broken.notes[0].startswith("its files are not readable")
    assert all(result.present and not result.notes for result in found.values())


@pytest.mark.parametrize("name", ["val_metrics_best.json", "test_metrics.json", "test_preds.csv"])
def test_a_lost_file_is_no_result(name: str, seven: Path) -> None:
    (seven / PROBE / name).unlink()
    found = results(seven)["probe_M1"]
    assert (found.present, found.notes) == (False, ())


@pytest.mark.parametrize("text", [None, "", "[]", '"text"', "{", "{}"])
def test_results_without_a_manifest_are_shown_and_said_to_be_so(text: str | None, seven: Path) -> None:
    manifest = seven / PROBE / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text, encoding="utf-8")
    found = results(seven)["probe_M1"]
    assert found.present
    assert (found.test_macro_f1, found.epochs, found.seconds) == (0.12224, None, None)
    assert found.notes == ("no manifest: made by something else, or unfinished",)


# -- notes


def test_a_failure_without_results(tmp_path: Path) -> None:
    found = results(tmp_path, {"probe_M1": "out of memory"})
    assert found["probe_M1"].notes == ("failed: out of memory",)
    assert not found["probe_M1"].present
    assert found["probe_M2"].notes == ()


def test_a_failure_beside_earlier_results_says_whose_figures_these_are(seven: Path) -> None:
    found = results(seven, {"probe_M1": "out of memory"})["probe_M1"]
    assert found.test_top1 == 0.5
    assert found.notes == ("failed: out of memory", f"the figures are of an earlier run ({FINISHED})")


def test_a_failure_beside_a_broken_file(seven: Path) -> None:
    (seven / PROBE / "test_metrics.json").write_text("{")
    notes = results(seven, {"probe_M1": "out of memory"})["probe_M1"].notes
    assert notes[0] == "failed: out of memory"
    assert "not readable" in notes[1]


# -- what a run left behind that did not end

NOTE = {"identity": {"config": {"epochs": 5}}, "epoch": 3}
BEGUN = ".emosweep/faceapi/faceapi_M1/rows.json"


def test_an_interruption_without_results(tmp_path: Path) -> None:
    write_json(tmp_path / PROBE / ".checkpoints" / "last.json", NOTE)
    write_json(tmp_path / BEGUN, {"done": 128, "of": 300})
    found = results(tmp_path)
    assert found["probe_M1"].notes == ("not finished: after epoch 3 of 5",)
    assert found["faceapi_M1"].notes == ("not finished: after 128 of 300 rows",)
    assert not any(result.present for result in found.values())
    assert found["probe_M2"].notes == found["faceapi_M2"].notes == ()


@pytest.mark.parametrize("failure", [{}, {"probe_M1": "out of memory"}], ids=["stopped", "failed"])
def test_an_interruption_beside_earlier_results_says_whose_figures_these_are(
    failure: dict[str, str], seven: Path
) -> None:
    write_json(seven / PROBE / ".checkpoints" / "last.json", NOTE)
    found = results(seven, failure)["probe_M1"]
    assert found.test_top1 == 0.5
    assert found.notes == (
        *(f"failed: {words}" for words in failure.values()),
        "not finished: after epoch 3 of 5",
        f"the figures are of an earlier run ({FINISHED})",
    )


def test_files_of_a_run_that_is_being_replaced_are_no_result(seven: Path) -> None:
    (seven / PROBE / "manifest.json").unlink()
    write_json(seven / PROBE / ".checkpoints" / "last.json", NOTE)
    found = results(seven)["probe_M1"]
    assert (found.present, found.notes) == (False, ("not finished: after epoch 3 of 5",))


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("[3]", ()),
        ("{", ()),
        ("{}", ()),
        ('{"epoch": 3}', ()),
        ('{"epoch": 3, "identity": {"config": [5]}}', ("not finished: after epoch 3",)),
        ('{"epoch": 3, "identity": 5}', ()),
    ],
)
def test_strange_notes_of_an_interruption(note: str, words: tuple[str, ...], tmp_path: Path) -> None:
    write_json(tmp_path / PROBE / ".checkpoints" / "last.json", {})
    (tmp_path / PROBE / ".checkpoints" / "last.json").write_text(note, encoding="utf-8")
    assert results(tmp_path)["probe_M1"].notes == words


@pytest.mark.parametrize(
    ("corrupt", "words"),
    [
        ({"train": ["a.jpg"], "val": [], "test": []}, "1 corrupt image(s) as black patches: a.jpg"),
        ({"train": ["a.jpg"], "test": ["슬픔.jpg"]}, "2 corrupt image(s) as black patches: a.jpg, 슬픔.jpg"),
        ({"train": [f"{i}.jpg" for i in range(5)]},
         "5 corrupt image(s) as black patches: 0.jpg, 1.jpg, 2.jpg and 2 more"),
    ],
)  # fmt: skip
def test_corrupt_images_are_counted_and_named(corrupt: dict[str, list[str]], words: str, seven: Path) -> None:
    change(seven, "manifest.json", corrupt_images=corrupt)
    assert results(seven)["probe_M1"].notes == (words,)


def test_fallbacks_are_told(seven: Path) -> None:
    change(seven, "manifest.json", fallbacks=["out of device memory in epoch 1"])
    assert results(seven)["probe_M1"].notes == ("out of device memory in epoch 1",)


def test_unreadable_photos_are_counted(seven: Path) -> None:
    write_json(seven / FACEAPI / "faceapi_M1_eval.manifest.json", {"unreadable_images": ["unreadable: a.jpg: empty"]})
    assert results(seven)["faceapi_M1"].notes == ("1 unreadable image(s)",)


def test_a_folder_of_the_runbooks_own_script_counts(seven: Path) -> None:
    """Section 6 promises best.pt, macro_f1 and the predictions, not what this program adds."""
    for name in ("classes.json", "manifest.json", "history.csv"):
        (seven / PROBE / name).unlink()
    write_json(seven / PROBE / "test_metrics.json", {"macro_f1": 0.25})
    found = results(seven)["probe_M1"]
    assert (found.n, found.test_macro_f1, found.test_top1) == (4, 0.25, 0.75)
    assert set(found.classes) == {*found.predictions["true"], *found.predictions["pred"]}
    assert "no manifest" in found.notes[0]
