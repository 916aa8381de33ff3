"""The answers of one result to the rows it was tested on, wherever it lies: a run's folder, a trial, FaceAPI's CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from orchestrator.history.place import Record, read_record
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.faceapi_counts import is_matched
from orchestrator.reporting.frames import read_rows
from orchestrator.sweeps.result_files import read_object
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ConfigError, ExperimentError
from trainable.base.paths import PREDS_COLUMNS, RunPaths
from trainable.data.columns import nfc
from trainable.run.logits import PREFIX

TEST, VAL = "test", "val"
FACEAPI_COLUMNS = ("image", "gt_label", "pred_label")


@dataclass(frozen=True)
class Source:
    """Where a result lies.

    Args:
        name: as the user called it.
        folder: of a run or of a trial, or that of FaceAPI's results.
        faceapi: FaceAPI's CSV; None for the others.
    """

    name: str
    folder: Path
    faceapi: Path | None = None

    @property
    def manifest(self) -> Record:
        """What made the result; {} where nothing says so."""
        if self.faceapi is not None:
            return read_record(self.faceapi.with_suffix(".manifest.json"))
        return read_record(RunPaths(self.folder).manifest)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a split of which it has the answers."""
        run = RunPaths(self.folder)
        if self.faceapi is not None:
            return (TEST,) if self.faceapi.is_file() else ()
        files = {TEST: run.test_preds, VAL: run.val_logits}
        return tuple(part for part, file in files.items() if file.is_file())

    @property
    def there(self) -> bool:
        return bool(self.parts)


@dataclass(frozen=True)
class Answers:
    """The answers of one result.

    Attributes:
        file: where they are from.
        rows: `path`, `true` and `pred` in the order of the file, text in NFC; `pred` is "" where FaceAPI matched no
            face.
        classes: over which macro-F1 is the mean.
    """

    source: Source
    file: Path
    rows: pd.DataFrame
    classes: tuple[str, ...]


def experiment_source(name: str, experiment: Experiment, paths: ProjectPaths) -> Source:
    """The current result of an experiment, which need not be there."""
    if experiment.trains:
        return Source(name, paths.run(experiment).out)
    csv = paths.faceapi_results(experiment)
    return Source(name, csv.parent, csv)


def read_answers(source: Source, part: str) -> Answers:
    """Read the answers of a result to the rows of a part that it has.

    Raises:
        ConfigError: its files are not as a run leaves them.
    """
    run = RunPaths(source.folder)
    file = source.faceapi or (run.test_preds if part == TEST else run.val_logits)
    try:
        if source.faceapi is not None:
            rows = _faceapi(file)
        else:
            rows = read_rows(file)[list(PREDS_COLUMNS)] if part == TEST else _from_logits(file)
        classes = _classes(run, rows) if source.faceapi is None else sorted(set(rows["true"]))
    except ExperimentError as error:  # it names the file
        raise ConfigError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: has no readable answers ({type(error).__name__}: {error})") from error
    return Answers(source, file, rows.map(nfc), tuple(map(nfc, classes)))


def _faceapi(file: Path) -> pd.DataFrame:
    rows = read_rows(file)
    answers = rows[list(FACEAPI_COLUMNS)].set_axis(PREDS_COLUMNS, axis="columns")
    return answers.assign(pred=answers["pred"].where(is_matched(rows), ""))


def _from_logits(file: Path) -> pd.DataFrame:
    table = pd.read_parquet(file)
    logits = table[[name for name in table.columns if name.startswith(PREFIX)]]
    return pd.DataFrame(
        {"path": table["path"], "true": table["label"], "pred": logits.idxmax(axis=1).str.removeprefix(PREFIX)}
    )


def _classes(run: RunPaths, rows: pd.DataFrame) -> Sequence[str]:
    """Those of the training; the runbook's own script does not say them."""
    if run.classes.is_file():
        return [str(name) for name in read_object(run.classes)["classes"]]
    return sorted({*rows["true"], *rows["pred"]})


def find_source(name: str, paths: ProjectPaths) -> Source | ProjectPaths:
    """What a word of the command line means: an experiment, a trial such as finetune_M1#3, or a folder.

    Returns:
        One result, or the output folder with the results of several experiments.

    Raises:
        ConfigError: it means nothing that is there.
    """
    word, _, number = name.partition("#")
    experiment = next((e for e in EXPERIMENTS if word in (e.name, e.folder)), None)
    if experiment is not None:
        source = trial_source(name, experiment, number, paths) if number else experiment_source(name, experiment, paths)
        if not source.there:
            raise ConfigError(f"{name}: no finished result in {source.folder} (--output-root)")
        return source
    path = Path(name)
    folder = Source(name, path)
    if path.is_file() and path.suffix == ".csv":
        return Source(name, path.parent, path)
    if folder.there:
        return folder
    if (path / "models").is_dir():
        return ProjectPaths(path, path)
    what = "has no results" if path.is_dir() else "no such folder"
    raise ConfigError(f"{name}: {what}; give an experiment, a trial such as finetune_M1#3, a run's or an output folder")


def trial_source(name: str, experiment: Experiment, number: str, paths: ProjectPaths) -> Source:
    """A trial by its number in the last sweep's table.

    Raises:
        ConfigError: there is no such trial.
    """
    table = paths.sweep(experiment, ".csv")
    try:
        trials = read_rows(table)
        folders = dict(zip(trials["trial"], trials["folder"], strict=True))
    except FileNotFoundError:
        raise ConfigError(f"{name}: no sweep of {experiment.name} has ended here: {table} is missing") from None
    except KeyError as error:
        raise ConfigError(f"{table}: has no column {error}") from error
    if number not in folders:
        raise ConfigError(f"{name}: no such trial in {table} (there are: {' '.join(folders)})")
    return Source(name, paths.output / folders[number])
