"""Frozen features depend on the image, its flip and the frozen layers, and on nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import probe, tables_of, write_weights
from torch import Tensor, nn
from twins import cache_at, segments_of, sized_project

from trainable.base.errors import CacheFull
from trainable.cache.images import ImageStore
from trainable.cache.rows import Rows
from trainable.feed.features import FrozenFeatures
from trainable.network.compute import Compute
from trainable.network.model import build_model
from trainable.network.pixels import normalise
from trainable.network.stages import StageBoundary, train_mode
from trainable.pieces.images import image_by_image
from trainable.pieces.threads import share_among

CPU = torch.device("cpu")
ENGINE = Compute(CPU, amp=False)
CLASSES = ["angry", "happy", "sad"]
STAGES = pytest.mark.parametrize("stage", [1, 2])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    project = sized_project(tmp_path_factory.mktemp("images"), 12, 3, 3)
    return [row.file for row in tables_of(project)["train"].rows]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return write_weights(folder / "w.pt", tables_of(sized_project(folder / "project", 48, 3, 3))["train"])


@pytest.fixture
def model(weights: Path) -> nn.Module:
    return build_model(probe(weights), CLASSES)[0].eval()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    with cache_at(tmp_path / "cache") as folder:
        yield folder
    share_among(lambda: 1)


def features(model: nn.Module, files: list[Path], stage: int, engine: Compute = ENGINE, *, flips: bool = True) -> Rows:
    images = ImageStore()
    images.fill(files)
    return FrozenFeatures(images, model, stage, engine).rows(images.digests(files), both_flips=flips)


def all_of(rows: Rows) -> Tensor:
    return rows.gather(torch.arange(len(rows)))


def folder_of(model: nn.Module, stage: int, engine: Compute = ENGINE) -> Path:
    return FrozenFeatures(ImageStore(), model, stage, engine).store.folder


def random_pixels(count: int) -> Tensor:
    pixels = torch.randint(0, 256, (count, 3, 160, 160), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return normalise(pixels, CPU)


# -- what they depend on


@STAGES
@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_has_the_same_features_in_every_batch(stage: int, threads: int, model: nn.Module) -> None:
    x, cut = random_pixels(150), StageBoundary(model, stage)
    whole = cut.before(x)
    share_among(lambda: threads)
    for size in (1, 31, 32, 33, 65, 131):
        assert torch.equal(cut.before(x[150 - size :]), whole[150 - size :]), size


def test_the_head_s_inputs_are_the_same_from_the_trunk_as_from_the_pixels(model: nn.Module) -> None:
    x = random_pixels(130)
    trunk, expected = StageBoundary(model, 2).before(x), StageBoundary(model, 1).before(x)
    for size in (1, 2, 31, 32, 33, 130):
        found = image_by_image(StageBoundary(model, 1).top, CPU, trunk[:size])
        assert torch.equal(found, expected[:size]), size


@STAGES
def test_the_cut_is_where_the_network_was(stage: int, model: nn.Module) -> None:
    x, cut = random_pixels(64), StageBoundary(model, stage)
    with torch.no_grad():
        assert torch.equal(cut.after(cut.before(x)), model(x))


@STAGES
def test_stored_features_are_those_of_the_plain_path(stage: int, model: nn.Module, files: list[Path]) -> None:
    images = ImageStore()
    images.fill(files)
    pixels = all_of(images.rows(files)[0]).permute(0, 3, 1, 2)
    both = torch.stack([pixels, pixels.flip(3)], 1).flatten(0, 1)
    expected = StageBoundary(model, stage).before(normalise(both, CPU))
    stored = all_of(features(model, files, stage))
    assert torch.equal(stored if stage == 1 else stored.permute(0, 3, 1, 2), expected)


@STAGES
def test_flips_and_images_may_be_asked_for_one_by_one(
    stage: int, model: nn.Module, files: list[Path], tmp_path: Path
) -> None:
    whole = all_of(features(model, files, stage))
    with cache_at(tmp_path / "other"):
        for some in (files[5:6], files[:9]):
            features(model, some, stage, flips=False)
        assert torch.equal(all_of(features(model, files, stage, flips=False)), whole[::2])
        assert torch.equal(
            all_of(features(model, files[::-1], stage)), whole.unflatten(0, (-1, 2)).flip(0).flatten(0, 1)
        )


@STAGES
def test_the_mode_of_the_model_does_not_count_and_is_left_as_it_was(
    stage: int, model: nn.Module, files: list[Path], tmp_path: Path
) -> None:
    """Some of the frozen layers train, which no stage does, and not all."""
    expected = all_of(features(model, files, stage))
    train_mode(model, stage)
    for layer in list(model.modules())[::3]:
        layer.training = True
    modes = {name: layer.training for name, layer in model.named_modules()}
    with cache_at(tmp_path / "other"):
        assert torch.equal(all_of(features(model, files, stage)), expected)
    assert {name: layer.training for name, layer in model.named_modules()} == modes


def test_stage_one_comes_from_the_rows_of_stage_two_where_those_are(
    model: nn.Module, files: list[Path], cache: Path, tmp_path: Path
) -> None:
    """There are no pixels to take them from; and as all must be there, one image more needs pixels."""
    with cache_at(tmp_path / "other"):
        expected = all_of(features(model, files, 1))
    features(model, files[:-1], 2)
    shutil.rmtree(cache / "images")
    images = ImageStore()
    digests = images.digests(files)
    stage_one = FrozenFeatures(images, model, 1, ENGINE)
    assert torch.equal(all_of(stage_one.rows(digests[:-1], both_flips=True)), expected[:-2])
    with pytest.raises(KeyError, match=r"rows are not in .*/images/"):
        stage_one.rows(digests, both_flips=True)


def test_no_room_is_made_at_the_cost_of_the_rows_that_others_are_derived_from(
    model: nn.Module, files: list[Path], cache: Path
) -> None:
    features(model, files, 2)
    shutil.rmtree(cache / "images")
    images = ImageStore()
    trunk = segments_of(cache, "features")
    room = sum(path.stat().st_size for path in trunk) + 50_000
    with cache_at(cache, room / 1e9), pytest.raises(CacheFull):
        FrozenFeatures(images, model, 1, ENGINE).rows(images.digests(files), both_flips=True)
    assert segments_of(cache, "features") == trunk


# -- what their key has


def test_everything_that_changes_the_numbers_changes_the_key(weights: Path, model: nn.Module) -> None:
    """The place of a network's features: by stage, precision, and any weight or statistic that is frozen."""
    found = {folder_of(model, 1), folder_of(model, 2)}
    found |= {folder_of(model, stage, replace(ENGINE, amp=True)) for stage in (1, 2)}
    for name in ("features.0.0.weight", "features.5.block.0.1.running_mean"):
        with torch.no_grad():
            model.state_dict()[name][0] += 1e-3
        found |= {folder_of(model, 1), folder_of(model, 2)}
    for seed in (1, 2):
        other = build_model(probe("none", seed=seed), CLASSES)[0]
        found |= {folder_of(other, 1), folder_of(other, 2)}
    assert len(found) == 12


