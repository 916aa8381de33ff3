"""Reading face-api's weights: both namings, every storage, every kind of damage; the cache of networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import MODELS, needs_weights
from weight_files import small, tensor, write

from faceapi.python.networks import load_networks
from faceapi.python.weights import NETWORKS, check_weights, load_weights
from trainable.base.errors import ConfigError


def shard1_copy(folder: Path) -> Path:
    """The npm package's weights as face-api.js of old names them."""
    folder.mkdir(parents=True)
    for network in NETWORKS:
        manifest = json.loads((MODELS / f"{network}-weights_manifest.json").read_text(encoding="utf-8"))
        manifest[0]["paths"] = [f"{network}-shard1"]
        write(folder, network, manifest, **{f"{network}-shard1": (MODELS / f"{network}.bin").read_bytes()})
    return folder


def test_numbers_are_restored_as_tfjs_does(tmp_path: Path) -> None:
    """Three kinds of storage in one group, over two shards that are cut in the middle of a number."""
    scale, least = 0.009007044399485869, -1.2069439495311063
    data = bytes([0, 1, 255]) + np.array([0, 65535], "<u2").tobytes() + np.array([0.1, -3], "<f4").tobytes()
    weights = [tensor("byte", 3, "uint8", scale, least), tensor("word", 2, "uint16", 0.5, -1), tensor("plain", 2)]
    write(small(tmp_path), NETWORKS[0], [{"paths": ["a", "b"], "weights": weights}], a=data[:4], b=data[4:])
    found = load_weights(tmp_path, NETWORKS[0])
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(("byte", "word", "plain"), np.float32)
    assert found["byte"].tolist() == [np.float32(value * scale + least) for value in (0, 1, 255)]
    assert found["word"].tolist() == [-1, 32766.5]
    assert found["plain"].tolist() == [np.float32(0.1), -3]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"paths": ["gone"], "weights": [tensor("a", 2)]}], "names gone: no such file"),
        ([{"paths": ["part"], "weights": [tensor("a", 9)]}], "part: 8 bytes where its manifest says 36"),
        ([{"paths": ["part"]}], "lacks 'weights'"),
        ([{"paths": ["part"], "weights": [tensor("a", 8, "int4")]}], "a is stored as int4"),
        ({"weights": []}, "string indices"),
    ],
)
def test_broken_weights_are_named(groups: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    write(small(tmp_path), NETWORKS[1], groups, part=bytes(8))
    with pytest.raises(ConfigError, match=message) as caught:
        check_weights(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tiny_face_detector_model has no tensor 'conv0/filters'"):
        load_networks(small(tmp_path / "models"), 416, tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))


@needs_weights
def test_both_namings_make_the_same_networks_and_one_conversion_is_kept(tmp_path: Path) -> None:
    package = load_networks(MODELS, 416, tmp_path / "a")
    shards = load_networks(shard1_copy(tmp_path / "models"), 416, tmp_path / "b")
    assert (package.detector, package.expression) == (shards.detector, shards.expression)
    kept = sorted((tmp_path / "a").iterdir())
    assert len(kept) == 2
    before = [file.stat().st_mtime_ns for file in kept]
    assert load_networks(MODELS, 416, tmp_path / "a") == package
    assert [file.stat().st_mtime_ns for file in sorted((tmp_path / "a").iterdir())] == before
    assert load_networks(MODELS, 224, tmp_path / "a").detector != package.detector


@needs_weights
def test_other_weights_are_not_taken_from_the_cache(tmp_path: Path) -> None:
    models = shard1_copy(tmp_path / "models")
    first = load_networks(models, 160, tmp_path / "cache")
    shard = models / f"{NETWORKS[1]}-shard1"
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
    second = load_networks(models, 160, tmp_path / "cache")
    assert (second.key != first.key, second.expression != first.expression) == (True, True)


@needs_weights
def test_a_cache_that_cannot_be_written_to_costs_a_conversion(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert load_networks(MODELS, 160, tmp_path / "cache") == load_networks(MODELS, 160, tmp_path / "other")
