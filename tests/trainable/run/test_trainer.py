"""Whole runs: what they leave behind, and that nothing which happens on the way changes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import (
    CPU,
    RESULTS,
    best_weights,
    csvs_of,
    finetune,
    history,
    probe,
    read_rows,
    same_weights,
    spec_of,
    tables_of,
)
from torch import Tensor
from torchvision.models import mobilenet_v3_small
from twins import assert_same, manifest

from trainable.base.config import TrainConfig
from trainable.base.errors import ExperimentError, InputError
from trainable.base.files import read_json, write_json
from trainable.base.paths import RunPaths
from trainable.cache.hashes import file_digest
from trainable.feed.plain import ImageBatches
from trainable.network.compute import Compute
from trainable.network.model import build_model
from trainable.network.pixels import normalise
from trainable.run.history import HISTORY_COLUMNS, TrialHistory
from trainable.run.metrics import classification_metrics
from trainable.run.resumption import write_note
from trainable.run.trainer import Trainer

CLASSES = ["angry", "happy", "sad"]
KOREAN = ["기쁨", "분노", "슬픔"]


def test_a_file_is_hashed_once(
    project: Path, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's identity and the image store take their digests from the same look-up."""
    hashed: list[Path] = []

    def counting(file: Path | str, size: int = -1) -> str:
        hashed.append(Path(file))
        return file_digest(file, size)

    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("trainable.cache.digests.file_digest", counting)
    Trainer(spec_of(project, tmp_path / "finetune_M1_160", config), CPU).run()
    images = {row.file for table in tables_of(project).values() for row in table.rows}
    assert sorted(file for file in hashed if file in images) == sorted(images)


