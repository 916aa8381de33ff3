"""What is new, done, stale or interrupted, and why; and that planning costs nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_hand import FINISHED, RUNS, Cli, changes, listing, write_json
from filelock import FileLock
from PIL import Image
from rich.cells import cell_len

from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.python.weights import NETWORKS
from orchestrator.planning.inputs import Inputs, check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.planning.steps import Run, Step, TrainingStep, longest_first, result_files, trainings
from search_spaces.runbook import Experiment
from trainable.base.config import Resources, RunSpec
from trainable.cache.hashes import file_digest
from trainable.cache.images import ImageStore
from trainable.data.tables import load_table
from trainable.run.trainer import Trainer

TRAINED = ("probe_M1", "finetune_M1", "probe_M2", "finetune_M2", "finetune_K7")
ALL = ("faceapi_M1", "probe_M1", "finetune_M1", "faceapi_M2", "probe_M2", "finetune_M2", "finetune_K7")
TRAIN = "data_shared/cropped_faces_csv/train_M1.csv"
IMAGE = "data_shared/cropped_faces_160/M1/train_00.jpg"
PHOTO = "data_raw/photos/M1/0.jpg"
Change = Callable[[Path], object]


@pytest.fixture
def root(shared_project: Path, tmp_path: Path) -> Path:
    """A project of the test's own, with stand-ins for face-api's weights."""
    shutil.copytree(shared_project, tmp_path / "project")
    for name in NETWORKS:
        write_json(tmp_path / "face-api" / f"{name}-weights_manifest.json", [name])
    return tmp_path / "project"


def planner(root: Path, faceapi: dict[str, Any] | None = None, **recipe: Any) -> Planner:
    """Over all seven experiments. The evaluator is put in by hand: planning must not need Node."""
    paths = ProjectPaths(root, root)
    settings = Settings(
        recipe=Recipe.model_validate({"weights": "none", **recipe}), faceapi=FaceApiSettings(**faceapi or {})
    )
    inputs = check_inputs(select(TRAINED), settings, paths)
    photos = {split: load_table(paths.faceapi_csv(split), root, boxes=True) for split in ("M1", "M2")}
    evaluator = Evaluator("onnx", root.parent / "face-api")
    return Planner(Inputs(inputs.training, photos, inputs.configs, evaluator), settings, paths)


def plan(root: Path, faceapi: dict[str, Any] | None = None, fresh: bool = False, **recipe: Any) -> dict[str, Step]:
    steps = planner(root, faceapi, **recipe).plan(select([]), fresh=fresh)
    return {step.name: step for step in steps}


def statuses(steps: dict[str, Step]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps.values():
        found.setdefault(step.status, []).append(step.name)
    return found


def finish(root: Path, **recipe: Any) -> None:
    """Leave of every step what a finished run leaves: its files, and a manifest with its identity."""
    ours = planner(root, **recipe)
    for step in ours.plan(select([])):
        for file in result_files(step):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}", encoding="utf-8")
        write_json(
            ours.paths.manifest(step.experiment), {"identity": ours.identify(step).identity, "finished": FINISHED}
        )


def interrupt(root: Path, experiment: Experiment, epoch: int) -> None:
    """Leave what a training run leaves that was stopped after an epoch."""
    ours = planner(root)
    (step,) = ours.plan([experiment])
    folder = ours.paths.run(experiment).out
    write_json(folder / ".checkpoints" / "last.json", {"identity": ours.identify(step).identity, "epoch": epoch})
    (folder / ".checkpoints" / "last.pt").write_bytes(b"state")


# -- new


def test_a_new_project(root: Path) -> None:
    steps = plan(root)
    assert tuple(steps) == ALL
    assert statuses(steps) == {"new": list(ALL)}
    assert {step.why for step in steps.values()} == {"never ran"}
    assert steps["probe_M1"].rows == (18, 6, 9)
    assert steps["faceapi_M1"].rows == (3,)
    longest = steps["finetune_K7"]
    assert isinstance(longest, Run) and longest.config.epochs == 50
    assert not isinstance(steps["faceapi_M1"], TrainingStep)


@pytest.mark.parametrize("before_it", [lambda root: None, lambda root: finish(root)], ids=["new", "done"])
def test_looking_leaves_nothing_behind(before_it: Change, root: Path, cli: Cli) -> None:
    """Where there are results, all images are hashed to compare with them."""
    before_it(root)
    shutil.rmtree(root / ".emosweep", ignore_errors=True)
    before = listing(root)
    plan(root)
    assert cli("plan", "--project-root", root, "--weights", "none", "--only", "*_160").returncode == 0
    assert not changes(before, listing(root))


def test_the_longest_run_starts_first(root: Path) -> None:
    order = [step.name for step in longest_first(trainings([*plan(root).values()]))]
    assert order[0] == "finetune_K7"
    assert set(order[1:3]) == {"finetune_M1", "finetune_M2"}
    assert set(order[3:5]) == {"probe_M1", "probe_M2"}


def test_half_the_epochs_on_more_data_may_be_longer(root: Path) -> None:
    """50 epochs on 18 rows of K7, 30 epochs on 18 * 3 rows of M1."""
    file = root / TRAIN
    header, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([header, *rows * 3]), encoding="utf-8")
    assert longest_first(trainings([*plan(root).values()]))[0].name == "finetune_M1"


# -- done


def test_done(root: Path) -> None:
    finish(root)
    steps = plan(root)
    assert statuses(steps) == {"done": list(ALL)}
    assert not any(step.to_do for step in steps.values())
    assert {step.why for step in steps.values()} == {"2026-01-02T03:04:05Z"}


def test_fresh_counts_nothing_as_done(root: Path) -> None:
    finish(root)
    steps = plan(root, fresh=True)
    assert all(step.to_do and step.why == "--fresh" for step in steps.values())


def touch_all(root: Path) -> None:
    for file in (root / "data_shared").rglob("*.*"):
        os.utime(file, (1, 1))


def resave(root: Path) -> None:
    """What a Windows editor does to a CSV."""
    file = root / TRAIN
    file.write_bytes(file.read_text(encoding="utf-8").replace("\n", "\r\n").encode("utf-8-sig"))


def add_column(root: Path) -> None:
    file = root / TRAIN
    header, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([f"{header},age", *(f"{row},30" for row in rows)]) + "\n", encoding="utf-8")


def move_elsewhere(root: Path) -> None:
    shutil.move(root / "data_shared", root.parent / "disk2")
    (root / "data_shared").symlink_to(root.parent / "disk2")


@pytest.mark.parametrize("change", [touch_all, resave, add_column, move_elsewhere])
def test_what_changes_no_data_changes_no_status(change: Change, root: Path) -> None:
    finish(root)
    change(root)
    assert statuses(plan(root)) == {"done": list(ALL)}


# -- stale


def edit(file: str, old: str, new: str) -> Change:
    def change(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text
        (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def repaint(file: str) -> Change:
    return lambda root: Image.new("RGB", (160, 160), "red").save(root / file)


def flip_a_byte(file: str) -> Change:
    """Another image of the same size, as a tool that edits in place leaves it."""

    def change(root: Path) -> None:
        data = bytearray((root / file).read_bytes())
        data[-10] ^= 1
        (root / file).write_bytes(data)

    return change


def copy_over(source: str, target: str) -> Change:
    """Another image, as old as the one it replaces."""

    def change(root: Path) -> None:
        before = (root / target).stat()
        shutil.copy(root / source, root / target)
        assert (root / target).stat().st_size != before.st_size
        os.utime(root / target, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


@pytest.mark.parametrize(
    ("change", "why", "concerned"),
    [
        pytest.param(edit(TRAIN, "happy", "sad"), "train.rows changed", {"probe_M1", "finetune_M1"}, id="label"),
        pytest.param(
            edit("data_shared/cropped_faces_csv/test_K7.csv", "기쁨", "분노"), "test.rows changed", {"finetune_K7"},
            id="korean-label",
        ),
        pytest.param(repaint(IMAGE), "train.images changed", {"probe_M1", "finetune_M1"}, id="image"),
        pytest.param(
            copy_over(IMAGE.replace("00", "01"), IMAGE), "train.images changed", {"probe_M1", "finetune_M1"},
            id="image-as-old-as-before",
        ),
        pytest.param(
            flip_a_byte(IMAGE), "train.images changed", {"probe_M1", "finetune_M1"}, id="image-of-the-same-size"
        ),
        pytest.param(repaint(PHOTO), "test.images changed", {"faceapi_M1"}, id="photo"),
        pytest.param(
            edit("data_shared/splits_csv/test_M1.csv", "10,10,100", "10,11,100"), "test.rows changed", {"faceapi_M1"},
            id="box",
        ),
    ],
)  # fmt: skip
def test_changed_data_concerns_only_what_depends_on_it(
    change: Change, why: str, concerned: set[str], root: Path
) -> None:
    finish(root)
    change(root)
    steps = plan(root)
    assert set(statuses(steps)["stale"]) == concerned
    assert set(statuses(steps)["done"]) == {*ALL} - concerned
    assert all(steps[name].to_do and steps[name].why == why for name in concerned)


@pytest.mark.parametrize(
    ("recipe", "why", "concerned"),
    [
        ({"experiments": {"probe_M1": {"lr_head": 0.001}}}, "config.lr_head 0.0007 -> 0.001", {"probe_M1"}),
        ({"experiments": {"*_M2": {"batch": 8}}}, "config.batch 1024 -> 8", {"probe_M2", "finetune_M2"}),
        ({"lr_backbone": 0.002}, "config.lr_backbone 0.0001 -> 0.002", {*TRAINED} - {"probe_M1", "probe_M2"}),
        ({"seed": 1}, "config.seed 1337 -> 1", {*TRAINED}),
        (
            {"experiments": {"finetune_K7": {"stage3_epoch": 20}}},
            "config.stage_starts [0, 5, 15] -> [0, 5, 20]",
            {"finetune_K7"},
        ),
    ],
)
def test_another_configuration(recipe: dict[str, Any], why: str, concerned: set[str], root: Path) -> None:
    finish(root)
    steps = plan(root, **recipe)
    assert set(statuses(steps)["stale"]) == concerned
    assert {steps[name].why for name in concerned} == {why}


def test_values_that_are_the_defaults_in_other_words_change_nothing(root: Path) -> None:
    finish(root)
    assert statuses(plan(root, batch=1024, experiments={"finetune_K7": {"stage2_epoch": 5}})) == {"done": list(ALL)}


def test_weights_count_by_content_not_by_name(root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    first.write_bytes(b"\x80weights")
    second.write_bytes(b"\x80weights")
    finish(root, weights=str(first))
    assert statuses(plan(root, weights=str(second))) == {"done": list(ALL)}
    second.write_bytes(b"\x80other weights")
    steps = plan(root, weights=str(second))
    assert statuses(steps)["stale"] == list(TRAINED)
    assert steps["probe_M1"].why == "weights changed"
    assert statuses(plan(root))["stale"] == list(TRAINED)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"score_threshold": 0.4}, "config.score_threshold 0.5 -> 0.4"),
        ({"input_size": 224}, "config.input_size 416 -> 224"),
        ({"labels": {"joy": "happy"}}, "config.labels.joy None -> happy"),
    ],
)
def test_another_faceapi_setting(settings: dict[str, Any], why: str, root: Path) -> None:
    finish(root)
    steps = plan(root, faceapi=settings)
    assert statuses(steps)["stale"] == ["faceapi_M1", "faceapi_M2"]
    assert steps["faceapi_M1"].why == why


def test_other_faceapi_weights(root: Path, tmp_path: Path) -> None:
    finish(root)
    (tmp_path / "face-api" / f"{NETWORKS[0]}.bin").write_bytes(b"more")
    steps = plan(root)
    assert statuses(steps)["stale"] == ["faceapi_M1", "faceapi_M2"]
    assert steps["faceapi_M1"].why == "weights changed"


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        ([f"{RUNS}/probe_M1_160/test_preds.csv"], "test_preds.csv is missing"),
        (
            [f"{RUNS}/probe_M1_160/best.pt", f"{RUNS}/probe_M1_160/classes.json"],
            "best.pt, classes.json is missing",
        ),
        (["models/faceapi_baseline/results/faceapi_M1_eval.csv"], "faceapi_M1_eval.csv is missing"),
    ],
)
def test_a_result_file_was_lost(lost: list[str], why: str, root: Path) -> None:
    finish(root)
    for file in lost:
        (root / file).unlink()
    (name,) = statuses(plan(root))["stale"]
    assert plan(root)[name].why == why


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"identity": null}', '{"finished": "today"}'])
def test_a_manifest_that_says_nothing_is_none(text: str, root: Path) -> None:
    finish(root)
    (root / RUNS / "probe_M1_160" / "manifest.json").write_text(text, encoding="utf-8")
    steps = plan(root)
    words = "results without a manifest: made by something else; they are kept aside"
    assert (steps["probe_M1"].status, steps["probe_M1"].why) == ("stale", words)
    assert len(statuses(steps)["done"]) == 6


def test_several_changes_are_all_told(root: Path) -> None:
    finish(root)
    edit(TRAIN, "happy", "sad")(root)
    repaint(IMAGE)(root)
    step = plan(root, experiments={"probe_M1": {"lr_head": 0.001}})["probe_M1"]
    assert step.why == "train.rows changed; train.images changed; config.lr_head 0.0007 -> 0.001"


# -- interrupted


def test_interrupted(root: Path) -> None:
    (probe,) = select(["probe_M1"])
    interrupt(root, probe, 2)
    steps = plan(root)
    assert statuses(steps) == {"new": [name for name in ALL if name != "probe_M1"], "interrupted": ["probe_M1"]}
    assert steps["probe_M1"].why == "goes on after epoch 2 of 5"
    assert steps["probe_M1"].to_do


def test_interrupted_with_other_inputs(root: Path) -> None:
    (probe,) = select(["probe_M1"])
    interrupt(root, probe, 2)
    edit(TRAIN, "happy", "sad")(root)
    step = plan(root)["probe_M1"]
    assert (step.status, step.why) == ("stale", "interrupted with other inputs: train.rows changed")


def test_interrupted_while_running_again(root: Path) -> None:
    """Old results, and a checkpoint of the run that was to replace them."""
    finish(root, experiments={"probe_M1": {"lr_head": 0.001}})
    (probe,) = select(["probe_M1"])
    interrupt(root, probe, 4)
    step = plan(root)["probe_M1"]
    assert (step.status, step.why) == ("interrupted", "goes on after epoch 4 of 5")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"identity": "x", "epoch": 1}'])
def test_a_checkpoint_note_that_says_nothing_is_none(text: str, root: Path) -> None:
    (probe,) = select(["probe_M1"])
    interrupt(root, probe, 2)
    (root / RUNS / "probe_M1_160" / ".checkpoints" / "last.json").write_text(text, encoding="utf-8")
    assert plan(root)["probe_M1"].status == "new"


# -- the hashes of images


@pytest.fixture
def hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read to hash them, from an empty cache on."""
    files: list[Path] = []

    def counting(file: Path | str, size: int = -1) -> str:
        files.append(Path(file))
        return file_digest(file, size)

    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("trainable.cache.digests.file_digest", counting)
    return files


