"""The law of the fast path: stored pixels and stored features give the plain path's numbers, bit by bit."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from projects import make_project, write_csv
from small_runs import CPU, csvs_of, finetune, history, probe, spec_of, tables_of, unbalance, write_weights
from twins import (
    PLAIN,
    assert_same,
    cache_at,
    manifest,
    segments_of,
    sized_project,
    steps_with_states,
    tells_classes_apart,
    trained,
)

from trainable.base.config import TrainConfig
from trainable.cache.segments import write_segment
from trainable.pieces.images import PIECE
from trainable.run.trainer import Trainer


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return write_weights(folder / "w.pt", tables_of(sized_project(folder / "project", 48, 3, 3))["train"])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    """A cold cache for each test."""
    with cache_at(tmp_path / "cache") as folder:
        yield folder


def three_stages(weights: Path | str, **changes: object) -> TrainConfig:
    """An epoch each; the rates leave no epoch like the one before."""
    return finetune(weights, **{"epochs": 3, "lr_head": 3e-2, **changes})


# -- sizes


@pytest.mark.parametrize(
    ("train", "val", "test", "batch"),
    [
        (16, 1, 1, 8),  # no tail
        (17, 3, 63, 8),  # a tail of one image
        (70, 64, 64, 67),  # batches above the 64 rows of a frozen pass, a tail below
        (135, 66, 65, 68),  # a tail above as well
    ],
)
def test_plain_and_fast_are_equal_through_all_stages_at_every_batch_size(
    train: int, val: int, test: int, batch: int, weights: Path, tmp_path: Path
) -> None:
    project = sized_project(tmp_path / "project", train, val, test)
    config = three_stages(weights, batch=batch)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    assert_same(plain, trained(project, tmp_path / "fast", config))
    assert [row["stage"] for row in history(plain)] == ["1", "2", "3"]
    assert test == 1 or tells_classes_apart(plain)


def test_the_test_is_equal_whichever_stage_the_best_epoch_is_of(weights: Path, tmp_path: Path) -> None:
    """The best epoch is set by hand: which one it is depends on the images, and not on the path."""
    project = sized_project(tmp_path / "project", 12, 4, 9)
    for name, resources in (("plain", PLAIN), ("fast", CPU)):
        run = Trainer(spec_of(project, tmp_path / name, three_stages(weights)), resources)
        states = steps_with_states(run)
        for stage in (1, 2, 3):
            run.load_state_dict({**states[-1], "best": states[stage - 1]["best"]})
            run.finish()
            run.spec.out.rename(tmp_path / f"{name}, best in stage {stage}")
    for stage in (1, 2, 3):
        assert_same(*(tmp_path / f"{name}, best in stage {stage}" for name in ("plain", "fast")))


# -- what the cache holds before


def test_a_warm_cache_gives_the_numbers_of_a_cold_one(weights: Path, cache: Path, tmp_path: Path) -> None:
    project = sized_project(tmp_path / "project", 17, 5, 9)
    config = three_stages(weights)
    cold = trained(project, tmp_path / "cold", config)
    written = segments_of(cache, "images") | segments_of(cache, "features")
    assert_same(cold, trained(project, tmp_path / "warm", config))
    assert segments_of(cache, "images") | segments_of(cache, "features") == written, "something was computed again"


def test_a_cache_half_filled_by_another_split_gives_the_same_numbers(
    weights: Path, cache: Path, tmp_path: Path
) -> None:
    """M2 shares M1's first images, and took what was another part's there."""
    project = sized_project(tmp_path / "project", 30, 5, 9)
    sized_project(project, 6, 8, 4, "M2", first=7)
    config = three_stages(weights)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    trained(project, tmp_path / "other", config, split="M2")
    half = len(segments_of(cache, "features"))
    assert half
    assert_same(plain, trained(project, tmp_path / "fast", config))
    assert len(segments_of(cache, "features")) > half


@pytest.mark.parametrize("from_trunk", [False, True], ids=["kept", "derived from stage 2"])
def test_a_probe_after_a_finetune_is_a_probe(from_trunk: bool, weights: Path, cache: Path, tmp_path: Path) -> None:
    project = sized_project(tmp_path / "project", 20, 5, 9)
    plain = trained(project, tmp_path / "plain", probe(weights), PLAIN)
    trained(project, tmp_path / "finetune", three_stages(weights))
    if from_trunk:
        for about in (cache / "features").glob("*/about.json"):
            if json.loads(about.read_text())["stage"] == 1:
                shutil.rmtree(about.parent)
        assert segments_of(cache, "features"), "no trunk rows to derive from"
    assert_same(plain, trained(project, tmp_path / "fast", probe(weights)))


def test_a_finetune_after_a_probe_is_a_finetune(weights: Path, tmp_path: Path) -> None:
    project = sized_project(tmp_path / "project", 20, 5, 9)
    plain = trained(project, tmp_path / "plain", three_stages(weights), PLAIN)
    trained(project, tmp_path / "probe", probe(weights, seed=3))
    assert_same(plain, trained(project, tmp_path / "fast", three_stages(weights)))


def test_in_a_finetune_an_image_goes_through_the_lower_layers_once(weights: Path, tmp_path: Path) -> None:
    """Each flip of a training image does; what stages 1 and 2 take comes from that one pass."""
    run = Trainer(spec_of(sized_project(tmp_path / "project", 40, 70, 3), tmp_path / "out", three_stages(weights)), CPU)
    passed: list[int] = []
    run.network.model.get_submodule("features.0").register_forward_hook(
        lambda layer, args, out: passed.append(len(out))
    )
    while run.config.stage_at(run.state.epoch) < 3:
        run.step()
    pieces = -(-2 * 40 // PIECE) + -(-70 // PIECE)
    assert passed == [PIECE] * pieces


# -- what the cache cannot hold


def assert_goes_on(project: Path, out: Path, config: TrainConfig, plain: Path) -> None:
    """A run that says once that it does without the cache, and ends with the plain path's numbers."""
    told: list[str] = []
    Trainer(spec_of(project, out, config), CPU, log=told.append).run()
    assert len([line for line in told if "going on without it" in line]) == 1, told
    assert manifest(out)["path"] == "plain"
    assert_same(plain, out)