@pytest.fixture(scope="module")
def learned(shared_project: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose score rises on its way."""
    out = tmp_path_factory.mktemp("learned") / "probe_M1_160"
    Trainer(spec_of(shared_project, out, learner(weights)), CPU).run()
    return out


def learner(weights: Path) -> TrainConfig:
    """A probe that tells the classes apart before it ends."""
    return probe(weights, epochs=8, lr_head=3e-2)


def copy_of(model: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


# -- what a run leaves behind


def test_a_finished_run_leaves_the_runbooks_files_and_nothing_else(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == RESULTS


def test_best_pt_loads_safely_and_holds_state_dict_classes_and_config(whole: Path, config: TrainConfig) -> None:
    best = torch.load(whole / "best.pt", weights_only=True)
    assert best.keys() == {"state_dict", "classes", "config"}
    assert best["classes"] == CLASSES
    assert TrainConfig(**best["config"]) == config


def test_an_exporter_finds_its_weights_in_best_pt(learned: Path, shared_project: Path) -> None:
    """As a script that knows torchvision only would load them; the predictions are those of test_preds.csv."""
    checkpoint = torch.load(learned / "best.pt", map_location="cpu", weights_only=True)
    model = mobilenet_v3_small(weights=None)
    model.classifier[-1] = torch.nn.Linear(model.classifier[-1].in_features, len(checkpoint["classes"]))
    model.load_state_dict(checkpoint.get("state_dict", checkpoint), strict=True)
    found = [row["pred"] for row in read_rows(learned / "test_preds.csv")]
    assert predictions(model.to(memory_format=torch.channels_last), shared_project) == found
    assert len(set(found)) > 1, "constant predictions would prove little"


def test_metrics_have_the_contracts_fields_and_agree_with_the_predictions(whole: Path) -> None:
    test = json.loads((whole / "test_metrics.json").read_text())
    rows = read_rows(whole / "test_preds.csv")
    counted = classification_metrics([r["true"] for r in rows], [r["pred"] for r in rows], CLASSES)
    assert {key: value for key, value in test.items() if key != "loss"} == counted
    assert test["n"] == 9
    assert set(test["per_class"]["sad"]) == {"precision", "recall", "f1", "support"}
    val = json.loads((whole / "val_metrics_best.json").read_text())
    assert val.keys() == test.keys() | {"epoch"}
    assert val["n"] == 6


def test_predictions_have_the_csvs_paths_in_its_order(learned: Path, shared_project: Path) -> None:
    assert (learned / "test_preds.csv").read_bytes().startswith(b"path,true,pred\ndata_shared/"), "a BOM, or CRLF"
    rows, table = read_rows(learned / "test_preds.csv"), tables_of(shared_project)["test"]
    assert [(row["path"], row["true"]) for row in rows] == [(row.path, row.label) for row in table.rows]
    assert len({row["pred"] for row in rows}) > 1, "constant predictions would prove little"


def test_the_history_has_a_row_an_epoch(whole: Path) -> None:
    rows = read_rows(whole / "history.csv")
    assert tuple(rows[0]) == HISTORY_COLUMNS
    assert [(row["epoch"], row["stage"]) for row in rows] == [("1", "1"), ("2", "2"), ("3", "3"), ("4", "3")]
    assert [row["lr_backbone"] for row in rows] == ["", "0.001", "0.001", "0.001"]
    assert {row["lr_head"] for row in rows} == {"0.01"}
    assert {row["micro_batch"] for row in rows} == {"8"}
    assert all(float(row["seconds"]) > 0 for row in rows)
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_the_manifest_says_what_made_the_run(whole: Path, config: TrainConfig) -> None:
    found = manifest(whole)
    assert TrainConfig(**found["config"]) == config
    assert found["experiment"] == "finetune_M1_160"
    assert found["classes"] == CLASSES
    assert found["rows"] == {"train": 18, "val": 6, "test": 9}
    assert (found["device"], found["amp"], found["workers"]) == ("cpu", False, 0)
    assert found["fallbacks"] == []
    assert found["corrupt_images"] == {"train": [], "val": [], "test": []}
    assert torch.__version__.startswith(found["versions"]["torch"])
    assert found["seconds_per_stage"].keys() == {"1", "2", "3"}
    assert found["seconds"] >= sum(found["seconds_per_stage"].values()) > 0
    assert found["identity"]["config"] == config.identity()
    assert found["identity"]["weights"].startswith("sha256:")


def test_the_configuration_of_a_run_is_whole_in_its_results(whole: Path, config: TrainConfig) -> None:
    assert manifest(whole)["config"] == asdict(config) == torch.load(whole / "best.pt", weights_only=True)["config"]


def test_korean_names_stay_readable_and_in_their_order(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    Trainer(spec_of(shared_project, tmp_path / "out", probe(weights, epochs=1), "K7"), CPU).run()
    text = (tmp_path / "out/classes.json").read_text(encoding="utf-8")
    assert "기쁨" in text
    assert json.loads(text) == {"classes": KOREAN}
    assert "기쁨" in (tmp_path / "out/test_preds.csv").read_text(encoding="utf-8")
    assert list(json.loads((tmp_path / "out/test_metrics.json").read_text(encoding="utf-8"))["per_class"]) == KOREAN
    assert torch.load(tmp_path / "out/best.pt", weights_only=True)["classes"] == KOREAN
    assert manifest(tmp_path / "out")["label_columns"] == dict.fromkeys(("train", "val", "test"), "orig_kor")


def test_corrupt_images_of_every_part_are_in_the_manifest_and_told_once(project: Path, tmp_path: Path) -> None:
    names = {part: [f"data_shared/cropped_faces_160/M1/{part}_0{i}.jpg" for i in (1, 4)] for part in csvs_of(project)}
    paths = [path for found in names.values() for path in found]
    for path in paths:
        (project / path).write_bytes(b"no image")
    told: list[str] = []
    resources = replace(CPU, allow_corrupt=True)
    Trainer(spec_of(project, tmp_path / "out", probe()), resources, log=told.append).run()
    assert manifest(tmp_path / "out")["corrupt_images"] == names
    for path in paths:
        assert sum(path in line for line in told) == 1


def test_a_second_run_into_the_same_folder_replaces_everything(
    shared_project: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    Trainer(spec_of(shared_project, out, probe(weights, epochs=1, seed=1)), CPU).run()
    old = manifest(out)
    Trainer(spec_of(shared_project, out, probe(weights, epochs=2, seed=2)), CPU).run()
    assert {path.name for path in out.iterdir() if path.is_file()} == RESULTS
    assert manifest(out)["identity"] != old["identity"]
    assert len(history(out)) == 2
    assert torch.load(out / "best.pt", weights_only=True)["config"]["seed"] == 2


def test_classes_are_sorted_whatever_comes_first(project: Path, tmp_path: Path) -> None:
    train = csvs_of(project)["train"]
    header, *rows = train.read_text().splitlines()
    train.write_text("\n".join([header, *reversed(rows)]))
    run = Trainer(spec_of(project, tmp_path / "out", probe()), CPU)
    assert run.tables["train"].labels[0] == "sad"
    assert run.classes == CLASSES


def test_bad_tables_are_an_input_error(project: Path, tmp_path: Path) -> None:
    csvs_of(project)["val"].write_text("path,label_en\ngone.jpg,sad\n")
    with pytest.raises(InputError, match=r"gone\.jpg"):
        Trainer(spec_of(project, tmp_path / "out", probe()), CPU)


# -- training


def test_each_stage_trains_its_part_from_its_start(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    """Bit by bit: also no BatchNorm statistic moves in a frozen layer."""
    run = Trainer(spec_of(shared_project, tmp_path / "out", finetune(weights)), CPU)
    before = copy_of(run.network.model)
    moved = []
    while not run.done:
        run.step()
        after = copy_of(run.network.model)
        moved.append({key for key in before if not torch.equal(before[key], after[key])})
        before = after
    assert moved[0] == {"classifier.3.weight", "classifier.3.bias"}
    assert {key.split(".")[1] for key in moved[1] if key.startswith("features")} == {"11", "12"}
    assert not any(key.startswith("classifier.0") for key in moved[1])
    assert {key.split(".")[1] for key in moved[2] if key.startswith("features")} == {str(i) for i in range(13)}
    assert "classifier.0.weight" in moved[2]


def test_a_probe_leaves_the_body_of_its_weights_as_it_was(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    Trainer(spec_of(shared_project, tmp_path / "out", probe(weights)), CPU).run()
    start, end = torch.load(weights, weights_only=True), best_weights(tmp_path / "out")
    assert {key for key in start if not torch.equal(start[key], end[key])} == {
        "classifier.3.weight",
        "classifier.3.bias",
    }


def test_a_run_learns(learned: Path) -> None:
    assert json.loads((learned / "val_metrics_best.json").read_text())["macro_f1"] > 0.8


def test_the_optimizer_is_new_at_each_stage_and_only_there(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    """It counts its steps, three an epoch; the last stage has two epochs."""
    run = Trainer(spec_of(shared_project, tmp_path / "out", finetune(weights)), CPU)
    steps = []
    while not run.done:
        run.step()
        steps.append(int(run.state_dict()["optimizer"]["state"][0]["step"]))
    assert steps == [3, 3, 3, 6]


# -- the best epoch


def test_the_best_epoch_has_the_highest_validation_f1(learned: Path) -> None:
    scores = [float(row["val_macro_f1"]) for row in read_rows(learned / "history.csv")]
    best = json.loads((learned / "val_metrics_best.json").read_text())
    assert len(set(scores)) > 1
    assert best["macro_f1"] == max(scores)
    assert best["epoch"] == scores.index(max(scores)) + 1
    assert best["loss"] == float(read_rows(learned / "history.csv")[best["epoch"] - 1]["val_loss"])


def test_the_earlier_epoch_wins_a_tie(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    """A rate so small that no prediction changes, though the weights do."""
    run = Trainer(spec_of(shared_project, tmp_path / "out", probe(weights, epochs=3, lr_head=1e-7)), CPU)
    states = []
    while not run.done:
        run.step()
        states.append(copy_of(run.network.model))
    run.finish()
    assert not same_weights(states[0], states[1])
    scores = {row["val_macro_f1"] for row in history(tmp_path / "out")}
    assert len(scores) == 1
    assert json.loads((tmp_path / "out/val_metrics_best.json").read_text())["epoch"] == 1
    assert same_weights(best_weights(tmp_path / "out"), states[0])


def predictions(model: torch.nn.Module, project: Path) -> list[str]:
    """The test predictions of `model`, by hand."""
    images = ImageBatches(tables_of(project)["test"], CLASSES, 9, seed=None, workers=0, pin=False)
    pixels, _, _ = next(images.epoch())
    model.eval()
    with torch.no_grad():
        return [CLASSES[i] for i in model(normalise(pixels, torch.device("cpu"))).argmax(1).tolist()]


def test_test_is_evaluated_with_the_best_weights(project: Path, weights: Path, tmp_path: Path) -> None:
    """Validation labels are wrong on purpose, so that the better the model learns, the lower it scores."""
    val = csvs_of(project)["val"]
    turned = {"angry": "happy", "happy": "sad", "sad": "angry"}
    header, *lines = val.read_text().splitlines()
    val.write_text("\n".join([header, *(f"{line.split(',')[0]},{turned[line.split(',')[1]]}" for line in lines)]))
    run = Trainer(spec_of(project, tmp_path / "out", learner(weights)), CPU)
    while not run.done:
        run.step()
    last = predictions(run.network.model, project)
    run.finish()
    best = json.loads((tmp_path / "out/val_metrics_best.json").read_text())
    model, _ = build_model(probe(), CLASSES)
    model.load_state_dict(best_weights(tmp_path / "out"))
    found = [row["pred"] for row in read_rows(tmp_path / "out/test_preds.csv")]
    assert best["epoch"] < 8
    assert found == predictions(model, project)
    assert found != last


# -- resumed is uninterrupted


def test_a_run_stopped_after_every_epoch_ends_like_one_that_was_not(
    shared_project: Path, config: TrainConfig, whole: Path, tmp_path: Path
) -> None:
    """Also with other workers and threads at every turn."""
    spec = spec_of(shared_project, tmp_path / "finetune_M1_160", config)
    told: list[str] = []
    for epoch, resources in enumerate((CPU, replace(CPU, workers=2), replace(CPU, threads=2), replace(CPU, workers=1))):
        run = Trainer(spec, resources, log=told.append)
        assert run.state.epoch == epoch
        run.step()
    assert [line for line in told if "going on" in line] == [f"going on after epoch {i} of 4" for i in (1, 2, 3)]
    last = Trainer(spec, CPU)
    assert last.done
    last.run()
    assert_same(whole, spec.out)
    assert manifest(spec.out)["started"] <= manifest(spec.out)["finished"]


def test_checkpoints_keep_their_keys(begun: Trainer) -> None:
    """A run that an earlier version began goes on with this one."""
    assert begun.state_dict().keys() == {
        "identity", "epoch", "stage", "model", "optimizer", "scaler", "best", "history", "corrupt", "fallbacks",
        "micro_batch", "started", "notes",
    }  # fmt: skip


def test_a_state_carries_everything_into_another_folder(
    shared_project: Path, config: TrainConfig, whole: Path, tmp_path: Path
) -> None:
    """What Ray does when it moves a trial: through `state_dict`, without the run's own checkpoint."""
    first = Trainer(spec_of(shared_project, tmp_path / "one", config), CPU)
    for _ in range(3):
        first.step()
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = Trainer(spec_of(shared_project, tmp_path / "two", config), CPU)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    second.run()
    assert_same(whole, tmp_path / "two")


def test_the_checkpoint_note_says_without_torch_what_there_is(
    shared_project: Path, config: TrainConfig, tmp_path: Path
) -> None:
    run = Trainer(spec_of(shared_project, tmp_path / "out", config), CPU)
    row = run.step()
    note = json.loads((tmp_path / "out/.checkpoints/last.json").read_text())
    assert (note["identity"], note["epoch"]) == (run.identity, 1)
    assert (note["scores"], note["stages"]) == ([row["val_macro_f1"]], [row["stage"]])
    assert note["total_seconds"] == row["seconds"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".checkpoints"}


@pytest.fixture
def begun(shared_project: Path, config: TrainConfig, tmp_path: Path) -> Trainer:
    """A run after its first epoch."""
    run = Trainer(spec_of(shared_project, tmp_path / "out", config), CPU)
    run.step()
    return run


@pytest.mark.parametrize("change", [{"lr_head": 1.1e-2}, {"epochs": 5}, {"seed": 1}], ids=str)
def test_a_checkpoint_of_another_configuration_is_ignored(begun: Trainer, change: dict[str, Any]) -> None:
    assert Trainer(begun.spec, CPU).state.epoch == 1
    other = Trainer(replace(begun.spec, config=replace(begun.config, **change)), CPU)
    assert (other.state.epoch, other.history, other.state.best) == (0, [], {})


def test_a_checkpoint_of_other_images_is_ignored(project: Path, weights: Path, tmp_path: Path) -> None:
    spec = spec_of(project, tmp_path / "out", probe(weights))
    Trainer(spec, CPU).step()
    assert Trainer(spec, CPU).state.epoch == 1
    image = tables_of(project)["test"].rows[0].file
    image.write_bytes(tables_of(project)["test"].rows[1].file.read_bytes())
    assert Trainer(spec, CPU).state.epoch == 0


def test_a_checkpoint_can_be_ignored_on_purpose(begun: Trainer) -> None:
    assert Trainer(begun.spec, CPU, fresh=True).state.epoch == 0


BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "garbage": lambda data: b"garbage" * 1000,
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_checkpoint_is_ignored(begun: Trainer, how: str) -> None:
    path = RunPaths(begun.spec.out).checkpoint
    path.write_bytes(BREAKS[how](path.read_bytes()))
    again = Trainer(begun.spec, CPU)
    assert again.state.epoch == 0
    again.step()
    assert Trainer(begun.spec, CPU).state.epoch == 1


def test_a_checkpoint_that_would_run_code_is_ignored(begun: Trainer, tmp_path: Path) -> None:
    """A pickle can call anything; only tensors and plain values are loaded."""

    class Harmful:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "touched",)

    paths = RunPaths(begun.spec.out)
    torch.save({**begun.state_dict(), "started": Harmful()}, paths.checkpoint)
    write_note(paths, begun.identity, 1, TrialHistory.of_rows(begun.history))
    assert Trainer(begun.spec, CPU).state.epoch == 0
    assert not (tmp_path / "touched").exists()


