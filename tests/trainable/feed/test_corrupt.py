"""A few corrupt images are black patches; a part of which more than a tenth is corrupt trains and measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import CPU, csvs_of, probe, spec_of, tables_of

from trainable.__main__ import main
from trainable.base.config import PARTS, RunSpec
from trainable.base.errors import ExperimentError, TooManyCorrupt
from trainable.feed.corrupt import check_corrupt
from trainable.run.trainer import Trainer


def spoil(root: Path, part: str, rows: Sequence[int]) -> list[str]:
    """No images any more in these rows. Returns their paths."""
    table = tables_of(root)[part]
    for row in rows:
        table.rows[row].file.write_bytes(b"no image")
    return [table.paths[row] for row in rows]


@pytest.fixture
def spec(project: Path, tmp_path: Path) -> RunSpec:
    return spec_of(project, tmp_path / "probe_M1_160", probe(epochs=2))


# -- the rule


@given(rows=st.integers(1, 300), data=st.data())
def test_a_tenth_is_the_limit(rows: int, data: st.DataObject) -> None:
    corrupt = [f"{number}.jpg" for number in range(data.draw(st.integers(0, rows)))]
    refused = False
    try:
        check_corrupt("val", corrupt, rows)
    except TooManyCorrupt:
        refused = True
    assert refused == (len(corrupt) / rows > 0.1)
    check_corrupt("val", corrupt, rows, allowed=True)


@pytest.mark.parametrize(
    ("corrupt", "first"),
    [(["a"], "a"), (["a", "b", "c"], "a, b, c"), (list("abcde"), "a, b, c and 2 more"), (["a", "a", "b"], "a, b")],
)
def test_the_message_says_how_many_which_and_what_to_do(corrupt: list[str], first: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        check_corrupt("test", corrupt, 7)
    assert str(caught.value) == (
        f"{len(corrupt)} of 7 test rows have an image that cannot be decoded ({first}); "
        "mend the images or leave their rows out, or go on in spite of them with --allow-corrupt"
    )


# -- a run


@pytest.mark.parametrize("part", PARTS)
def test_a_run_on_decoded_images_fails_before_its_first_epoch(spec: RunSpec, part: str) -> None:
    """Whatever the part is: all of it is decoded then."""
    (path,) = spoil(spec.project_root, part, [2])
    told: list[str] = []
    run = Trainer(spec, CPU, log=told.append)
    if part == "train":  # one of eighteen is few
        run.step()
        path = spoil(spec.project_root, part, range(18))[0]
        run = Trainer(replace(spec, out=spec.out / "new"), CPU, log=told.append)
    with pytest.raises(ExperimentError, match=f"of .* {part} rows .*{path}"):
        run.step()
    assert run.state.epoch == 0
    assert not run.paths.checkpoints.exists()


@pytest.mark.parametrize(("part", "epochs"), [("train", 0), ("val", 0), ("test", 2)])
def test_a_plain_run_fails_after_its_first_pass(spec: RunSpec, part: str, epochs: int) -> None:
    """It decodes what it needs when it needs it. What it trained until then is kept, for a run that allows it."""
    spoil(spec.project_root, part, [0, 1, 2])
    run = Trainer(spec, replace(CPU, plain=True))
    with pytest.raises(ExperimentError, match=f"3 of .* {part} rows"):
        run.run()
    assert run.state.epoch == epochs
    assert not (spec.out / "manifest.json").exists()
    again = Trainer(spec, replace(CPU, plain=True, allow_corrupt=True))
    assert again.state.epoch == epochs
    again.run()
    assert (spec.out / "manifest.json").exists()


def test_rows_count_and_not_files(spec: RunSpec) -> None:
    """One corrupt file in three of eighteen rows; alone it would be few."""
    file = csvs_of(spec.project_root)["train"]
    (path,) = spoil(spec.project_root, "train", [0])
    header, *lines = file.read_text().splitlines()
    Trainer(spec, CPU).step()
    lines[3:5] = [f"{path},{line.rpartition(',')[2]}" for line in lines[3:5]]
    file.write_text("\n".join([header, *lines, ""]))
    for plain in (False, True):
        with pytest.raises(ExperimentError, match="3 of 18 train rows"):
            Trainer(spec, replace(CPU, plain=plain)).step()


@pytest.mark.parametrize("plain", [False, True])
def test_allowed_it_goes_on_with_black_patches(spec: RunSpec, plain: bool) -> None:
    names = {part: spoil(spec.project_root, part, range(len(tables_of(spec.project_root)[part]))) for part in PARTS}
    run = Trainer(spec, replace(CPU, plain=plain, allow_corrupt=True))
    run.run()
    assert {part: len(paths) for part, paths in run.state.corrupt.items()} == {p: len(n) for p, n in names.items()}


def test_a_cache_without_room_tells_it_in_the_first_pass(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", "0")
    spoil(spec.project_root, "val", [0, 1])
    with pytest.raises(ExperimentError, match="2 of 6 val rows"):
        Trainer(spec, CPU).step()


def test_the_option_is_no_part_of_the_identity(spec: RunSpec) -> None:
    spoil(spec.project_root, "train", [0])
    Trainer(spec, replace(CPU, allow_corrupt=True)).step()
    assert Trainer(spec, CPU).state.epoch == 1


def test_the_command(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(project, "test", [0, 1])
    csvs = (f"--{part}-csv={path}" for part, path in csvs_of(project).items())
    command = ["--mode=probe", "--epochs=1", "--weights=none", "--device=cpu", "--threads=1", *csvs]
    command += ["--project-root", str(project), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 1
    assert "2 of 9 test rows have an image that cannot be decoded (data_shared/" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([*command, "--allow-corrupt"])
    assert caught.value.code in (0, None)
    assert (tmp_path / "out/manifest.json").exists()