def test_another_version_of_pytorch_computes_for_itself(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, since only one is installed."""
    here = [folder_of(model, stage) for stage in (1, 2)]
    monkeypatch.setattr("torch.__version__", "0.0")
    assert not {folder_of(model, stage) for stage in (1, 2)} & set(here)


def test_what_does_not_enter_the_numbers_does_not_change_the_key(weights: Path, model: nn.Module) -> None:
    """The head and its seed; the micro-batch; the number of threads; for stage 2, the blocks above."""
    other = build_model(probe(weights, seed=5), ["a", "b"])[0].train()
    for stage in (1, 2):
        assert folder_of(other, stage) == folder_of(model, stage)
        assert folder_of(model, stage, replace(ENGINE, micro_batch=3)) == folder_of(model, stage)
    with torch.no_grad():
        other.get_parameter("features.12.0.weight").add_(1)
    assert folder_of(other, 2) == folder_of(model, 2)
    assert folder_of(other, 1) != folder_of(model, 1)


def test_the_folder_says_what_it_holds_and_an_empty_one_is_not_made(
    model: nn.Module, files: list[Path], cache: Path
) -> None:
    features(model, files[:2], 1)
    (folder,) = (cache / "features").iterdir()
    about = json.loads((folder / "about.json").read_text())
    assert (about["stage"], about["dtype"], about["piece"], about["device"]) == (1, "torch.float32", 32, "cpu")
