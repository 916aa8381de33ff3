"""All inputs of all selected experiments, read and checked before anything starts (no torch, no Ray)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faceapi.contract.labels import check_label_options, label_problems
from faceapi.contract.settings import Evaluator
from faceapi.python.weights import check_weights as check_face_weights
from faceapi.setup import prepare
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.selection import pattern_of
from orchestrator.planning.settings import Settings
from orchestrator.planning.weights import check_weights
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError, InputError, Problem
from trainable.cache.folder import check_cache
from trainable.data.checks import check_tables
from trainable.data.files import ImageFiles
from trainable.data.tables import ImageTable, read_table


@dataclass(frozen=True)
class Inputs:
    """Checked inputs: the tables of each split, each run's configuration, and the evaluator where FaceAPI runs."""

    training: dict[str, dict[str, ImageTable]]
    faceapi: dict[str, ImageTable]
    configs: dict[str, TrainConfig]
    evaluator: Evaluator | None


def check_inputs(experiments: Sequence[Experiment], settings: Settings, paths: ProjectPaths) -> Inputs:
    """Read everything the experiments need.

    Raises:
        InputError: with every problem of every file and option, not only the first.
        ConfigError: a root is not usable, so that nothing else can be said.
    """
    try:
        _check_folders(experiments, paths)
        return _read(experiments, settings, paths)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ConfigError(f"{error.filename}: {error.strerror}") from error


def _check_folders(experiments: Sequence[Experiment], paths: ProjectPaths) -> None:
    if not paths.root.is_dir():
        what = "is a file, but must be a folder" if paths.root.exists() else "no such folder"
        raise ConfigError(f"--project-root {paths.root}: {what}")
    if not (paths.root / "data_shared").is_dir():
        raise ConfigError(f"--project-root {paths.root}: holds no data_shared/ (see docs/data.md for the layout)")
    for folder in (paths.reports, paths.internal, *(paths.manifest(e).parent for e in experiments)):
        blocked = next((p for p in (folder, *folder.parents) if p.exists()), folder)
        if blocked.exists() and not blocked.is_dir():
            raise ConfigError(f"--output-root {paths.output}: {blocked} is a file, but must be a folder")


def _read(experiments: Sequence[Experiment], settings: Settings, paths: ProjectPaths) -> Inputs:
    gather = _Gather()
    absent = _without_files(experiments, paths)
    if absent:
        gather.problems.append(_only_some(experiments, absent, paths))
        experiments = [experiment for experiment in experiments if experiment not in absent]
    configs, training, faceapi = {}, {}, {}
    evaluator = None
    for experiment in experiments:
        if experiment.trains:
            config = gather.option(settings.train_config, experiment)
            if config is not None:
                configs[experiment.name] = config
    gather.option(check_cache)
    for weights in dict.fromkeys(config.weights for config in configs.values()):
        gather.option(check_weights, weights)
    files = ImageFiles(paths.root)  # splits share their photos
    for split in dict.fromkeys(e.split for e in experiments if e.trains):
        training[split], problems = check_tables(paths.training_csvs(split), paths.root, files)
        gather.problems += problems
    faceapi_splits = [e.split for e in experiments if not e.trains]
    if faceapi_splits:
        evaluator = gather.option(prepare, settings.faceapi, paths.faceapi_baseline)
        gather.option(check_label_options, settings.faceapi)
        if evaluator is not None and evaluator.engine == "node":
            gather.option(check_face_weights, evaluator.models)
    for split in faceapi_splits:
        faceapi[split], problems = read_table(paths.faceapi_csv(split), paths.root, boxes=True, files=files)
        gather.problems += problems + label_problems(faceapi[split], settings.faceapi)
    gather.raise_if_any()
    return Inputs(training, faceapi, configs, evaluator)


def _without_files(experiments: Sequence[Experiment], paths: ProjectPaths) -> list[Experiment]:
    """The experiments none of whose files is there, where the user asked for all experiments and some have files."""
    if len(experiments) < len(EXPERIMENTS):
        return []
    files = {
        e: paths.training_csvs(e.split).values() if e.trains else [paths.faceapi_csv(e.split)] for e in experiments
    }
    absent = [e for e in experiments if not any(file.exists() for file in files[e])]
    return absent if len(absent) < len(experiments) else []


def _only_some(experiments: Sequence[Experiment], absent: Sequence[Experiment], paths: ProjectPaths) -> Problem:
    """One problem for the data of some experiments, such as those of one split, in place of a line for every file."""
    present = [experiment for experiment in experiments if experiment not in absent]
    here, missing = (list(dict.fromkeys(e.split for e in group)) for group in (present, absent))
    if set(here) & set(missing):
        text = f"there are no files for {' '.join(experiment.name for experiment in absent)}"
    else:
        text = f"only {' and '.join(here)} {'are' if len(here) > 1 else 'is'} here, no file of {' and '.join(missing)}"
    return Problem(f"{text}; to run the rest: --only {pattern_of(present)}", str(paths.root / "data_shared"))


class _Gather:
    """Collects problems, so that one wrong option does not hide the others."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def option(self, function, *args):  # type: ignore[no-untyped-def]  # returns what `function` returns, or None
        try:
            return function(*args)
        except ConfigError as error:
            self.problems += [Problem(line) for line in str(error).splitlines()]
            return None

    def raise_if_any(self) -> None:
        if self.problems:
            raise InputError(list(dict.fromkeys(self.problems)))
