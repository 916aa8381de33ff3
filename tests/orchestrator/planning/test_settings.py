"""From options and a recipe to each run's configuration: who wins, what is refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faceapi.contract.settings import FaceApiSettings
from orchestrator.planning.settings import Recipe, Settings, load_recipe
from search_spaces.demo import RECIPE
from search_spaces.runbook import EXPERIMENTS
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError

BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
TRAINED = tuple(experiment.name for experiment in EXPERIMENTS if experiment.trains)


def config(name: str, recipe: dict[str, Any] | None = None, **flags: Any) -> TrainConfig:
    settings = Settings(Recipe.model_validate(recipe or {}).with_flags(**flags))
    return settings.train_config(BY_NAME[name])


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    return tmp_path / "recipe.json"


# -- precedence


@pytest.mark.parametrize("name", TRAINED)
def test_the_runbooks_values_where_nothing_is_said(name: str) -> None:
    found, runbook = config(name), BY_NAME[name]
    assert found == TrainConfig(
        mode="probe" if name.startswith("probe") else "finetune",
        epochs=runbook.epochs or 0,
        lr_head=runbook.lr_head or 0,
        lr_backbone=runbook.lr_backbone,
        batch=1024,
        weights="imagenet",
        seed=1337,
        weight_decay=0.01,
    )


@pytest.mark.parametrize(
    ("recipe", "flags", "epochs"),
    [
        pytest.param({}, {}, 30, id="runbook"),
        pytest.param({"epochs": 11}, {}, 11, id="recipe-for-all"),
        pytest.param({"epochs": 11, "experiments": {"finetune_M1": {"epochs": 12}}}, {}, 12, id="recipe-by-name"),
        pytest.param({"experiments": {"finetune_M1_160": {"epochs": 12}}}, {}, 12, id="recipe-by-folder"),
        pytest.param({"experiments": {"finetune_*": {"epochs": 12}}}, {}, 12, id="recipe-by-glob"),
        pytest.param(
            {"experiments": {"finetune_M1": {"epochs": 12}, "*_M1": {"epochs": 13}}}, {}, 13, id="the-later-entry"
        ),
        pytest.param({"experiments": {"finetune_M2": {"epochs": 12}}}, {}, 30, id="recipe-for-another"),
        pytest.param({}, {"epochs": 14}, 14, id="flag"),
        pytest.param(
            {"epochs": 11, "experiments": {"finetune_M1": {"epochs": 12}}}, {"epochs": 14}, 14, id="flag-over-recipe"
        ),
    ],
)
def test_the_nearer_wins(recipe: dict[str, Any], flags: dict[str, Any], epochs: int) -> None:
    assert config("finetune_M1", recipe, **flags).epochs == epochs


def test_each_value_is_decided_by_itself() -> None:
    recipe = {"batch": 64, "seed": 7, "experiments": {"finetune_M1": {"lr_head": 1e-3, "batch": 32}}}
    found = config("finetune_M1", recipe, seed=8)
    assert (found.batch, found.seed, found.lr_head, found.lr_backbone, found.epochs) == (32, 8, 1e-3, 1e-4, 30)


def test_a_flag_wins_over_every_entry_of_the_recipe_that_means_the_experiment() -> None:
    entries = {"finetune_M1": {"epochs": 12, "batch": 32}, "*_M1": {"epochs": 13}, "finetune_M1_160": {"seed": 9}}
    found = config("finetune_M1", {"epochs": 11, "experiments": entries}, epochs=14, seed=None)
    assert (found.epochs, found.batch, found.seed) == (14, 32, 9)


def test_flags_leave_the_recipe_they_are_put_over() -> None:
    recipe = Recipe.model_validate({"epochs": 11, "experiments": {"finetune_M1": {"epochs": 12}}})
    recipe.with_flags(epochs=14)
    assert Settings(recipe).train_config(BY_NAME["finetune_M1"]).epochs == 12


def test_a_probe_takes_nothing_that_is_for_the_backbone() -> None:
    values = {"lr_backbone": 1e-3, "stage2_epoch": 1, "stage3_epoch": 2, "lr_head": 1e-2}
    probe = config("probe_M1", {**values, "experiments": {"probe_M1": values}})
    assert (probe.lr_backbone, probe.stage2_epoch, probe.stage3_epoch) == (None, None, None)
    assert probe.lr_head == 1e-2
    assert probe.identity() == config("probe_M1", {"lr_head": 1e-2}).identity()
    assert config("finetune_M1", values).stage_starts == (0, 1, 2)


@pytest.mark.parametrize("name", TRAINED)
def test_the_demos_recipe_makes_every_run(name: str) -> None:
    found = config(name, RECIPE)
    assert found.weights == "none"
    assert found.batch < 64


# -- what does not make a run


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("probe_M1", {"epochs": 0}, "probe_M1: epochs must be at least 1, not 0"),
        ("probe_M1", {"batch": 0}, "probe_M1: batch must be at least 1, not 0"),
        ("probe_M1", {"seed": -1}, "probe_M1: seed must be at least 0, not -1"),
        ("probe_M1", {"lr_head": 0.0}, "probe_M1: lr_head must be a positive number, not 0"),
        ("probe_M1", {"lr_head": float("nan")}, "probe_M1: lr_head must be a positive number, not nan"),
        ("finetune_K7", {"lr_backbone": -1e-4}, "finetune_K7: lr_backbone must be a positive number, not -0.0001"),
        ("finetune_K7", {"weight_decay": float("inf")}, "finetune_K7: weight_decay must be a positive number, not inf"),
        ("finetune_M2", {"epochs": 2}, "finetune_M2: a finetune has three stages and needs at least 3 epochs, not 2"),
        ("finetune_M2", {"stage2_epoch": 9}, "finetune_M2: stages must begin in order .* stage 2 at 9, stage 3 at 9"),
        ("finetune_M2", {"stage3_epoch": 30}, "finetune_M2: stages must begin in order within the 30 epochs"),
    ],
)
def test_values_out_of_range_name_the_experiment(name: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config(name, values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"input_size": 100}, "--faceapi-input-size must be a multiple of 32, not 100"),
        ({"input_size": 0}, "--faceapi-input-size must be a multiple of 32, not 0"),
        ({"input_size": -32}, "--faceapi-input-size must be a multiple of 32, not -32"),
        ({"score_threshold": 2.0}, "--faceapi-score-threshold must be between 0 and 1, not 2.0"),
        ({"score_threshold": 0.0}, "--faceapi-score-threshold must be between 0 and 1, not 0.0"),
        ({"score_threshold": float("nan")}, "--faceapi-score-threshold must be between 0 and 1, not nan"),
    ],
)
def test_faceapi_values_out_of_range(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FaceApiSettings(**values)


# -- the recipe file


def test_a_recipe_of_everything(recipe_file: Path) -> None:
    values = {
        "epochs": 4, "batch": 8, "lr_head": 1e-3, "lr_backbone": 1, "weight_decay": 0.0, "stage2_epoch": 1,
        "stage3_epoch": 2, "seed": 1, "weights": "none", "label_smoothing": 0.1, "class_weighting": "effective-number",
        "schedule": "cosine",
    }  # fmt: skip
    recipe_file.write_text(json.dumps({**values, "experiments": {"finetune_*": values}}), encoding="utf-8")
    found = load_recipe(recipe_file)
    assert found.model_dump(exclude={"experiments"}) == values
    assert Settings(recipe=found).train_config(BY_NAME["finetune_K7"]).epochs == 4


def test_windows_editors_write_a_bom(recipe_file: Path) -> None:
    recipe_file.write_text('{"epochs": 4}', encoding="utf-8-sig")
    assert load_recipe(recipe_file).epochs == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{", ["not JSON in UTF-8"], id="not-json"),
        pytest.param("", ["not JSON in UTF-8"], id="empty"),
        pytest.param('{"epochs": 4, "한글": }', ["not JSON in UTF-8"], id="korean-and-broken"),
        pytest.param("[]", ["the file: "], id="a-list"),
        pytest.param('{"lr": 1}', ["lr: no such value (there are: epochs batch "], id="unknown-key"),
        pytest.param('{"epochs": "4"}', ["epochs: ", "integer"], id="text-for-a-number"),
        pytest.param('{"epochs": 4.5}', ["epochs: ", "integer"], id="half-an-epoch"),
        pytest.param('{"epochs": true}', ["epochs: ", "integer"], id="a-boolean-is-no-number"),
        pytest.param('{"weights": 1}', ["weights: ", "string"], id="a-number-for-text"),
        pytest.param(
            '{"experiments": {"probe_M1": {"lr": 1}}}', ["experiments.probe_M1.lr: no such value"], id="nested-key"
        ),
        pytest.param('{"experiments": {"probe_M1": 3}}', ["experiments.probe_M1: "], id="nested-type"),
        pytest.param('{"experiments": {"probe_K7": {}}}', ["experiments.probe_K7: no such experiment"], id="name"),
        pytest.param(
            '{"experiments": {"M1": {}, "probe_m1": {}, "probe_*": {}}}',
            ["experiments.M1: no such experiment (did you mean '*_M1'?", "experiments.probe_m1: no such experiment"],
            id="names-with-the-nearest",
        ),
        pytest.param('{"lr": 1, "batch": "8", "seed": []}', ["lr: ", "batch: ", "seed: "], id="several-at-once"),
    ],
)
def test_a_recipe_that_is_refused(recipe_file: Path, text: str, words: list[str]) -> None:
    recipe_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"--config {recipe_file}: ") for line in lines)
    assert not [word for word in words if not any(word in line for line in lines)]


def test_a_recipe_in_another_encoding(recipe_file: Path) -> None:
    recipe_file.write_bytes('{"weights": "가중치.pt"}'.encode("cp949"))
    with pytest.raises(ConfigError, match="not JSON in UTF-8"):
        load_recipe(recipe_file)


@pytest.mark.parametrize("place", ["nosuch.json", "."])
def test_no_recipe_there(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match=r"--config .*: (No such file|Is a directory|Permission denied)"):
        load_recipe(tmp_path / place)
