"""What the seven experiments found, read from their folders (runbook sections 6 and 7)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.faceapi_counts import RowCounts, count_rows, is_matched
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.files import read_json
from trainable.run.metrics import Metrics, classification_metrics, confusion_counts


@dataclass(frozen=True)
class Result:
    """One line of the table. Rates are fractions; None where the runbook's table has a dash or nothing is there.

    `true` and `predicted` are the test labels; for FaceAPI those of the matched rows. `rows` is FaceAPI's: what became
    of all rows, over all and per class.
    """

    experiment: Experiment
    epochs: int | None = None
    batch: int | None = None
    n: int | None = None
    val_macro_f1: float | None = None
    test_macro_f1: float | None = None
    test_top1: float | None = None
    coverage: float | None = None
    top1_all_rows: float | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    true: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    rows: tuple[RowCounts, ...] = ()

    @property
    def present(self) -> bool:
        return self.n is not None

    @cached_property
    def confusion(self) -> list[list[int]]:
        """Counts, true classes down and predicted ones across, in the order of `classes`."""
        return confusion_counts(self.true, self.predicted, self.classes)

    @cached_property
    def metrics(self) -> Metrics:
        return classification_metrics(self.true, self.predicted, self.classes)


def collect(paths: ProjectPaths, failures: Mapping[str, str] | None = None) -> list[Result]:
    """The results of all seven experiments, in the runbook's order; those without files have no figures.

    Args:
        failures: what went wrong in the run just made, by experiment.
    """
    return [_result(experiment, paths, (failures or {}).get(experiment.name)) for experiment in EXPERIMENTS]


def _result(experiment: Experiment, paths: ProjectPaths, failure: str | None) -> Result:
    manifest = read_json(paths.manifest(experiment))
    manifest = manifest if isinstance(manifest, dict) else {}
    notes = [f"failed: {failure}"] if failure else []
    left = _unfinished(experiment, paths)
    if left and not manifest:  # other files there are of a run that was replaced
        return Result(experiment, notes=(*notes, left))
    read = _mobilenet if experiment.trains else _faceapi
    try:
        values = read(experiment, paths, manifest)
    except FileNotFoundError:
        return Result(experiment, notes=tuple(notes))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        return Result(experiment, notes=(*notes, f"its files are not readable ({type(error).__name__}: {error})"))
    if failure or left:
        notes += [left] if left else []
        notes.append(f"the figures are of an earlier run ({manifest.get('finished', 'unknown date')})")
    elif not manifest:
        notes.append("no manifest: not a result of this program, or an unfinished one")
    return Result(experiment, seconds=manifest.get("seconds"), notes=(*notes, *values.pop("notes")), **values)


def _unfinished(experiment: Experiment, paths: ProjectPaths) -> str:
    """What a run has left behind that did not end, or has not yet; "" where there is nothing."""
    if not experiment.trains:
        parts = len(list(paths.shards(experiment).glob("*/*.json")))
        return f"not finished: after {parts} part(s) of its rows" if parts else ""
    note = read_json(paths.run(experiment).checkpoint_note)
    if not isinstance(note, dict) or "epoch" not in note:
        return ""
    identity = note.get("identity")
    config = identity.get("config") if isinstance(identity, dict) else None
    epochs = config.get("epochs") if isinstance(config, dict) else None
    return f"not finished: after epoch {note['epoch']}" + (f" of {epochs}" if epochs else "")


def _mobilenet(experiment: Experiment, paths: ProjectPaths, manifest: dict[str, Any]) -> dict[str, Any]:
    run = paths.run(experiment)
    val, test = (_json(path) for path in (run.val_metrics, run.test_metrics))
    rows = _rows(run.test_preds)
    true, predicted = tuple(row["true"] for row in rows), tuple(row["pred"] for row in rows)
    # A folder of the runbook's own script has neither classes.json nor more than macro_f1 for certain.
    classes = tuple(_json(run.classes)["classes"] if run.classes.exists() else sorted({*true, *predicted}))
    right = sum(t == p for t, p in zip(true, predicted, strict=True))
    strange = {*true, *predicted}.difference(classes)
    if strange:
        raise ValueError(f"{run.test_preds.name} has {', '.join(sorted(map(repr, strange)))}, {run.classes.name} not")
    config = manifest.get("config", {})
    corrupt = [path for part in manifest.get("corrupt_images", {}).values() for path in part]
    notes = list(manifest.get("fallbacks", []))
    if corrupt:
        notes.append(f"{len(corrupt)} corrupt image(s) as black patches: {', '.join(corrupt[:3])}{_more(corrupt)}")
    return {
        "epochs": config.get("epochs"),
        "batch": config.get("batch"),
        "n": int(test.get("n", len(rows))),
        "val_macro_f1": float(val["macro_f1"]),
        "test_macro_f1": float(test["macro_f1"]),
        "test_top1": float(test.get("accuracy", right / max(1, len(rows)))),
        "classes": classes,
        "true": true,
        "predicted": predicted,
        "notes": notes,
    }


def _faceapi(experiment: Experiment, paths: ProjectPaths, manifest: dict[str, Any]) -> dict[str, Any]:
    rows = _rows(paths.faceapi_results(experiment))
    matched = [row for row in rows if is_matched(row)]
    right = sum(int(row["correct"]) for row in matched)
    unreadable = manifest.get("unreadable_images", [])
    true = tuple(row["gt_label"] for row in matched)
    predicted = tuple(row["pred_label"] for row in matched)
    return {
        "n": len(rows),
        "test_top1": right / len(matched) if matched else 0.0,
        "coverage": len(matched) / len(rows) if rows else 0.0,
        "top1_all_rows": right / len(rows) if rows else 0.0,
        "classes": tuple(sorted({*true, *predicted})),
        "true": true,
        "predicted": predicted,
        "rows": count_rows(rows, unreadable),
        "notes": [f"{len(unreadable)} unreadable image(s)"] if unreadable else [],
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(path)
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return found


def _more(items: Sequence[str]) -> str:
    return f" and {len(items) - 3} more" if len(items) > 3 else ""
