"""What there is to do, on which data, and what is done already. Reads the disk; no Ray, no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from faceapi.setup import faceapi_identity
from orchestrator.history.place import Place, read_record
from orchestrator.planning.inputs import Inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.settings import Settings
from orchestrator.planning.status import on_disk, status_of
from orchestrator.planning.steps import (
    Confirmation,
    FaceApiEvaluation,
    Run,
    Step,
    StepT,
    TrainingStep,
    Trial,
)
from search_spaces.runbook import Experiment
from trainable.base.config import TrainConfig
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import ImageHashes, Progress, digest, no_progress
from trainable.data.tables import ImageTable
from trainable.run.identity import Identity, data_identity, run_identity, weights_identity

Watch = Callable[[], AbstractContextManager[Progress]]
"""Opens a listener to the hashing of images."""


class Planner:
    """Plans experiments over checked inputs, and compares them with what is on disk.

    Args:
        watch: opens the listener that is told of the hashing of images while it goes on.
    """

    def __init__(
        self, inputs: Inputs, settings: Settings, paths: ProjectPaths, watch: Watch = lambda: nullcontext(no_progress)
    ) -> None:
        self.inputs, self.settings, self.paths, self.watch = inputs, settings, paths, watch
        self.hashes = ImageHashes(cache_root() / HASHES)  # the image store's, so that no image is hashed twice
        self._data: dict[str, Identity] = {}
        self._weights: dict[str, str] = {}

    # -- the kinds of work

    def plan(self, experiments: Sequence[Experiment], *, fresh: bool = False) -> list[Run | FaceApiEvaluation]:
        """A step for each experiment, in the given order; with `fresh` nothing counts as done."""
        self._hash([] if fresh else [experiment for experiment in experiments if self._has_record(experiment)])
        return [self.run(e, fresh=fresh) if e.trains else self.evaluation(e, fresh=fresh) for e in experiments]

    def run(self, experiment: Experiment, *, fresh: bool = False) -> Run:
        """The fixed run of an experiment that trains."""
        run = Run(
            experiment=experiment,
            rows=self._rows(experiment),
            config=self.inputs.configs[experiment.name],
            run=self.paths.run(experiment),
        )
        return self._compared(run, fresh)

    def evaluation(self, experiment: Experiment, *, fresh: bool = False) -> FaceApiEvaluation:
        """The evaluation of FaceAPI on one split."""
        evaluation = FaceApiEvaluation(
            experiment=experiment,
            rows=(len(self.inputs.faceapi[experiment.split]),),
            csv=self.paths.faceapi_results(experiment),
            manifest=self.paths.manifest(experiment),
            begun=self.paths.begun_evaluation(experiment),
        )
        return self._compared(evaluation, fresh)

    def trial(
        self,
        experiment: Experiment,
        config: TrainConfig,
        number: int,
        *,
        stop_is_final: bool = True,
        fresh: bool = False,
    ) -> Trial:
        """A trial of the experiment's sweep (see `Trial` for the arguments)."""
        trial = Trial(
            experiment=experiment,
            rows=self._rows(experiment),
            config=config,
            run=self.paths.trial(experiment, self._folder_name(config)),
            number=number,
            stop_is_final=stop_is_final,
        )
        return self._compared(trial, fresh)

    def confirmation(self, experiment: Experiment, config: TrainConfig, number: int) -> Confirmation:
        """The confirmation of trial `number` on the seed of `config`."""
        confirmation = Confirmation(
            experiment=experiment,
            rows=self._rows(experiment),
            config=config,
            run=self.paths.trial(experiment, self._folder_name(config)),
            number=number,
        )
        return self._compared(confirmation, fresh=False)

    # -- compared with the disk

    def identify(self, step: StepT) -> StepT:
        """The step with its identity; reads the image contents that no earlier command has hashed."""
        return step if step.identity else replace(step, identity=self._identity(step))

    def again(self, step: StepT) -> StepT:
        """The step as it is on disk now."""
        return self._compared(replace(step, status="new", why="never ran"), fresh=False)

    def _compared(self, step: StepT, fresh: bool) -> StepT:
        if fresh:
            return replace(step, why="--fresh")
        if isinstance(step, Trial) and step.stop_is_final:
            stopped = read_record(step.run.stopped)
            if stopped and stopped["final"] and stopped["identity"] == self.identify(step).identity:
                return replace(self.identify(step), status="done", why=stopped["why"])
        there = on_disk(step, self.place(step))
        if there.any:
            step = self.identify(step)
        status, why = status_of(step, there)
        return replace(step, status=status, why=why)

    def place(self, step: Step) -> Place | None:
        """Where the step's result is and its earlier ones are kept; None for one of a sweep, which has no history."""
        return self.paths.place(step.experiment) if isinstance(step, Run | FaceApiEvaluation) else None

    # -- what a result depends on

    def _has_record(self, experiment: Experiment) -> bool:
        """Whether there is something on disk to compare the experiment with."""
        return self.paths.place(experiment).has_record

    def _hash(self, experiments: Sequence[Experiment]) -> None:
        """Hash the images of all these experiments at once: each is read once, and there is one progress to watch."""
        tables: list[ImageTable] = []
        for experiment in experiments:
            split = experiment.split
            tables += self.inputs.training[split].values() if experiment.trains else [self.inputs.faceapi[split]]
        with self.watch() as progress:
            self.hashes.fill(tables, progress)

    def _identity(self, step: Step) -> Identity:
        split = step.experiment.split
        self._hash([step.experiment])
        if isinstance(step, TrainingStep):
            if split not in self._data:
                self._data[split] = data_identity(self.inputs.training[split], self.hashes)
            data = {part: self._data[split][part] for part in step.parts}
            return run_identity(step.config, data, self._weights_identity(step.config.weights))
        assert self.inputs.evaluator is not None
        return faceapi_identity(self.inputs.faceapi[split], self.settings.faceapi, self.inputs.evaluator, self.hashes)

    def _weights_identity(self, weights: str) -> str:
        if weights not in self._weights:
            self._weights[weights] = weights_identity(weights)
        return self._weights[weights]

    def _folder_name(self, config: TrainConfig) -> str:
        return trial_folder_name(config, self._weights_identity(config.weights))

    def _rows(self, experiment: Experiment) -> tuple[int, ...]:
        return tuple(len(table) for table in self.inputs.training[experiment.split].values())


def trial_folder_name(config: TrainConfig, weights: str) -> str:
    """Named by configuration, weights and seed, so that the same trial has the same folder in every sweep.

    Args:
        weights: their identity (see `trainable.run.identity.weights_identity`).
    """
    values = config.identity()
    seed = values.pop("seed")
    return f"{digest({'config': values, 'weights': weights})[:10]}-s{seed}"
