"""The results of the seven experiments, read from their folders (runbook sections 6 and 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import accuracy_score

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting import faceapi_counts
from orchestrator.reporting.class_tables import confusion_table, per_class_table
from orchestrator.reporting.frames import read_rows
from orchestrator.sweeps.result_files import number_in, read_object
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json
from trainable.base.paths import PREDS_COLUMNS
from trainable.base.text import one_line
from trainable.run.resumption import find_checkpoint

LABELS = PREDS_COLUMNS[1:]
_SCORES = {"val_macro_f1": "macro-F1 (val)", "test_macro_f1": "macro-F1 (test)", "test_top1": "Top-1 (test)"}


@dataclass(frozen=True)
class Result:
    """The result of one experiment, or its absence.

    Rates are fractions; a figure is None where the runbook's table has a dash, and all are where there is no result.
    Two results are equal when they are in all but the frames.

    Attributes:
        notes: what there is to say of it, each in one line of a sensible length.
        classes: the classes in the order of the tables; for FaceAPI the labels of the matched rows, sorted.
        predictions: a row per test row, with the labels `true` and `pred`; for FaceAPI the matched rows only.
        rows: every test row in the columns `path`, `true` and `pred`, which is None where FaceAPI matched no face.
        row_counts: FaceAPI's rows by outcome (`faceapi_counts.count_rows`); empty for the others.
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
    predictions: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=LABELS), compare=False)
    rows: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=PREDS_COLUMNS), compare=False)
    row_counts: pd.DataFrame = field(
        default_factory=partial(pd.DataFrame, columns=faceapi_counts.COLUMNS), compare=False
    )

    @property
    def present(self) -> bool:
        return self.n is not None

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """Counts of test rows, with the true classes as index and the predicted ones as columns."""
        return confusion_table(self.predictions, self.classes)

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """Precision, recall, F1 and support of each class, in the columns `class_tables.PER_CLASS_COLUMNS`."""
        return per_class_table(self.predictions, self.classes)


def collect(paths: ProjectPaths, failures: Mapping[str, str] | None = None) -> list[Result]:
    """Read the results of all seven experiments, in the runbook's order; one without files has no figures.

    Files that cannot be read become a note in their own experiment's result.

    Args:
        failures: the message of each experiment that failed in the run just made, by name.
    """
    return [_result(experiment, paths, (failures or {}).get(experiment.name)) for experiment in EXPERIMENTS]


