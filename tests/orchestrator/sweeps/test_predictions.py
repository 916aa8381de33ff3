"""`read_predictions` and `compare_runs`: run folders that can be compared, and the messages for those that cannot."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.sweeps.predictions import compare_runs, read_predictions
from orchestrator.sweeps.verdict import compare
from trainable.base.errors import ExperimentError
from trainable.base.files import write_csv
from trainable.base.paths import PREDS_COLUMNS
from trainable.run.metrics import classification_metrics

NAMES = ["anger", "fear", "joy", "neutral"]


def write_run(folder: Path, predicted: list[str], true: list[str] | None = None, classes: list[str] = NAMES) -> Path:
    folder.mkdir()
    (folder / "classes.json").write_text(json.dumps({"classes": classes}), encoding="utf-8")
    lines = [f"a/{i}.jpg,{t},{p}" for i, (t, p) in enumerate(zip(true or TRUE, predicted, strict=True))]
    (folder / "test_preds.csv").write_text("\n".join(["path,true,pred", *lines, ""]), encoding="utf-8")
    return folder


TRUE = ["anger", "joy", "neutral", "joy"]
PREDICTED = [["anger", "joy", "fear", "joy"], ["joy", "joy", "neutral", "joy"], TRUE, ["fear"] * 4]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs of the default and two of another configuration."""
    return [write_run(tmp_path / str(i), predicted) for i, predicted in enumerate(PREDICTED)]


def test_predictions_are_read(runs: list[Path]) -> None:
    found = read_predictions(runs)
    assert found.classes == tuple(NAMES)
    assert found.paths == tuple(f"a/{i}.jpg" for i in range(4))
    assert found.true.tolist() == [0, 2, 3, 2]
    assert found.predicted.tolist() == [[0, 2, 1, 2], [2, 2, 3, 2], [0, 2, 3, 2], [1, 1, 1, 1]]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(max_examples=20)
@given(st.lists(texts, min_size=1, max_size=4, unique=True), st.lists(texts, min_size=1, max_size=5), st.data())
@example(["NA", "", "nan"], ["", " a ", 'b"c', "d,e", "f\ng"], None)
def test_paths_and_labels_are_read_as_they_were_written(
    classes: list[str], paths: list[str], data: st.DataObject
) -> None:
    """pandas would take NA, nan or an empty text for a missing value, and numbers for numbers."""
    labels = [data.draw(st.sampled_from(classes)) if data else classes[i % len(classes)] for i in range(len(paths))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "classes.json").write_text(json.dumps({"classes": classes}), encoding="utf-8")
        rows = list(zip(paths, labels, labels[::-1], strict=True))
        write_csv(folder / "test_preds.csv", PREDS_COLUMNS, rows)
        found = read_predictions([folder])
    assert found.classes == tuple(classes)
    assert found.paths == tuple(paths)
    assert [classes[i] for i in found.true] == labels
    assert [classes[i] for i in found.predicted[0]] == labels[::-1]
    assert found.true.dtype == found.predicted.dtype == "int64"


def test_columns_may_be_in_another_order_and_more(runs: list[Path]) -> None:
    text = "pred,seen,path,true\n" + "".join(
        f"{p},x,a/{i}.jpg,{t}\n" for i, (t, p) in enumerate(zip(TRUE, TRUE, strict=True))
    )
    (runs[1] / "test_preds.csv").write_text("\ufeff" + text, encoding="utf-8")
    assert read_predictions(runs).predicted[1].tolist() == [0, 2, 3, 2]


def test_classes_are_numbered_as_in_classes_json_and_all_count(runs: list[Path]) -> None:
    found = compare_runs(runs[:2], runs[2:], resamples=10)
    wanted = [classification_metrics(TRUE, predicted, NAMES)["macro_f1"] for predicted in PREDICTED]
    assert [*found.default, *found.other] == pytest.approx(wanted)
    assert found.other[0] == 0.75


