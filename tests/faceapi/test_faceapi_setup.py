"""Finding the engine and the weights, and what a FaceAPI result depends on."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from projects import make_photos
from weight_files import small

from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.python.weights import NETWORKS
from faceapi.setup import faceapi_identity, find_models, prepare
from trainable.base.errors import ConfigError
from trainable.cache.hashes import ImageHashes
from trainable.data.tables import load_table
from trainable.run.identity import Identity, differences


def test_weights_are_looked_for_in_three_places_in_their_order(tmp_path: Path) -> None:
    baseline, option, package = tmp_path / "faceapi_baseline", tmp_path / "option", tmp_path / "package"
    own = baseline / "models"
    with pytest.raises(ConfigError) as caught:
        find_models(FaceApiSettings(), baseline, package)
    for place in ("--faceapi-models", str(own), str(package)):
        assert place in str(caught.value)
    for place in (package, own):
        small(place)
        assert find_models(FaceApiSettings(), baseline, package) == place
    assert find_models(FaceApiSettings(models=small(option)), baseline, package) == option
    (option / f"{NETWORKS[0]}-weights_manifest.json").unlink()
    with pytest.raises(ConfigError) as caught:
        find_models(FaceApiSettings(models=option), baseline, package)
    for place in (f"--faceapi-models {option}", str(own), str(package)):
        assert place in str(caught.value)


def test_options_name_files_in_any_unicode_form(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "가중치") for form in ("NFC", "NFD"))
    models = small(tmp_path / composed / decomposed)
    found = find_models(FaceApiSettings(models=tmp_path / decomposed / composed), tmp_path, tmp_path)
    assert found.samefile(models)
    script = models / f"{composed}.mjs"
    script.touch()
    with pytest.raises(ConfigError, match=r"no such folder; --faceapi-script is run there|node is not on the PATH"):
        prepare(FaceApiSettings(script=tmp_path / composed / composed / f"{decomposed}.mjs"), tmp_path / "none")


@pytest.fixture
def identity(tmp_path: Path) -> Callable[..., Identity]:
    """Computes the identity of the evaluation of three photos, with some engine and some settings."""
    make_photos(tmp_path, "M1")
    models = small(tmp_path / "models")

    def compute(engine: str, script: Path = Path(), **settings: object) -> Identity:
        table = load_table(tmp_path / "data_shared/splits_csv/test_M1.csv", tmp_path, boxes=True)
        chosen = replace(FaceApiSettings(), **settings)
        return faceapi_identity(table, chosen, Evaluator(engine, models, "node", script), ImageHashes())  # type: ignore[arg-type]

    return compute


def test_the_engine_is_part_of_the_identity(identity: Callable[..., Identity], tmp_path: Path) -> None:
    assert differences(identity("onnx"), identity("node")) == ["config.engine onnx -> node"]
    script = tmp_path / "own.mjs"
    script.write_text("1", encoding="utf-8")
    assert "config.engine onnx -> script" in differences(identity("onnx"), identity("script", script))


def test_a_users_own_script_counts_by_its_content(identity: Callable[..., Identity], tmp_path: Path) -> None:
    script, moved = tmp_path / "own.mjs", tmp_path / "elsewhere.mjs"
    script.write_text("first", encoding="utf-8")
    before = identity("script", script)
    assert identity("script", script, input_size=224) == before, "our settings do not reach a user's script"
    script.rename(moved)
    assert identity("script", moved) == before
    moved.write_text("other", encoding="utf-8")
    assert differences(before, identity("script", moved)) == ["config.script changed"]


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"input_size": 224}, "config.input_size 416 -> 224"),
        ({"score_threshold": 0.4}, "config.score_threshold 0.5 -> 0.4"),
        ({"labels": {"짜증": "angry"}}, "config.labels.짜증 None -> angry"),
    ],
)
@pytest.mark.parametrize("engine", ["onnx", "node"])
def test_settings_are_part_of_the_identity(
    engine: str, settings: dict[str, object], change: str, identity: Callable[..., Identity]
) -> None:
    assert differences(identity(engine), identity(engine, **settings)) == [change]