def _result(experiment: Experiment, paths: ProjectPaths, failure: str | None) -> Result:
    manifest = read_json(paths.manifest(experiment))
    manifest = manifest if isinstance(manifest, dict) else {}
    notes = [f"failed: {failure}"] if failure else []
    left = _unfinished(experiment, paths)
    if left and not manifest:  # other files there are of a run that was replaced
        return Result(experiment, notes=_lines([*notes, left]))
    read = _mobilenet if experiment.trains else _faceapi
    try:
        values = read(experiment, paths, manifest)
    except FileNotFoundError:
        return Result(experiment, notes=_lines(notes))
    except ExperimentError as error:
        return Result(experiment, notes=_lines([*notes, f"its files are not readable: {error}"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Result(
            experiment, notes=_lines([*notes, f"its files are not readable: {type(error).__name__}: {error}"])
        )
    if failure or left:
        notes += [left] if left else []
        notes.append(f"the figures are of an earlier run ({manifest.get('finished', 'unknown date')})")
    elif not manifest:
        notes.append("no manifest: made by something else, or unfinished")
    notes += [*values.pop("notes"), *_not_numbers(values), *_one_class(values["predictions"])]
    return Result(experiment, seconds=_seconds(manifest), notes=_lines(notes), **values)


def _lines(notes: Iterable[Any]) -> tuple[str, ...]:
    """Each note in one line, and none of them twice."""
    return tuple(dict.fromkeys(one_line(str(note)) for note in notes))


def _seconds(manifest: Mapping[str, Any]) -> float | None:
    seconds = manifest.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def _not_numbers(values: Mapping[str, Any]) -> list[str]:
    """A training that diverged leaves NaN."""
    return [f"{said}: not a number" for name, said in _SCORES.items() if not math.isfinite(values.get(name, 0.0))]


def _one_class(predictions: pd.DataFrame) -> list[str]:
    """A model that answers the same whatever it sees, although the rows are of several classes."""
    answers = predictions["pred"].unique()
    alike = len(answers) == 1 and predictions["true"].nunique() > 1
    return [f"predicts one class only: {answers[0]}"] if alike else []


def _unfinished(experiment: Experiment, paths: ProjectPaths) -> str:
    """Say how far an unfinished run came, from the checkpoint or the parts that it left; "" where it left none."""
    if not experiment.trains:
        rows = read_json(paths.begun_rows(experiment))
        return f"not finished: after {rows['done']} of {rows['of']} rows" if rows and rows["done"] else ""
    found = find_checkpoint(paths.run(experiment).checkpoints, identity=None)
    if found.file is None:
        return ""
    config = found.note["identity"].get("config")
    epochs = config.get("epochs") if isinstance(config, dict) else None
    return f"not finished: after epoch {found.epoch}" + (f" of {epochs}" if epochs else "")


def _mobilenet(experiment: Experiment, paths: ProjectPaths, manifest: dict[str, Any]) -> dict[str, Any]:
    run = paths.run(experiment)
    val, test = read_object(run.val_metrics), read_object(run.test_metrics)
    rows = read_rows(run.test_preds)
    predictions = _labels(rows, *LABELS)
    found = set(predictions.to_numpy().flat)
    # A folder of the runbook's own script has neither classes.json nor more than macro_f1 for certain.
    classes = _classes(run.classes) if run.classes.exists() else tuple(sorted(found))
    strange = found.difference(classes)
    if strange:
        raise ExperimentError(f"{run.test_preds} has {', '.join(sorted(map(repr, strange)))}, {run.classes.name} not")
    config = manifest.get("config", {})
    corrupt = [path for part in manifest.get("corrupt_images", {}).values() for path in part]
    notes = [*manifest.get("notes", []), *manifest.get("fallbacks", [])]
    if corrupt:
        notes.append(f"{len(corrupt)} corrupt image(s) as black patches: {', '.join(corrupt[:3])}{_more(corrupt)}")
    return {
        "epochs": config.get("epochs"),
        "batch": config.get("batch"),
        "n": len(predictions),
        "val_macro_f1": number_in(val, "macro_f1", run.val_metrics),
        "test_macro_f1": number_in(test, "macro_f1", run.test_metrics),
        "test_top1": (number_in(test, "accuracy", run.test_metrics) if "accuracy" in test else _accuracy(predictions)),
        "classes": classes,
        "predictions": predictions,
        "rows": predictions.assign(path=rows.get("path", ""))[list(PREDS_COLUMNS)],
        "notes": notes,
    }


def _labels(rows: pd.DataFrame, true: str, predicted: str) -> pd.DataFrame:
    """Take the two columns of labels, and name them as in LABELS.

    Raises:
        KeyError: one of the columns is missing.
    """
    return pd.DataFrame(dict(zip(LABELS, (rows[true], rows[predicted]), strict=True)))


def _accuracy(predictions: pd.DataFrame) -> float:
    """The share of right predictions; 0 where there is no row, because scikit-learn refuses to count nothing."""
    return float(accuracy_score(predictions["true"], predictions["pred"])) if len(predictions) else 0.0


def _faceapi(experiment: Experiment, paths: ProjectPaths, manifest: dict[str, Any]) -> dict[str, Any]:
    file, unreadable = paths.faceapi_results(experiment), manifest.get("unreadable_images", [])
    rows = read_rows(file)
    try:
        counts = faceapi_counts.count_rows(rows, unreadable)
    except (KeyError, ValueError) as error:
        raise ExperimentError(f"{file}: {type(error).__name__}: {error}") from error
    whole = counts.iloc[0]
    every, matched = _labels(rows, "gt_label", "pred_label"), faceapi_counts.is_matched(rows)
    predictions = every[matched]
    answers = every["pred"].astype(object).where(matched, None)
    return {
        "n": len(rows),
        "test_top1": float(whole["matched_top1"]),
        "coverage": float(whole["coverage"]),
        "top1_all_rows": float(whole["top1_all_rows"]),
        "classes": tuple(sorted(set(predictions.to_numpy().flat))),
        "predictions": predictions,
        "rows": every.assign(pred=answers, path=rows["image"])[list(PREDS_COLUMNS)],
        "row_counts": counts,
        "notes": [f"{len(unreadable)} unreadable image(s)"] if unreadable else [],
    }


def _classes(file: Path) -> tuple[str, ...]:
    classes = read_object(file).get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ExperimentError(f"{file}: has no list of classes")
    return tuple(classes)


def _more(items: Sequence[str]) -> str:
    return f" and {len(items) - 3} more" if len(items) > 3 else ""