def test_folders_are_compared_as_their_predictions_are(runs: list[Path]) -> None:
    found = read_predictions(runs)
    wanted = compare(found.true, found.predicted[:2], found.predicted[2:], 4, resamples=50, seed=7)
    assert compare_runs(runs[:2], runs[2:], resamples=50, seed=7) == wanted


def test_as_many_folders_are_needed_of_both(runs: list[Path]) -> None:
    with pytest.raises(ValueError, match="shapes do not fit"):
        compare_runs(runs[:1], runs[1:])


def rewrite(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def swap_rows(folder: Path) -> None:
    file = folder / "test_preds.csv"
    header, one, two, *rest = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([header, two, one, *rest, ""]), encoding="utf-8")


P, C = "test_preds.csv", "classes.json"


@pytest.mark.parametrize(
    ("change", "file", "message"),
    [
        (lambda folder: (folder / P).unlink(), P, "no such file"),
        (lambda folder: (folder / C).unlink(), C, "is missing"),
        (lambda folder: (folder / C).write_text("[]"), C, "is not a JSON object"),
        (lambda folder: (folder / C).write_text('{"classes": [1, 2]}'), C, "no list of classes"),
        (lambda folder: (folder / C).write_text('{"classes": ["joy", "anger"]}'), C, "has other classes"),
        (lambda folder: (folder / P).write_bytes(b"path,true,pred\na,\xff,b\n"), P, ":2: not UTF-8"),
        (lambda folder: (folder / P).write_text(""), P, "is empty"),
        (lambda folder: (folder / P).write_text("path,true,pred\n"), P, "no rows below the header"),
        (rewrite(P, "pred\n", "said\n"), P, ":1, column 'pred': is missing"),
        (rewrite(P, "a/2.jpg,neutral", "a/2.jpg"), P, ":4: does not have as many fields"),
        (rewrite(P, "a/2.jpg,neutral", "a/2.jpg,neutral,joy"), P, ":4: does not have as many fields"),
        (rewrite(P, "a/0.jpg,anger,anger", "a/0.jpg,anger,anger,joy"), P, ":2: does not have as many fields"),
        (rewrite(P, "a/3.jpg,joy,joy", '"a/3.jpg,joy,joy'), P, "cannot be read"),
        (rewrite(P, "a/3.jpg,joy", 'a/3.jpg,"jo"y'), P, "cannot be read"),
        (rewrite(P, "a/1.jpg", "a/9.jpg"), P, ":3, column 'path': is 'a/9.jpg', but 'a/1.jpg' in"),
        (rewrite(P, "a/1.jpg,joy", "a/1.jpg,fear"), P, ":3, column 'true': is 'fear', but 'joy' in"),
        (rewrite(P, "a/3.jpg,joy,joy\n", ""), P, "has 3 rows, but"),
        (rewrite(P, "a/3.jpg,joy,joy\n", "a/3.jpg,joy,joy\na/4.jpg,joy,joy\n"), P, "has 5 rows, but"),
        (rewrite(P, "a/2.jpg,neutral,neutral", "a/2.jpg,neutral,awe"), P, ":4, column 'pred': 'awe' is no class"),
        (swap_rows, P, ":2, column 'path': is 'a/1.jpg'"),
    ],
)
def test_runs_that_cannot_be_compared_are_named(
    runs: list[Path], change: Callable[[Path], object], file: str, message: str
) -> None:
    change(runs[2])
    with pytest.raises(ExperimentError) as caught:
        read_predictions(runs)
    assert str(runs[2] / file) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_true_label_that_is_no_class_is_named(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(i), PREDICTED[0], true=["anger", "awe", "neutral", "joy"]) for i in range(2)]
    with pytest.raises(ExperimentError, match=r"0/test_preds\.csv:3, column 'true': 'awe' is no class"):
        read_predictions(runs)


def test_reading_and_comparing_needs_neither_torch_nor_ray() -> None:
    code = "import sys, orchestrator.sweeps.predictions; print({'torch', 'ray', 'scipy', 'sklearn'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
