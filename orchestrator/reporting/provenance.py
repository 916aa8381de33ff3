"""Where each result comes from: data, versions, machine, and the command that makes it again."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.price import kept_price
from orchestrator.planning.settings import Overrides
from orchestrator.reporting.formats import duration
from orchestrator.reporting.input_rows import InputRows, read_input
from orchestrator.reporting.material import Notes, Scored
from orchestrator.reporting.shared_images import leaks
from trainable.base.config import DEFAULT_SEED, TrainConfig
from trainable.base.errors import ExperimentError

SHOWN = 12
"""Characters of a digest that are shown."""
_FLAGS = ("epochs", "batch", "weights", "seed")
"""Settings that have a flag on the command line; the others stand in a recipe."""


@dataclass(frozen=True)
class SplitData:
    """The CSVs of one split as they are today.

    Attributes:
        counts: a row of each class: its name, and its number of rows in each part.
        leaks: sentences without a full stop.
    """

    split: str
    parts: Sequence[str]
    counts: Sequence[tuple[str, Sequence[int]]]
    leaks: Sequence[str]


@dataclass(frozen=True)
class Origin:
    """Where one result comes from; texts for the page.

    Attributes:
        cost: at the price of the last run; "" where it was given none.
        recipe: what `recipe.json` of the command has to hold; "" where it needs none.
    """

    name: str
    finished: str
    seconds: str
    cost: str
    device: str
    versions: str
    data: str
    corrupt: str
    command: str
    recipe: str


def split_data(paths: ProjectPaths, items: Sequence[Scored], notes: Notes) -> list[SplitData]:
    """The data of each split that has a result."""
    found = []
    for split in dict.fromkeys(i.result.experiment.split for i in items if i.result.present):
        with notes.guarding(f"the data of {split}"):
            tables = {}
            for part, file in paths.training_csvs(split).items():
                try:
                    tables[part] = read_input(file)
                except ExperimentError:
                    if file.exists():
                        raise
            if tables:
                found.append(SplitData(split, tuple(tables), _counts(tables), leaks(paths, tables)))
    return found


def _counts(tables: Mapping[str, InputRows]) -> list[tuple[str, list[int]]]:
    counts = [Counter(table.labels) for table in tables.values()]
    return [(name, [each[name] for each in counts]) for name in sorted(set().union(*counts))]


def origins(paths: ProjectPaths, items: Sequence[Scored], notes: Notes) -> list[Origin]:
    """The origin of each result with a manifest."""
    known = [item for item in items if item.result.present and item.manifest]
    return list(notes.of_each(known, "the origin", partial(_origin, price=kept_price(paths))).values())


def _origin(item: Scored, price: float | None) -> Origin:
    manifest = item.manifest
    stages, processor = manifest.get("seconds_per_stage") or {}, manifest.get("processor") or {}
    of_stages = ", ".join(f"stage {stage} {duration(seconds)}" for stage, seconds in stages.items())
    corrupt = [path for part in (manifest.get("corrupt_images") or {}).values() for path in part]
    spoilt = len(corrupt) + len(manifest.get("unreadable_images") or ())
    machine = (manifest.get("device", "cpu"), processor.get("model"), manifest.get("platform"))
    versions = [f"{name} {number}" for name, number in (manifest.get("versions") or {}).items()]
    if manifest.get("git_commit"):
        versions.append(f"commit {str(manifest['git_commit'])[:SHOWN]}")
    command, recipe = command_of(item)
    return Origin(
        name=item.name,
        finished=str(manifest.get("finished", "–")),
        seconds=duration(item.result.seconds) + (f" ({of_stages})" if len(stages) > 1 else ""),
        cost=_cost(item.result.seconds, price),
        device="; ".join(str(each) for each in machine if each),
        versions=", ".join(versions),
        data=_digests(manifest),
        corrupt=f"{spoilt} image(s)" if spoilt else "none",
        command=command,
        recipe=recipe,
    )


def _cost(seconds: float | None, price: float | None) -> str:
    """What a result cost at most: runs that went on side by side shared the price of the machine."""
    if price is None or seconds is None or not math.isfinite(seconds):
        return ""
    return f"at most {seconds / 3600 * price:,.2f}, at {price:,.2f} an hour of the whole machine"


def _digests(manifest: Mapping[str, Any]) -> str:
    """Rows and digests of each part, and of the weights, as the manifest has them."""
    identity, rows = manifest.get("identity") or {}, manifest.get("rows") or {}
    parts = [
        f"{part}: {rows.get(part, '?')} rows {str(digests.get('rows'))[:SHOWN]}, "
        f"images {str(digests.get('images'))[:SHOWN]}"
        for part, digests in (identity.get("data") or {}).items()
    ]
    return "; ".join([*parts, f"weights {str(identity.get('weights', '?'))[: 7 + SHOWN]}"])


def command_of(item: Scored) -> tuple[str, str]:
    """The command that makes a result again, and the recipe.json that it needs ("" where it needs none)."""
    experiment, config = item.result.experiment, item.config
    parts = ["python -m orchestrator run-all", f"--only {experiment.name}"]
    if not experiment.trains:
        defaults = {"engine": "onnx", "input_size": 416, "score_threshold": 0.5}
        parts += [f"--faceapi-{name.replace('_', '-')} {shlex.quote(str(config[name]))}"
                  for name, usual in defaults.items() if config.get(name, usual) != usual]  # fmt: skip
        labels = config.get("labels")
        for name, target in (labels if isinstance(labels, dict) else {}).items():
            parts.append(f"--faceapi-label {shlex.quote(f'{name}={target}')}")
        return " ".join(parts), ""
    usual = {name: field.default for name, field in TrainConfig.__dataclass_fields__.items()}
    usual |= {name: getattr(experiment, name) for name in ("epochs", "batch", "lr_head", "lr_backbone")}
    usual |= {"weights": "imagenet", "seed": DEFAULT_SEED}
    changed = {name: config[name] for name in Overrides.model_fields if name in config and config[name] != usual[name]}
    parts += [f"--{name} {shlex.quote(str(changed[name]))}" for name in _FLAGS if name in changed]
    recipe = {name: value for name, value in changed.items() if name not in _FLAGS}
    parts += ["--config recipe.json"] if recipe else []
    return " ".join(parts), json.dumps(recipe, ensure_ascii=False) if recipe else ""