def test_the_configuration_may_ask_for_mixed_precision(shared_project: Path, tmp_path: Path) -> None:
    config = probe(amp=True)
    run = Trainer(spec_of(shared_project, tmp_path / "out", config), CPU)
    assert run.compute == Compute(torch.device("cpu"), amp=True)


def test_given_tables_and_identity_no_csv_is_read_and_no_image_is_hashed(
    project: Path, config: TrainConfig, whole: Path, tmp_path: Path
) -> None:
    """The CSVs have gone; the identity is the caller's own word."""
    tables, spec = tables_of(project), spec_of(project, tmp_path / "finetune_M1_160", config)
    for path in csvs_of(project).values():
        path.unlink()
    run = Trainer(spec, CPU, {"any": "identity"}, tables)
    assert run.identity == {"any": "identity"}
    run.run()
    assert history(spec.out) == history(whole)


def test_a_checkpoint_of_version_0_1_is_taken_up(begun: Trainer) -> None:
    """Its note says nothing of the file, and its state has no `notes`."""
    paths, state = RunPaths(begun.spec.out), begun.state_dict()
    state.pop("notes")
    torch.save(state, paths.checkpoint)
    note = read_json(paths.checkpoint_note)
    assert note is not None
    write_json(paths.checkpoint_note, {key: note[key] for key in note if key not in ("size", "sha256")})
    assert Trainer(begun.spec, CPU).state.epoch == 1


