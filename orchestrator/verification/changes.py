"""What has changed since a result was made: its inputs, its files, and the machine (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.verification.outcome import Record
from trainable.base.config import NAMED_WEIGHTS, TrainConfig
from trainable.cache.digests import MISSING, file_digest
from trainable.run.identity import Identity, differences


@dataclass(frozen=True)
class Sources:
    """Where the inputs of a result are, for the words about them.

    Args:
        csvs: the CSV of each part of the split.
        rows: the number of rows of each part.
        weights: what `--weights` names; for FaceAPI the folder of its weights.
    """

    csvs: Mapping[str, Path]
    rows: Mapping[str, int]
    weights: str


def input_changes(record: Record, identity: Identity, sources: Sources) -> list[str]:
    """What differs between the inputs that a result was made from and today's.

    Args:
        identity: today's; every digest in it was computed from the files now.
    """
    before = record["identity"]
    config = {**_defaults(before, identity), **_mapping(before, "config")}
    now = {**_defaults(before, identity), **identity["config"]}
    return [
        *_data_changes(record, identity, sources),
        *_weights_changes(record, identity, sources.weights),
        *differences(config, now, "config."),
    ]


def _data_changes(record: Record, identity: Identity, sources: Sources) -> list[str]:
    found = []
    for part, digests in identity["data"].items():
        before = _mapping(_mapping(record["identity"], "data"), part)
        if before.get("rows") != digests["rows"]:
            count, now = _mapping(record, "rows").get(part), sources.rows[part]
            counts = f": {count} -> {now} rows" if count not in (None, now) else ""
            found.append(f"{part} rows changed ({sources.csvs[part]}{counts})")
        if before.get("images") != digests["images"]:
            found.append(f"{part} images changed")
    return found


def _weights_changes(record: Record, identity: Identity, name: str) -> list[str]:
    if record["identity"].get("weights") == identity["weights"]:
        return []
    before = _mapping(record, "config").get("weights")
    same_file = before is None or (before not in NAMED_WEIGHTS and Path(before) == Path(name).resolve())
    return [f"weights changed ({name})" if same_file else f"weights {before} -> {name}"]


def _defaults(before: Identity, identity: Identity) -> dict[str, Any]:
    """The defaults of settings that only one of the two names: an identity leaves later ones out at their default."""
    lonely = _mapping(before, "config").keys() ^ identity["config"].keys()
    return {name: getattr(TrainConfig, name) for name in lonely if hasattr(TrainConfig, name)}


def file_changes(record: Record, files: Sequence[Path]) -> list[str] | None:
    """Which result files are not those that the run wrote; None where it recorded no hashes, as older versions did.

    Args:
        files: those that every finished result has; the others lie beside them, and the record names them.
    """
    recorded = record.get("artifacts")
    if not isinstance(recorded, Mapping):
        return None
    found = []
    for file in dict.fromkeys((*files, *(files[0].parent / name for name in recorded))):
        digest = file_digest(file)
        if digest == MISSING:
            found.append(f"{file.name} is missing")
        elif digest != recorded.get(file.name):
            found.append(f"{file.name} is not the file that the run wrote")
    return found


def environment_changes(record: Record, environment: Mapping[str, Any]) -> list[str]:
    """What is different in versions, processor and this project's commit, as far as both say it.

    Args:
        environment: today's (see `trainable.run.manifest.environment`).
    """
    found = []
    for key in ("versions", "processor"):
        before, now = _mapping(record, key), _mapping(environment, key)
        label = "processor " if key == "processor" else ""
        pairs = [(before[name], now[name], name) for name in before if name in now]
        found += [f"{label}{name} {old} -> {new}" for old, new, name in pairs if old != new]
    commits = record.get("git_commit"), environment.get("git_commit")
    if all(commits) and commits[0] != commits[1]:
        found.append(f"commit {' -> '.join(map(_short, commits))}")
    return found


def _short(commit: Any) -> str:
    """Ten digits of a commit, and whether files had changed since it."""
    digits, dash, state = str(commit).partition("-")
    return digits[:10] + dash + state


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under `key`; an empty one where a record of another version has something else or nothing."""
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}