def images_of(ours: Planner) -> list[Path]:
    tables = [table for split in ours.inputs.training.values() for table in split.values()]
    return list(dict.fromkeys(row.file for table in tables for row in table.rows))


def test_a_run_hashes_each_image_once(root: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner names images from the working folder, the trials in full."""
    monkeypatch.chdir(root)
    ours = planner(Path())
    for step in ours.plan(select(TRAINED)):
        ours.identify(step)
    images = [root / file for file in images_of(ours)]
    assert sorted(root / file for file in hashed) == sorted(images)
    ImageStore().digests(images)
    assert len(hashed) == len(images)


def test_a_run_goes_on_beside_a_cleared_cache(root: Path, hashed: list[Path], cli: Cli) -> None:
    ours = planner(root)
    (step,) = ours.plan(select(["probe_M1"]))
    identity = ours.identify(step).identity
    images = ImageStore()
    images.digests(images_of(ours))
    assert cli("cache", "--clear").returncode == 0
    hashed.clear()
    assert planner(root).identify(step).identity == identity  # the first one remembers
    assert hashed, "nothing was cleared"
    assert len(images.digests(images_of(ours))) == len(images_of(ours))


@pytest.mark.parametrize("where", ["a file", "a file/below"])
def test_a_cache_that_cannot_be_used_costs_time_only(
    where: str, root: Path, hashed: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(root)
    (tmp_path / "a file").write_text("mine")
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / where))
    hashed.clear()
    assert statuses(plan(root)) == {"done": list(ALL)}
    assert hashed
    assert (tmp_path / "a file").read_text() == "mine"


# -- the planner and those who run


def test_what_the_trainer_leaves_is_done(root: Path) -> None:
    """A real run; one whose last epoch is missing goes on."""
    (experiment,) = select(["probe_M1"])
    paths = ProjectPaths(root, root)
    recipe = {"epochs": 2, "batch": 9, "experiments": {"finetune_*": {"epochs": 3}}}
    config = planner(root, **recipe).inputs.configs["probe_M1"]
    spec = RunSpec(root, paths.training_csvs("M1"), paths.run(experiment).out, config)
    trainer = Trainer(spec, Resources("cpu", 1, 0))
    trainer.step()
    step = plan(root, **recipe)["probe_M1"]
    assert (step.status, step.why) == ("interrupted", "goes on after epoch 1 of 2")
    trainer.run()
    step = plan(root, **recipe)["probe_M1"]
    assert step.status == "done"
    assert planner(root, **recipe).identify(replace(step, identity=None)).identity == trainer.identity


def test_nothing_to_run_starts_nothing(root: Path, cli: Cli) -> None:
    """The fixture would fail the test if Ray were started."""
    finish(root)
    done = cli("run-all", "--project-root", root, "--weights", "none", "--only", "*_160")
    assert done.returncode == 0, done.stderr
    assert f"done before: {' '.join(TRAINED)}" in done.stdout
    assert not (root / ".emosweep" / "logs").exists()


# -- the command


@pytest.fixture
def own_evaluator(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options for an evaluator of the user's, so that the command needs no Node and no packages here."""
    node = tmp_path / "bin" / "node"
    node.parent.mkdir()
    node.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{node.parent}{os.pathsep}{os.environ['PATH']}")
    (root / "models" / "faceapi_baseline").mkdir(parents=True)
    (tmp_path / "mine.mjs").touch()
    return ["--faceapi-script", str(tmp_path / "mine.mjs"), "--faceapi-models", str(tmp_path / "face-api")]


def test_the_command_shows_every_step(root: Path, own_evaluator: list[str], cli: Cli) -> None:
    finish(root)
    edit(TRAIN, "happy", "sad")(root)
    (k7,) = select(["finetune_K7"])
    (root / RUNS / "finetune_K7_160" / "manifest.json").unlink()
    interrupt(root, k7, 7)
    done = cli("plan", "--project-root", root, "--weights", "none", *own_evaluator)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "probe_M1 18/6/9 5 1024 stale train.rows changed" in lines
    assert "probe_M2 18/6/9 5 1024 done 2026-01-02T03:04:05Z" in lines
    text = " ".join(lines)
    assert "finetune_K7 18/6/9 50 1024 interrupted goes on after epoch 7 of 50" in text
    assert "faceapi_M1 3 – – stale config.engine onnx -> script" in text
    assert "to run: faceapi_M1 probe_M1 finetune_M1 faceapi_M2 finetune_K7" in lines
    assert max(map(cell_len, done.stdout.splitlines()[:-1])) <= 80
    assert "…" not in done.stdout


def test_the_command_with_everything_done(root: Path, cli: Cli) -> None:
    finish(root)
    done = cli("plan", "--project-root", root, "--weights", "none", "--only", "*_160")
    assert done.stdout.splitlines()[-1] == "nothing to run: all done"


def test_options_decide_the_plan(root: Path, cli: Cli) -> None:
    recipe = root / "recipe.json"
    write_json(recipe, {"batch": 64, "experiments": {"probe_M2": {"epochs": 9}}})
    done = cli("plan", "--project-root", root, "--only", "*_M2_160", "--config", recipe, "--batch", "32")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "probe_M2 18/6/9 9 32 new never ran" in lines
    assert "finetune_M2 18/6/9 30 32 new never ran" in lines


def test_planning_loads_nothing_heavy(root: Path, own_evaluator: list[str]) -> None:
    """Not even where there are results to compare with: all data are read and all images hashed."""
    finish(root)
    code = (
        "import json, sys\n"
        "from orchestrator.__main__ import run\n"
        "try:\n"
        "    run()\n"
        "except SystemExit as end:\n"
        "    heavy = ('torch', 'torchvision', 'ray', 'sklearn', 'pandas', 'pyarrow', 'numpy', 'PIL', 'onnx')\n"
        "    print(json.dumps([end.code, [name for name in heavy if name in sys.modules]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", "--project-root", str(root), "--weights", "none", *own_evaluator],
        capture_output=True, text=True, encoding="utf-8", timeout=60, check=True, env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert "done" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


@pytest.mark.parametrize("encoding", ["cp949", "ascii"])
def test_a_console_that_lacks_some_characters(encoding: str, root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "plan", "--project-root", str(root), "--only", "probe_M1"],
        capture_output=True, timeout=60, check=False, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"never ran" in done.stdout
    done.stdout.decode(encoding)


def test_flags_reach_every_step(root: Path) -> None:
    paths = ProjectPaths(root, root)
    settings = Settings(Recipe(epochs=3, batch=4, weights="none", seed=5))
    configs = check_inputs(select(TRAINED), settings, paths).configs
    assert {(c.epochs, c.batch, c.weights, c.seed) for c in configs.values()} == {(3, 4, "none", 5)}


def test_a_run_under_way_is_told(root: Path, cli: Cli) -> None:
    options = ("plan", "--project-root", root, "--weights", "none", "--only", "probe_M1")
    lock = root / ".emosweep" / "run.lock"
    assert "a run is writing here now" not in cli(*options).stdout
    assert not lock.exists(), "looking must not make the lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        assert "a run is writing here now" in cli(*options).stdout
    assert "a run is writing here now" not in cli(*options).stdout