def test_an_epoch_that_fails_leaves_the_checkpoint_before_it(project: Path, weights: Path, tmp_path: Path) -> None:
    """And the run goes on from there once the image is back."""
    spec = spec_of(project, tmp_path / "out", probe(weights))
    plain = replace(CPU, plain=True)
    run = Trainer(spec, plain)
    run.step()
    file = tables_of(project)["train"].rows[4].file
    file.rename(tmp_path / "away")
    with pytest.raises(ExperimentError, match="has gone since"):
        run.step()
    (tmp_path / "away").rename(file)
    Trainer(spec, plain).run()
    Trainer(replace(spec, out=tmp_path / "undisturbed"), CPU).run()
    assert_same(spec.out, tmp_path / "undisturbed")


def test_the_manifest_comes_last_and_a_half_written_result_is_none(begun: Trainer, whole: Path) -> None:
    """A write in the middle fails: then there is no manifest, and the checkpoint still leads to the end."""
    out = begun.spec.out
    (out / "manifest.json").write_text('{"identity": "of an older run"}')
    (out / "history.csv/in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=r"history\.csv"):
        begun.run()
    assert not (out / "manifest.json").exists()
    assert not list(out.glob(".*.tmp"))
    (out / "history.csv/in the way").rmdir()
    (out / "history.csv").rmdir()
    again = Trainer(begun.spec, CPU)
    assert again.done
    again.run()
    assert {path.name for path in out.iterdir()} == RESULTS
    assert_same(out, whole)
