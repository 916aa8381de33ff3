"""From a recipe (a file and the command line's options) to the configuration of every experiment (no torch, no Ray)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from faceapi.contract.settings import FaceApiSettings
from orchestrator.planning.selection import matching, no_such_experiment
from search_spaces.runbook import Experiment
from trainable.base.config import ClassWeighting, Schedule, TrainConfig
from trainable.base.errors import ConfigError


class Overrides(BaseModel):
    """The values of an experiment's training that a recipe may change; None leaves the runbook's."""

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

    @property
    def given(self) -> dict[str, Any]:
        """The values that are not None, by name."""
        return self.model_dump(exclude_none=True, exclude={"experiments"})


class Recipe(Overrides):
    """`--config FILE`: values for all experiments, and for some by name, folder name or glob."""

    experiments: dict[str, Overrides] = {}
    _file: Path | None = PrivateAttr(None)
    _flags: frozenset[str] = PrivateAttr(frozenset())

    def source_of(self, names: Iterable[str], message: str) -> str:
        """In brackets, the file and its keys among `names` that an error's message is about; "" where it is a flag."""
        keys = [name for name in names if name not in self._flags and re.search(rf"\b{name}\b", message)]
        return f" (--config {self._file}: {', '.join(keys)})" if self._file and keys else ""

    def with_flags(self, **flags: Any) -> Recipe:
        """The recipe with the command line's values (None where a flag was not given), which hold for every
        experiment whatever the recipe says of it."""
        given = Overrides.model_validate(flags).given
        experiments = {name: some.model_copy(update=dict.fromkeys(given)) for name, some in self.experiments.items()}
        copy = self.model_copy(update={**given, "experiments": experiments})
        copy._flags = frozenset(given)
        return copy


@dataclass(frozen=True)
class Settings:
    """Everything that decides results besides the data."""

    recipe: Recipe = field(default_factory=Recipe)
    faceapi: FaceApiSettings = field(default_factory=FaceApiSettings)

    def train_config(self, experiment: Experiment) -> TrainConfig:
        """The runbook's values, changed by the recipe's for all experiments, then by its entries that mean this one.

        Raises:
            ConfigError: the values do not make a run; the message names the experiment.
        """
        assert experiment.method != "faceapi" and experiment.epochs and experiment.batch and experiment.lr_head
        values: dict[str, Any] = {
            "epochs": experiment.epochs,
            "batch": experiment.batch,
            "lr_head": experiment.lr_head,
            "lr_backbone": experiment.lr_backbone,
            **self.recipe.given,
        }
        changed = set(self.recipe.given)
        for pattern, overrides in self.recipe.experiments.items():
            if experiment in matching(pattern):
                values |= overrides.given
                changed |= overrides.given.keys()
        if experiment.method == "probe":
            for name in ("lr_backbone", "stage2_epoch", "stage3_epoch"):
                values.pop(name, None)
        try:
            return TrainConfig(mode=experiment.method, **values)
        except ConfigError as error:
            where = self.recipe.source_of(sorted(changed), str(error))
            raise ConfigError(f"{experiment.name}: {error}{where}") from error


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
        lines = (f"experiments.{pattern}: {no_such_experiment([pattern])}" for pattern in unknown)
        raise ConfigError("\n".join(f"--config {path}: {line}" for line in lines))
    recipe._file = path
    return recipe


def _said(error: Mapping[str, Any]) -> str:
    if error["type"] != "extra_forbidden":
        return str(error["msg"])
    keys = Recipe.model_fields if len(error["loc"]) == 1 else Overrides.model_fields
    return f"no such value (there are: {' '.join(keys)})"
