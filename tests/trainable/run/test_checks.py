"""A run's inputs against each other, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import csvs_of, probe, spec_of

from trainable.base.errors import InputError
from trainable.data.checks import check_tables
from trainable.run.checks import check_run

IMAGE = "data_shared/cropped_faces_160/M1/train_00.jpg"


def problems(project: Path, out: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        check_run(spec_of(project, out, probe()))
    return [str(problem) for problem in caught.value.problems]


def test_a_good_project_gives_its_three_tables(shared_project: Path, tmp_path: Path) -> None:
    tables = check_run(spec_of(shared_project, tmp_path / "out", probe()))
    assert {part: len(table) for part, table in tables.items()} == {"train": 18, "val": 6, "test": 9}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_label_that_is_not_trained_is_told_by_row(project: Path, tmp_path: Path, part: str) -> None:
    path = csvs_of(project)[part]
    path.write_text(path.read_text().replace(",happy", ",joyful", 1))
    (line,) = problems(project, tmp_path / "out")
    assert line.startswith(f"{path}:3, column 'label_en': label 'joyful' is not in the training data")
    assert line.endswith("has: angry, happy, sad)")


def test_a_label_that_only_training_has_is_no_problem(project: Path, tmp_path: Path) -> None:
    path = csvs_of(project)["test"]
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if ",sad" not in line))
    assert check_run(spec_of(project, tmp_path / "out", probe()))


def test_one_class_is_not_enough(project: Path, tmp_path: Path) -> None:
    for path in csvs_of(project).values():
        path.write_text(path.read_text().replace(",happy", ",sad").replace(",angry", ",sad"))
    (line,) = problems(project, tmp_path / "out")
    assert "one class only (sad); training needs two" in line


def test_the_problems_of_all_three_files_are_told_at_once(project: Path, tmp_path: Path) -> None:
    csvs = csvs_of(project)
    csvs["val"].write_text(f"path,label_en\n{IMAGE},joyful\ngone.jpg,happy\n")
    csvs["test"].unlink()
    (tmp_path / "out").touch()
    found = problems(project, tmp_path / "out")
    assert len(found) == 4
    for text in (
        "--out",
        "val_M1.csv:3",
        "test_M1.csv: no such file",
        "val_M1.csv:2, column 'label_en': label 'joyful'",
    ):
        assert any(text in line for line in found), text


def test_labels_are_not_judged_by_training_rows_that_could_not_be_read(project: Path) -> None:
    """Else a class that lost all of them would be unknown, and every other row of that class a problem too."""
    csvs = csvs_of(project)
    train = csvs["train"]
    train.write_text(train.read_text().replace(",happy", ","))
    _, found = check_tables(csvs, project)
    assert [(problem.file, problem.message) for problem in found] == [(str(train), "is empty")] * 6


def test_an_out_below_a_file_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (line,) = problems(project, tmp_path / "file/runs/out")
    assert line == f"--out {tmp_path / 'file/runs/out'}: {tmp_path / 'file'} is a file, but must be a folder"


def test_a_project_root_that_is_no_folder_is_the_only_problem(project: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        check_run(spec_of(project / "nowhere", tmp_path / "out", probe()))
    assert [str(problem) for problem in caught.value.problems] == [
        f"--project-root {project / 'nowhere'}: no such folder"
    ]
