"""From command-line options and a recipe file to the configuration of every experiment (no torch, no Ray)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from faceapi.contract.settings import FaceApiSettings
from orchestrator.planning.selection import matching
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.config import ClassWeighting, Schedule, TrainConfig
from trainable.base.errors import ConfigError


class Overrides(BaseModel):
    """What a recipe may change of an experiment's training; None leaves it as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    epochs: int | None = None
    batch: int | None = None
    lr_head: float | None = None
    lr_backbone: float | None = None
    weight_decay: float | None = None
    stage2_epoch: int | None = None
    stage3_epoch: int | None = None
    seed: int | None = None
    weights: str | None = None
    label_smoothing: float | None = None
    class_weighting: ClassWeighting | None = None
    schedule: Schedule | None = None


class Recipe(Overrides):
    """`--config FILE`: values for all experiments, and for some by name, folder name or glob."""

    experiments: dict[str, Overrides] = {}


@dataclass(frozen=True)
class Settings:
    """Everything that decides results. `flags` are the command line's and win over the recipe."""

    flags: Overrides = field(default_factory=Overrides)
    recipe: Recipe = field(default_factory=Recipe)
    faceapi: FaceApiSettings = field(default_factory=FaceApiSettings)

    def train_config(self, experiment: Experiment) -> TrainConfig:
        """The runbook's values, then the recipe's for all, then its for this experiment, then the flags'.

        Raises:
            ConfigError: the values do not make a run; says which experiment.
        """
        assert experiment.method != "faceapi" and experiment.epochs and experiment.batch and experiment.lr_head
        values: dict[str, Any] = {
            "epochs": experiment.epochs,
            "batch": experiment.batch,
            "lr_head": experiment.lr_head,
            "lr_backbone": experiment.lr_backbone,
        }
        layers: list[Overrides] = [self.recipe]
        layers += [o for pattern, o in self.recipe.experiments.items() if experiment in matching(pattern)]
        for layer in (*layers, self.flags):
            values |= layer.model_dump(exclude_none=True, exclude={"experiments"})
        if experiment.method == "probe":
            for name in ("lr_backbone", "stage2_epoch", "stage3_epoch"):
                values.pop(name, None)
        try:
            return TrainConfig(mode=experiment.method, **values)
        except ConfigError as error:
            raise ConfigError(f"{experiment.name}: {error}") from error


def load_recipe(path: Path) -> Recipe:
    """Read `--config FILE`.

    Raises:
        ConfigError: with every wrong value, by its place in the file.
    """
    try:
        recipe = Recipe.model_validate(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from error
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise ConfigError(f"--config {path}: not JSON in UTF-8: {error}") from error
        lines = (f"{'.'.join(map(str, e['loc'])) or 'the file'}: {_said(e)}" for e in error.errors())
        raise ConfigError("\n".join(f"--config {path}: {line}" for line in lines)) from error
    unknown = [pattern for pattern in recipe.experiments if not matching(pattern)]
    if unknown:
        known = " ".join(experiment.name for experiment in EXPERIMENTS)
        raise ConfigError(f"--config {path}: experiments.{unknown[0]}: no such experiment (there are: {known})")
    return recipe


def _said(error: Mapping[str, Any]) -> str:
    if error["type"] != "extra_forbidden":
        return str(error["msg"])
    keys = Recipe.model_fields if len(error["loc"]) == 1 else Overrides.model_fields
    return f"no such value (there are: {' '.join(keys)})"
