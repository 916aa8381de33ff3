"""`verify` on the command line: what it says, its exit codes, and that it leaves everything as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from by_hand import Cli, changes, listing
from made_results import NAMES, RUNS, flip, planner, step_of
from small_runs import CPU
from twins import cache_at, segments_of

from orchestrator.execution.jobs import job_of
from orchestrator.planning.selection import select
from orchestrator.verification.again import do_again
from orchestrator.verification.outcome import Again
from orchestrator.verification.recorded import compare_with_record
from trainable.base.files import write_json
from trainable.base.paths import RunPaths
from trainable.run.stepper import JobStepper

HISTORY = f"{RUNS}/finetune_K7_160/history.csv"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files: nothing is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def verify(cli: Cli, root: Path, *arguments: object, only: str = ",".join(NAMES)) -> subprocess.CompletedProcess[str]:
    """Run the command; nothing in the project may change."""
    before = listing(root)
    done = cli("verify", "--project-root", root, "--config", root / "recipe.json", "--only", only, *arguments)
    assert changes(before, listing(root)) == set()
    return done


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


# -- against what was recorded


def test_a_run_verifies_itself(cli: Cli, made: Path) -> None:
    done = verify(cli, made, only=f"{','.join(NAMES)},probe_M2")
    lines = [*(f"{e.name}: unchanged" for e in select(NAMES)), "probe_M2: no result"]
    assert sorted(done.stdout.splitlines()[:-1]) == sorted(lines)
    assert (done.returncode, last(done), done.stderr) == (0, f"{len(NAMES)} results verified", "")


def test_a_photo_that_kept_its_size_and_time(cli: Cli, copy: Path) -> None:
    """`plan` believes these two; `verify` does not."""
    photo = copy / "data_shared/cropped_faces_160/M1/test_03.jpg"
    options = ("--project-root", copy, "--config", copy / "recipe.json", "--only", "probe_M1")
    assert "done" in cli("plan", *options).stdout
    stat = photo.stat()
    flip(photo, 700)
    os.utime(photo, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "done" in cli("plan", *options).stdout
    done = verify(cli, copy, only="probe_M1")
    assert done.stdout.splitlines() == ["probe_M1: test images changed", "differs: probe_M1: test images changed"]
    assert done.returncode == 1


def test_the_first_difference_comes_last(cli: Cli, copy: Path) -> None:
    flip(copy / RUNS / "finetune_K7_160/best.pt", 1000)
    done = verify(cli, copy, "--seed", 7, only="probe_M1,finetune_K7")
    assert done.stdout.splitlines() == [
        "probe_M1: config.seed 1337 -> 7",
        "finetune_K7: config.seed 1337 -> 7; best.pt is not the file that the run wrote",
        "differs: probe_M1: config.seed 1337 -> 7",
    ]
    assert done.returncode == 1


def test_what_is_not_verified_is_no_success(cli: Cli, copy: Path) -> None:
    edit_manifest(copy, "probe_M1_160", artifacts=None)
    done = verify(cli, copy, only="probe_M1")
    assert (done.returncode, last(done).partition(": made")[0]) == (1, "not verified: probe_M1")


def test_another_machine_is_told_once_and_fails_nothing(cli: Cli, copy: Path) -> None:
    for folder in ("probe_M1_160", "finetune_K7_160"):
        edit_manifest(copy, folder, processor={"model": "i486"}, git_commit=None)
    done = verify(cli, copy, only="probe_M1,finetune_K7")
    (line,) = [line for line in done.stdout.splitlines() if "i486" in line]
    assert "probe_M1, finetune_K7" in line
    assert done.returncode == 0


def edit_manifest(root: Path, folder: str, **values: Any) -> None:
    manifest = root / RUNS / folder / "manifest.json"
    write_json(manifest, {**json.loads(manifest.read_text(encoding="utf-8")), **values})


# -- bad input


BAD: dict[str, tuple[tuple[object, ...], str]] = {
    "unknown": (("--rerun", "probe_M3"), "--rerun probe_M3: no such experiment (did you mean"),
    "not selected": (("--rerun", "finetune_K7"), "--rerun finetune_K7: not among the experiments of --only"),
    "no epochs": (("--rerun", "all", "--epochs-at-most", 0), "--epochs-at-most must be at least 1, not 0"),
    "half an epoch": (
        ("--rerun", "all", "--epochs-at-most", 1.5),
        "--epochs-at-most must be a whole number, not '1.5'",
    ),
    "nothing to do again": (("--epochs-at-most", 1), "--epochs-at-most is about what is done again; say which with"),
    "no result": (("--rerun", "probe_M1,probe_M2"), "--rerun probe_M2: no result to compare with (--output-root"),
    "no name": (("--rerun", ","), "--rerun names no experiment"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD)
def test_bad_input(cli: Cli, made: Path, arguments: tuple[object, ...], words: str) -> None:
    done = verify(cli, made, *arguments, only="probe_M1,probe_M2")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_nothing_there_to_verify(cli: Cli, shared_project: Path) -> None:
    done = cli("verify", "--project-root", shared_project, "--weights", "none", "--only", "probe_*")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: --output-root {shared_project}: no result of probe_M1, probe_M2 to verify\n"


# -- the same work again


def test_all_of_it_again_is_the_same_bit_for_bit(cli: Cli, made: Path) -> None:
    done = verify(cli, made, "--rerun", "all")
    said = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert last(done) == f"{len(NAMES)} results verified, {len(NAMES)} of them done again"
    for name in NAMES:
        assert f"{name}: the same, bit for bit" in said
    epochs = [line.partition(": loss")[0] for line in said if line.startswith("finetune_K7: epoch")]
    assert epochs == [f"finetune_K7: epoch {i}/3 stage {i}" for i in (1, 2, 3)]


def test_what_the_machine_s_cache_holds_does_not_count(cli: Cli, made: Path, tmp_path: Path) -> None:
    """Rows of pixels and features under the right keys, with wrong numbers."""
    with cache_at(tmp_path / "cache") as cache:
        ours = planner(made, "probe_M1")
        step = replace(ours.identify(step_of(ours, "probe_M1")), run=RunPaths(tmp_path / "out"))
        JobStepper(job_of(step, ours.paths, CPU), ours.inputs.training["M1"]).step()
        files = [*segments_of(cache, "images"), *segments_of(cache, "features")]
        assert len(files) > 1
        for file in files:
            content = bytearray(file.read_bytes())
            content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
            file.write_bytes(content)
        assert verify(cli, made, "--rerun", "probe_M1", only="probe_M1").returncode == 0


@pytest.mark.parametrize("names", ["probe_*", "all", "'probe_M1'"])
def test_a_glob_means_those_that_are_selected_and_there(cli: Cli, made: Path, names: str) -> None:
    done = verify(cli, made, "--rerun", names, "--epochs-at-most", 1, only="probe_M1,probe_M2")
    assert (done.returncode, last(done)) == (0, "1 result verified, 1 of them done again")


def test_a_number_of_a_later_epoch(cli: Cli, copy: Path) -> None:
    """Found by the whole training, at its place; not by one that ends before."""
    history = copy / HISTORY
    *rows, final = history.read_text(encoding="utf-8").splitlines()
    values = final.split(",")
    values[4] += "1"  # a digit of val_loss
    history.write_text("\n".join([*rows, ",".join(values), ""]), encoding="utf-8")
    done = verify(cli, copy, "--rerun", "finetune_K7", "--epochs-at-most", 2, only="finetune_K7")
    assert "finetune_K7: the first 2 of 3 epochs are the same, bit for bit" in done.stdout.splitlines()
    assert last(done) == "differs: finetune_K7: history.csv is not the file that the run wrote"
    assert done.returncode == 1
    done = verify(cli, copy, "--rerun", "finetune_K7", only="finetune_K7")
    words = f"history.csv, epoch 3: val_loss {values[4]} on disk, {values[4][:-1]} again"
    assert last(done) == f"differs: finetune_K7: {words}"
    assert done.returncode == 1


def test_epochs_that_nobody_trained(copy: Path) -> None:
    history = copy / RUNS / "probe_M1_160/history.csv"
    lines = history.read_text(encoding="utf-8")
    history.write_text(lines + lines.splitlines()[-1] + "\n", encoding="utf-8")
    assert again(copy, "probe_M1").difference == "history.csv has 3 epochs, the training 2"


def again(root: Path, name: str) -> Again:
    """Do it again, all of it and without the command line."""
    ours = planner(root, name)
    step = step_of(ours, name)
    return do_again(step, compare_with_record(step, ours), ours, None, lambda text: None)


def test_a_number_in_the_weights(cli: Cli, copy: Path) -> None:
    best = copy / RUNS / "probe_M1_160/best.pt"
    flip(best, best.stat().st_size // 2)
    done = verify(cli, copy, "--rerun", "probe_M1", only="probe_M1")
    assert last(done).startswith("differs: probe_M1: best.pt, ")
    assert " numbers differ, by " in last(done)


FILES = {
    "val_metrics_best.json": ('"macro_f1": ', '"macro_f1": 1'),
    "test_metrics.json": ('"loss": ', '"loss": 1'),
    "classes.json": ('"happy"', '"행복"'),
    "test_preds.csv": ("happy\n", "행복\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_other_file_is_compared(copy: Path, name: str) -> None:
    file = copy / RUNS / "probe_M1_160" / name
    text = file.read_text(encoding="utf-8")
    assert FILES[name][0] in text
    file.write_text(text.replace(*FILES[name], 1), encoding="utf-8")
    found = again(copy, "probe_M1").difference
    assert found.startswith(f"{name}, ")
    assert found.endswith(" again")


def test_the_last_bit_of_a_logit(copy: Path) -> None:
    file = copy / RUNS / "probe_M1_160/test_logits.parquet"
    table = pq.read_table(str(file))
    column = table["logit_happy"].to_numpy().copy()
    column[2] = np.nextafter(column[2], np.float32(np.inf))
    place = table.column_names.index("logit_happy")
    pq.write_table(table.set_column(place, "logit_happy", pa.array(column)), str(file))
    path = table["path"][2].as_py()
    assert again(copy, "probe_M1").difference.startswith(f"test_logits.parquet, row 4 ({path}): logit_happy ")


@pytest.mark.skipif("faceapi_M1" not in NAMES, reason="needs face-api's weights")
def test_a_row_of_faceapi(cli: Cli, copy: Path) -> None:
    csv = copy / "models/faceapi_baseline/results/faceapi_M1_eval.csv"
    text = csv.read_text(encoding="utf-8")
    assert "얼굴.jpg,happy,surprised" in text
    csv.write_text(text.replace("surprised", "sad"), encoding="utf-8")
    done = verify(cli, copy, "--rerun", "faceapi_M1", only="faceapi_M1")
    place = "faceapi_M1_eval.csv, row 2 (data_raw/photos/M1/얼굴.jpg)"
    assert last(done) == f"differs: faceapi_M1: {place}: pred_label sad on disk, surprised again"


def test_what_cannot_be_compared_is_not_done_again(cli: Cli, copy: Path) -> None:
    edit_manifest(copy, "probe_M1_160", device="NVIDIA H100", deterministic=False)
    done = verify(cli, copy, "--rerun", "probe_M1,finetune_K7", "--seed", 7, only="probe_M1,finetune_K7")
    assert "finetune_K7: not done again: its inputs have changed" in done.stdout.splitlines()
    assert "epoch" not in done.stdout
    done = verify(cli, copy, "--rerun", "probe_M1", only="probe_M1")
    words = "it was made on NVIDIA H100 without --deterministic, which gives other last bits each time"
    assert last(done) == f"not verified: probe_M1: not done again: {words}"
    assert done.returncode == 1
    edit_manifest(copy, "probe_M1_160", deterministic=True)
    done = verify(cli, copy, "--rerun", "probe_M1", only="probe_M1")
    assert last(done).startswith("not verified: probe_M1: not done again: it was made on NVIDIA H100, and here is ")
    edit_manifest(copy, "probe_M1_160", artifacts=None, device="cpu")
    done = verify(cli, copy, "--rerun", "probe_M1", only="probe_M1")
    said = "probe_M1: not done again: it was made by an older version, which drew and added up in another order"
    assert said in done.stdout.splitlines()
    assert done.returncode == 1


def test_other_instruction_sets_are_told(cli: Cli, copy: Path) -> None:
    edit_manifest(copy, "probe_M1_160", processor={"instructions": "i486"})
    done = verify(cli, copy, "--rerun", "probe_M1", "--epochs-at-most", 1, only="probe_M1")
    assert f"{torch.backends.cpu.get_cpu_capability()} here and used i486" in done.stdout
    assert done.returncode == 0


def test_one_that_fails_leaves_the_others_alone(cli: Cli, copy: Path) -> None:
    """One whose weights look like PyTorch's and hold no network, which shows when they are loaded."""
    broken = copy / "비어 있음.pt"
    torch.save({"epoch": 3}, broken)
    recipe = json.loads((copy / "recipe.json").read_text(encoding="utf-8"))
    recipe["experiments"]["probe_*"]["weights"] = str(broken)
    write_json(copy / "recipe.json", recipe)
    step = planner(copy, "probe_M1").run(*select(["probe_M1"]))
    edit_manifest(copy, "probe_M1_160", identity=step.identity)
    done = verify(cli, copy, "--rerun", "probe_M1,finetune_K7", "--epochs-at-most", 1, only="probe_M1,finetune_K7")
    said = done.stdout.splitlines()
    assert last(done).startswith(f"not verified: probe_M1: could not be done again: --weights {broken}")
    assert "finetune_K7: the first 1 of 3 epochs are the same, bit for bit" in said
    assert (done.returncode, done.stderr) == (1, "")


@pytest.fixture
def _interrupts() -> Iterator[None]:
    """Also where the tests run in the background of a shell, which has them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_leaves_nothing_behind(made: Path, temporary: Path, name: str) -> None:
    """Neither files nor a thread that could write some later."""

    def interrupt(text: str) -> None:
        assert list(temporary.iterdir()) != []
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.2)  # FaceAPI's parts are told of in its own thread, which is in the middle of its work then

    before = listing(made)
    ours = planner(made, name)
    step = step_of(ours, name)
    with pytest.raises(KeyboardInterrupt):
        do_again(step, compare_with_record(step, ours), ours, None, interrupt)
    assert [thread for thread in threading.enumerate() if thread.name == "faceapi"] == []
    assert changes(before, listing(made)) == set()