@pytest.mark.parametrize("full_in", [0, 1, 2, 2.5], ids=["nothing fits", "stage 1", "stage 2", "stage 2, validation"])
def test_a_cache_that_fills_up_on_the_way_changes_no_number(
    full_in: float, weights: Path, cache: Path, tmp_path: Path
) -> None:
    """Sizes in bytes; half of a features' batch more would do. Validation has as many images as training."""
    project = sized_project(tmp_path / "project", 12, 12, 1)
    pixels, first, second = 12 * 160 * 160 * 3, 24 * 4096, 24 * 9600
    config = three_stages(weights)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    room = {0: 0, 1: pixels + first // 2, 2: pixels + first + second // 4, 2.5: pixels + second + second // 4}[full_in]
    with cache_at(cache, room / 1e9):
        assert_goes_on(project, tmp_path / "full", config, plain)
    assert sum(path.stat().st_size for path in cache.rglob("*.arrow")) <= room
    stages = {json.loads((path.parent / "about.json").read_text())["stage"] for path in segments_of(cache, "features")}
    assert (2 in stages) == (full_in == 2.5)


@pytest.mark.parametrize("rows", [(1024,), (5, 5, 96)], ids=["stage 1", "stage 2"])
def test_a_disk_that_fills_up_while_features_are_written_changes_no_number(
    rows: tuple[int, ...], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patched, since a test cannot fill the disk at this moment."""

    def full(path: Path, keys: list[str], flags: list[bool], stored: torch.Tensor) -> None:
        if stored.shape[1:] == rows:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_segment(path, keys, flags, stored)

    project = sized_project(tmp_path / "project", 12, 5, 5)
    config = three_stages(weights)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    monkeypatch.setattr("trainable.cache.rows.write_segment", full)
    assert_goes_on(project, tmp_path / "full", config, plain)


def test_a_cache_with_room_for_one_part_at_a_time_is_filled_again(weights: Path, cache: Path, tmp_path: Path) -> None:
    """Pixels go for features and come again for stage 3."""
    project = sized_project(tmp_path / "project", 12, 12, 12)
    config = three_stages(weights)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    with cache_at(cache, 12 * (160 * 160 * 3 * 2.2) / 1e9):
        assert_same(plain, trained(project, tmp_path / "out", config))


def test_no_place_for_a_cache_changes_no_number(weights: Path, tmp_path: Path) -> None:
    project = sized_project(tmp_path / "project", 9, 3, 3)
    plain = trained(project, tmp_path / "plain", probe(weights), PLAIN)
    (tmp_path / "a file").write_text("mine")
    with cache_at(tmp_path / "a file"):
        assert_goes_on(project, tmp_path / "out", probe(weights), plain)
    assert (tmp_path / "a file").read_text() == "mine"


# -- how a run goes


def test_micro_batches_change_nothing_between_the_paths(weights: Path, tmp_path: Path) -> None:
    """As after running out of device memory: set in a state, where a resumed run finds them."""
    project = sized_project(tmp_path / "project", 20, 5, 9)
    for name, resources in (("plain", PLAIN), ("fast", CPU)):
        run = Trainer(spec_of(project, tmp_path / name, three_stages(weights, batch=10)), resources)
        run.step()
        run.load_state_dict({**run.state_dict(), "micro_batch": 3})
        run.run()
    assert_same(tmp_path / "plain", tmp_path / "fast")
    assert [row["micro_batch"] for row in history(tmp_path / "fast")] == ["10", "3", "3"]


def test_a_run_stopped_after_every_epoch_that_loses_its_cache_ends_like_one_that_was_not(
    weights: Path, cache: Path, tmp_path: Path
) -> None:
    project = sized_project(tmp_path / "project", 17, 5, 9)
    config = finetune(weights, epochs=5, stage2_epoch=2, stage3_epoch=4)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    spec = spec_of(project, tmp_path / "fast", config)
    for _ in range(config.epochs):
        Trainer(spec, CPU).step()
        assert segments_of(cache, "images")
        shutil.rmtree(cache)
    Trainer(spec, CPU).run()
    assert_same(plain, spec.out)


def test_corrupt_images_are_the_same_black_patches_with_the_same_names(weights: Path, tmp_path: Path) -> None:
    """Two of them with the same content, and one that is there twice."""
    project = sized_project(tmp_path / "project", 20, 5, 9)
    tables = tables_of(project)
    for part, row, content in (("train", 3, b"no"), ("train", 7, b"no"), ("val", 1, b""), ("test", 8, b"\xff\xd8")):
        tables[part].rows[row].file.write_bytes(content)
    twice = [(row.path, row.label) for row in (*tables["train"].rows, tables["train"].rows[3])]
    write_csv(csvs_of(project)["train"], ("path", "label_en"), twice)
    plain = trained(project, tmp_path / "plain", three_stages(weights), replace(PLAIN, allow_corrupt=True))
    assert {part: len(names) for part, names in manifest(plain)["corrupt_images"].items()} == {
        "train": 2, "val": 1, "test": 1
    }  # fmt: skip
    fast = trained(project, tmp_path / "fast", three_stages(weights), replace(PLAIN, plain=False, allow_corrupt=True))
    assert_same(plain, fast)


def test_half_precision_on_a_cpu_gives_the_same_numbers(weights: Path, tmp_path: Path) -> None:
    project = sized_project(tmp_path / "project", 17, 5, 9)
    config = three_stages(weights, amp=True)
    plain = trained(project, tmp_path / "plain", config, PLAIN)
    assert_same(plain, trained(project, tmp_path / "fast", config))
    assert history(plain) != history(trained(project, tmp_path / "whole", three_stages(weights, amp=False), PLAIN))


@pytest.mark.parametrize(("amp", "micro_batch"), [(False, None), (True, None), (False, 3)], ids=str)
def test_smoothing_weights_and_a_cosine_together_give_the_same_numbers(
    amp: bool, micro_batch: int | None, weights: Path, tmp_path: Path
) -> None:
    project = unbalance(sized_project(tmp_path / "project", 24, 5, 9), (8, 6, 3))
    options = {"label_smoothing": 0.1, "class_weighting": "effective-number", "schedule": "cosine"}
    for name, resources, more in (("plain", PLAIN, options), ("fast", CPU, options), ("without", CPU, {})):
        run = Trainer(spec_of(project, tmp_path / name, three_stages(weights, amp=amp, **more)), resources)
        run.step()
        run.load_state_dict({**run.state_dict(), "micro_batch": micro_batch})
        run.run()
    assert_same(tmp_path / "plain", tmp_path / "fast")
    assert history(tmp_path / "fast") != history(tmp_path / "without")
    assert [float(row["lr_head"]) for row in history(tmp_path / "fast")] == pytest.approx([0.03, 0.0225, 0.0075])


def test_a_process_that_is_used_again_gives_the_numbers_of_a_fresh_one(tmp_path: Path) -> None:
    """Two processes run the same two trials in either order: what is first in one comes after the other there."""
    project = make_project(tmp_path / "project")
    calls = {
        "probe_K7": ["--mode=probe", "--epochs=2", "--lr-head=1e-2"],
        "finetune_M1": ["--mode=finetune", "--epochs=3", "--lr-head=1e-2", "--lr-backbone=1e-3"],
    }
    for order in (tuple(calls), tuple(reversed(calls))):
        lines = []
        for name in order:
            csvs = [f"--{part}-csv={path}" for part, path in csvs_of(project, name.partition("_")[2]).items()]
            rest = ["--batch=8", "--weights=none", "--threads=1", "--device=cpu", f"--project-root={project}"]
            lines.append([*calls[name], *csvs, *rest, f"--out={tmp_path / f'{order[0]} first' / name}"])
        code = f"from trainable.__main__ import app\nfor line in {lines}: app(line)"
        environment = {**os.environ, "EMOSWEEP_CACHE": str(tmp_path / f"cache, {order[0]} first")}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    for name in calls:
        assert_same(tmp_path / "probe_K7 first" / name, tmp_path / "finetune_M1 first" / name)
