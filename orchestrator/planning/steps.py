"""The four kinds of work: a fixed run, a trial of a sweep, a confirmation of a trial, and an evaluation of FaceAPI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from faceapi.contract.results import probabilities_file
from search_spaces.runbook import Experiment
from trainable.base.config import PARTS, TrainConfig
from trainable.base.paths import RunPaths
from trainable.run.identity import Identity

Status = Literal["done", "restored", "stale", "interrupted", "new"]
"""`restored`: the history has the result, so that nothing needs to run."""

BACKWARD_SHARE = 2 / 3
"""The part of a training step that a frozen layer does not need: its backward pass and its update."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of work, compared with what is on disk.

    Args:
        experiment: the line of the runbook that the work belongs to.
        rows: the number of rows of train, val and test; for FaceAPI of test alone.
        status: how the results on disk stand to today's inputs and configuration.
        why: the reason for the status, in words.
        identity: what the result depends on; filled in where there is something to compare it with, and by
            `Planner.identify` before a run.
    """

    experiment: Experiment
    rows: tuple[int, ...]
    status: Status = "new"
    why: str = "never ran"
    identity: Identity | None = None

    @property
    def name(self) -> str:
        """The name that is unique within a command: on the terminal, in logs, and for Tune."""
        return self.experiment.name

    @property
    def to_do(self) -> bool:
        return self.status not in ("done", "restored")

    @property
    def work(self) -> float:
        """The estimated effort, in images that pass through the network forth and back."""
        return float(self.rows[0])


@dataclass(frozen=True, kw_only=True)
class TrainingStep(Step):
    """A training of MobileNetV3-Small.

    Args:
        config: the configuration of the training.
        run: the paths of the folder that receives the results.
    """

    config: TrainConfig
    run: RunPaths

    tests: ClassVar[bool] = True
    """Whether the test rows are evaluated at the end."""
    fixed: ClassVar[bool] = True
    """Whether the training always goes to its end, whatever other trainings show."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of its split that the training reads."""
        return PARTS if self.tests else PARTS[:2]

    @property
    def results(self) -> tuple[Path, ...]:
        """The files of a finished training, the manifest aside."""
        return self.run.results if self.tests else self.run.trial_results

    @property
    def work(self) -> float:
        frozen = self.config.stage_starts[-1] if self.config.mode == "finetune" else self.config.epochs
        return self.rows[0] * (self.config.epochs - BACKWARD_SHARE * frozen)


@dataclass(frozen=True, kw_only=True)
class Run(TrainingStep):
    """One of the runbook's five trainings."""


@dataclass(frozen=True, kw_only=True)
class Trial(TrainingStep):
    """A trial of a sweep: it may be stopped before its end, and never reads the test rows.

    Args:
        number: the place of the trial in its sweep; 0 is the default configuration.
        stop_is_final: a trial that was stopped early counts as done. Without early stopping it does not.
    """

    number: int
    stop_is_final: bool = True

    tests: ClassVar[bool] = False
    fixed: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"{self.experiment.name}#{self.number}"


@dataclass(frozen=True, kw_only=True)
class Confirmation(TrainingStep):
    """A trial's configuration on a new seed, with a test.

    Args:
        number: the number of the trial that is confirmed.
    """

    number: int

    @property
    def name(self) -> str:
        return f"{self.experiment.name}#{self.number}/{self.config.seed}"


@dataclass(frozen=True, kw_only=True)
class FaceApiEvaluation(Step):
    """The evaluation of FaceAPI on the test rows of one split.

    Args:
        csv: the file that receives the rows of runbook section 6.
        manifest: the file that says what made them.
        begun: the folder of what is noted while it is not finished.
    """

    csv: Path
    manifest: Path
    begun: Path

    @property
    def probabilities(self) -> Path:
        """The file of face-api's seven probabilities; an evaluator of the user's own leaves none."""
        return probabilities_file(self.csv)


StepT = TypeVar("StepT", bound=Step)
TrainingT = TypeVar("TrainingT", bound=TrainingStep)


def trainings(steps: Sequence[Step]) -> list[TrainingStep]:
    """The trainings among `steps`, in their order."""
    return [step for step in steps if isinstance(step, TrainingStep)]


def evaluations(steps: Sequence[Step]) -> list[FaceApiEvaluation]:
    """The evaluations of FaceAPI among `steps`, in their order."""
    return [step for step in steps if isinstance(step, FaceApiEvaluation)]


def manifest_file(step: Step) -> Path:
    """The file in which a finished step says what made it."""
    if isinstance(step, TrainingStep):
        return step.run.manifest
    assert isinstance(step, FaceApiEvaluation)
    return step.manifest


def result_files(step: Step) -> tuple[Path, ...]:
    """The files of a finished step, the manifest aside."""
    if isinstance(step, TrainingStep):
        return step.results
    assert isinstance(step, FaceApiEvaluation)
    return (step.csv,)


def longest_first(steps: Sequence[TrainingT]) -> list[TrainingT]:
    """The order to start in, so that no long training is left alone at the end."""
    return sorted(steps, key=lambda step: -step.work)
