"""`compare`: two results on the same rows, and the refusal of any others."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from by_hand import FACEAPI, FACEAPI_COLUMNS, KOREAN, RUNS, Cli, listing, read_rows, write_json, write_rows, write_run
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.reporting.answers import Source
from orchestrator.reporting.pairs import compare_sources
from trainable.base.errors import ConfigError

FIGURES = (0.5, 0.5, 0.5)
RIGHT, WRONG = ("기쁨", "기쁨"), ("기쁨", "슬픔")


def labels_with(wrong: int, rows: int = 140) -> list[tuple[str, str]]:
    """Twenty rows of each of seven classes, of which the first `wrong` are answered wrongly."""
    true = [KOREAN[i % 7] for i in range(rows)]
    return [(name, KOREAN[(i + 1) % 7] if i < wrong else name) for i, name in enumerate(true)]


def write(root: Path, folder: str, labels: Sequence[tuple[str, str]], seed: int = 1, rows: str = "1" * 64) -> Path:
    write_run(root, folder, FIGURES, labels)
    out = root / RUNS / folder
    data = {part: {"rows": rows, "images": "2" * 64} for part in ("train", "val", "test")}
    identity = {"data": data, "config": {"seed": seed, "lr_head": 0.001}}
    write_json(out / "classes.json", {"classes": KOREAN})
    write_json(out / "manifest.json", {"identity": identity, "finished": f"2026-01-0{seed}T00:00:00+00:00"})
    return out


@pytest.fixture
def outputs(tmp_path: Path) -> tuple[Path, Path]:
    """Two outputs: finetune_K7 is better in the second, and probe_M1 has the same answers in both."""
    one, other = tmp_path / "출력 [1]", tmp_path / "출력 [2]"
    write(one, "finetune_K7_160", labels_with(60))
    write(other, "finetune_K7_160", labels_with(20), seed=2)
    for root in (one, other):
        write(root, "probe_M1_160", labels_with(50))
    write(one, "probe_M2_160", labels_with(50))
    return one, other


def test_two_outputs_are_compared_experiment_by_experiment(outputs: tuple[Path, Path], cli: Cli) -> None:
    before = [listing(root) for root in outputs]
    done = cli("compare", *outputs)
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert "probe_M2" not in text, "it is in one of them only"
    first, second = text[: text.index("finetune_K7")], text[text.index("finetune_K7") :]
    assert "A -> B: the same recipe and data" in first
    assert "the answers differ on 0 of 140 rows" in first
    assert "no difference shown" in first
    assert "identical predictions" in first
    assert "A -> B: config.seed 1 -> 2" in second
    assert "+0.2857" in second
    assert "better" in second
    assert "only A right: 0 rows; only B right: 40" in second
    assert "the answers differ on 40 of 140 rows" in second
    assert all(cell_len(line) <= 80 for line in text.splitlines() if not line.startswith(("A: ", "B: ")))
    assert [listing(root) for root in outputs] == before


def test_two_experiments_with_their_rows(outputs: tuple[Path, Path], cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "다른 답.csv"
    done = cli("compare", "finetune_K7", "probe_M1", "--output-root", outputs[0], "--csv", file)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith(" True")) :]
    assert sum("faces/" in line for line in table) == 10
    assert len({cell_len(line.partition("faces/")[0]) for line in table if "faces/" in line}) == 1, "Korean is aligned"
    rows = read_rows(file)
    assert [row["path"] for row in rows] == [f"faces/{i}.jpg" for i in range(50, 60)]
    assert {(row["experiment"], row["b"] == row["true"], row["a"] == row["true"]) for row in rows} == {
        ("finetune_K7", True, False)
    }
    again = cli("compare", "finetune_K7", "probe_M1", "--output-root", outputs[0], "--csv", file)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_more_rows_than_ten_are_counted(outputs: tuple[Path, Path], cli: Cli) -> None:
    folders = [root / RUNS / "finetune_K7_160" for root in outputs]
    assert "and 30 more (--csv FILE writes all)" in cli("compare", *folders).stdout


def write_trial(root: Path, number: int, answers: Sequence[int]) -> None:
    folder = root / f"models/mobilenetv3_classifier/sweeps/finetune_M1_160/t{number}"
    folder.mkdir(parents=True)
    write_json(folder / "classes.json", {"classes": KOREAN})
    config = {"lr_head": number / 1000}
    write_json(folder / "manifest.json", {"identity": {"data": {}, "config": config}, "test": False})
    logits = np.eye(7, dtype=np.float32)[list(answers)]
    names = [f"{i}.jpg" for i in range(len(answers))]
    columns = {"path": names, "label": [KOREAN[i % 7] for i in range(len(answers))]}
    columns |= {f"logit_{name}": list(column) for name, column in zip(KOREAN, logits.T, strict=True)}
    pq.write_table(pa.table(columns), folder / "val_logits.parquet")


def test_two_trials_are_compared_on_validation(tmp_path: Path, cli: Cli) -> None:
    write_trial(tmp_path, 0, [i % 7 for i in range(140)])
    write_trial(tmp_path, 3, [(i + (i < 35)) % 7 for i in range(140)])
    folders = [(n, f"models/mobilenetv3_classifier/sweeps/finetune_M1_160/t{n}") for n in (0, 3)]
    write_rows(tmp_path / "reports/sweeps/finetune_M1_160.csv", ("trial", "folder"), folders)
    done = cli("compare", "finetune_M1#0", "finetune_M1#3", "--output-root", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "140 validation rows" in done.stdout
    assert "config.lr_head 0.0 -> 0.003" in done.stdout
    assert "worse" in done.stdout
    missing = cli("compare", "finetune_M1#0", "finetune_M1#7", "--output-root", tmp_path)
    assert (missing.returncode, "no such trial" in missing.stderr) == (2, True)


def test_rows_of_a_face_that_faceapi_did_not_find_have_no_answer(tmp_path: Path, cli: Cli) -> None:
    for name, found in (("one", 40), ("other", 10)):
        rows = [
            (f"{i}.jpg", KOREAN[i % 7], KOREAN[i % 7], 0.9, int(i < found), 0.8, 1) if i < found
            else (f"{i}.jpg", KOREAN[i % 7], "", 0, 0, 0, 0) for i in range(140)
        ]  # fmt: skip
        write_rows(tmp_path / name / FACEAPI / "faceapi_M1_eval.csv", FACEAPI_COLUMNS, rows)
    files = [tmp_path / name / FACEAPI / "faceapi_M1_eval.csv" for name in ("one", "other")]
    done = cli("compare", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert "A -> B: unknown: nothing says what made" in done.stdout
    assert "only A right: 30 rows; only B right: 0" in done.stdout


# -- refusals


def test_other_rows_are_refused(outputs: tuple[Path, Path], cli: Cli) -> None:
    write(outputs[1], "finetune_K7_160", labels_with(20, rows=147), seed=2)
    one, other = (root / RUNS / "finetune_K7_160" for root in outputs)
    done = cli("compare", one, other)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{other / 'test_preds.csv'} has faces/140.jpg" in done.stderr
    assert "140 and 147 rows" in done.stderr or "147 and 140 rows" in done.stderr
    both = cli("compare", *outputs)
    assert both.returncode == 2
    assert "not compared: finetune_K7:" in both.stdout
    assert "the answers differ on 0 of 140 rows" in both.stdout, "the other experiment is compared all the same"


def test_other_labels_are_refused(outputs: tuple[Path, Path], cli: Cli) -> None:
    changed = [*labels_with(20)[:-1], RIGHT]
    write(outputs[1], "finetune_K7_160", changed, seed=2)
    done = cli("compare", *(root / RUNS / "finetune_K7_160" for root in outputs))
    assert (done.returncode, "not tested on the same rows" in done.stderr) == (2, True)


def test_other_images_behind_the_same_rows_are_refused(outputs: tuple[Path, Path], cli: Cli) -> None:
    out = outputs[1] / RUNS / "finetune_K7_160"
    text = (out / "manifest.json").read_text(encoding="utf-8").replace("2" * 64, "3" * 64)
    (out / "manifest.json").write_text(text, encoding="utf-8")
    done = cli("compare", outputs[0] / RUNS / "finetune_K7_160", out)
    assert (done.returncode, "other images behind them" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("finetune_M1", "probe_M1"), "finetune_M1: no finished result"),
        (("finetune_K7#1", "probe_M1"), "no sweep of finetune_K7 has ended here"),
        (("없는 폴더", "probe_M1"), "no such folder"),
        ((".", "probe_M1"), "has no results"),
    ],
)
def test_what_is_not_there_is_said(
    outputs: tuple[Path, Path], cli: Cli, words: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    done = cli("compare", *words, "--output-root", outputs[0])
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_an_output_and_a_result_are_no_pair(outputs: tuple[Path, Path], cli: Cli) -> None:
    done = cli("compare", outputs[0], "probe_M1", "--output-root", outputs[1])
    assert (done.returncode, "two of a kind" in done.stderr) == (2, True)


def test_a_broken_file_is_named(outputs: tuple[Path, Path], cli: Cli) -> None:
    file = outputs[0] / RUNS / "probe_M1_160" / "test_preds.csv"
    file.write_text("path;true;pred\n", encoding="utf-8")
    done = cli("compare", "probe_M1", "finetune_K7", "--output-root", outputs[0])
    assert (done.returncode, str(file) in done.stderr, "Traceback" in done.stderr) == (2, True, False)


# -- laws


@given(order=st.permutations(range(12)), repeated=st.integers(0, 3))
def test_the_order_of_the_rows_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], repeated: int
) -> None:
    """Rows are known by path and label; one that is there more than once counts as often."""
    root = tmp_path_factory.mktemp("행")
    labels = [(KOREAN[i % 3], KOREAN[i % 2]) for i in range(12)]
    rows = [(f"얼굴/{min(i, 11 - repeated)}.jpg", *pair) for i, pair in enumerate(labels)]
    pairs = []
    for name, numbers in (("a", range(12)), ("b", order)):
        out = write(root, name, labels)
        with (out / "test_preds.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("path", "true", "pred"), *(rows[i] for i in numbers)])
        pairs.append(Source(name, out))
    same_names = {(path, true) for path, true, _ in rows}
    found = compare_sources(*pairs)
    assert found.comparison.scores["accuracy"].difference.value == 0
    if len(same_names) == 12:
        assert found.disagreements.empty


def test_rows_of_one_person_are_not_independent(tmp_path: Path) -> None:
    """The input CSV says who is on a row, as long as it is still that of the run."""
    sources = []
    inputs = tmp_path / "test_K7.csv"
    write_rows(inputs, ("path", "label", "person"), [(f"faces/{i}.jpg", "기쁨", f"사람{i // 4}") for i in range(140)])
    for name, wrong in (("a", 60), ("b", 20)):
        out = write(tmp_path, name, labels_with(wrong))
        manifest = (out / "manifest.json").read_text(encoding="utf-8")
        (out / "manifest.json").write_text(manifest[:-1] + f', "csvs": {{"test": "{inputs}"}}}}', encoding="utf-8")
        sources.append(Source(name, out))
    assert (compare_sources(*sources).comparison.units, compare_sources(*sources).comparison.mcnemar_p) == (35, None)
    inputs.write_text("\n".join(inputs.read_text(encoding="utf-8").splitlines()[:-1]), encoding="utf-8")
    assert compare_sources(*sources).comparison.units == 140


def test_a_result_without_answers_is_refused(tmp_path: Path) -> None:
    out = write(tmp_path, "a", labels_with(1))
    with pytest.raises(ConfigError, match="no answers to the same part"):
        compare_sources(Source("a", out), Source("b", tmp_path))
