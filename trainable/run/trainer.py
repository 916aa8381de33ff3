"""One training run, epoch by epoch: stages, best epoch, checkpoints, results (runbook sections 4 to 6)."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import torch

from trainable.base.config import Job, Resources, RunSpec
from trainable.base.cpu_share import cpu_share
from trainable.base.paths import RunPaths
from trainable.base.seeds import derived_seed
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import ImageHashes
from trainable.data.input_files import ON_DISK, InputFiles
from trainable.data.tables import ImageTable
from trainable.feed.factory import InputFactory
from trainable.network.compute import Compute, default_workers, device_name, make_compute, prepare_device
from trainable.network.network import Network
from trainable.pieces.threads import use_cpus
from trainable.run.allocator import keep_freed_memory
from trainable.run.artifacts import write_results
from trainable.run.checkpoints import load_checkpoint, save_checkpoint
from trainable.run.checks import read_tables
from trainable.run.divergence import check_losses
from trainable.run.fallbacks import Attempt, ComputeContext, retry_with_less, with_less
from trainable.run.history import epoch_line, history_row
from trainable.run.identity import Identity, training_identity
from trainable.run.loop import Passes, PassResult
from trainable.run.manifest import manifest_of
from trainable.run.metrics import Metrics, classification_metrics
from trainable.run.objective import make_objective
from trainable.run.state import RunState


class Trainer:
    """Trains `spec`, from the checkpoint in its folder where there is one of the same identity.

    A run that was stopped at any moment and started again ends with the numbers of a run that was not: every epoch's
    randomness derives from (seed, epoch), and everything else is in the checkpoint. On a CPU no number depends on how
    many threads there are (see `trainable.pieces`).

    Args:
        spec: data, folder and configuration.
        resources: device, CPUs, DataLoader workers.
        identity: the run's identity (see `trainable.run.identity`); computed from the images when not given.
        tables: the checked tables of the parts that the run reads, and perhaps others; read from the CSVs when not
            given.
        compute: device and precision, in place of those that `resources` and the configuration name.
        passes: the functions that go over the data.
        source: where the contents of images and weights come from.
        fresh: ignore a checkpoint.
        log: is called with each message for the user.

    Raises:
        InputError: the CSVs have problems.
        ConfigError: weights or device are unavailable.
    """

    def __init__(
        self, spec: RunSpec, resources: Resources | None = None, identity: Identity | None = None,
        tables: Mapping[str, ImageTable] | None = None, *, compute: Compute | None = None,
        passes: Passes | None = None, source: InputFiles = ON_DISK, fresh: bool = False,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        resources = resources or Resources()
        self.spec, self.config, self.paths, self.log = spec, spec.config, RunPaths(spec.out), log
        self.passes, self.source = passes or Passes(), source
        self.tables = {part: tables[part] for part in spec.parts} if tables else read_tables(spec)
        self.classes = sorted(set(self.tables["train"].labels))
        self.identity = identity or training_identity(self.config, self.tables, ImageHashes(cache_root() / HASHES))
        self._compute = compute or make_compute(self.config, prepare_device(resources))
        device = self._compute.device
        self.objective = make_objective(self.config, self.tables["train"].labels, self.classes, device)
        self.supply = InputFactory(
            self.tables, self.classes, self.config,
            plain=resources.plain, workers=default_workers(resources, device), log=log,
            source=source, allow_corrupt=resources.allow_corrupt,
        )  # fmt: skip
        saved, broken = (None, "") if fresh else load_checkpoint(self.paths, self.identity)
        self.cpus = cpu_share(resources, spec.out)
        self.state = RunState.from_checkpoint(saved) if saved else RunState(micro_batch=self._compute.micro_batch)
        self._build(saved)
        self._note(broken)

    @classmethod
    def from_job(cls, job: Job, tables: Mapping[str, ImageTable] | None = None, **options: Any) -> Self:
        """The trainer of a job (see `trainable.base.config.make_job`), with the keyword arguments of a trainer."""
        return cls(RunSpec.from_json(job), Resources.from_json(job["resources"]), job["identity"], tables, **options)

    def _build(self, saved: dict[str, Any] | None) -> None:
        """The network of the state: as it was saved, or from the beginning."""
        keep_freed_memory()
        self.network = Network(self.config, self.classes, self.compute, self.source.weights(self.config.weights))
        if saved is None:
            self._note(*self.network.remarks)
        else:
            self.network.load_checkpoint(saved, use_graphs=not self.supply.plain)
            self.log(f"going on after epoch {self.state.epoch} of {self.config.epochs}")

    def _note(self, *notes: str) -> None:
        """Tell the user now, and with the results. An empty note is none."""
        for note in filter(None, notes):
            self.log(note)
            self.state.add_notes([note])

    @property
    def compute(self) -> Compute:
        """Device, precision and micro-batch of the coming pass."""
        return replace(self._compute, micro_batch=self.state.micro_batch)

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row of history.csv for each epoch so far."""
        return self.state.history

    def state_dict(self) -> dict[str, Any]:
        """Everything that the run is between two epochs; loads with `weights_only=True`."""
        return {"identity": self.identity, **self.state.to_checkpoint(), **self.network.to_checkpoint()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from the `state_dict` of a trainer with the same identity."""
        self.state = RunState.from_checkpoint(saved)
        self.network.load_checkpoint(saved, use_graphs=not self.supply.plain)

    @property
    def done(self) -> bool:
        """Whether all epochs are trained; `finish` is left then."""
        return self.state.epoch >= self.config.epochs

    def step(self) -> dict[str, Any]:
        """Train and validate one epoch and save it. Returns the epoch's row of history.csv.

        Raises:
            ExperimentError: the device has no room for one image, or an image has gone.
        """
        row, seconds = self._retried(self._train_and_validate)
        row["seconds"] = seconds
        self.state.add_epoch(row)
        save_checkpoint(self.paths, self.state_dict())
        return row

    def _train_and_validate(self) -> dict[str, Any]:
        state, network = self.state, self.network
        network.enter_stage(self.config.stage_at(state.epoch), use_graphs=not self.supply.plain)
        lr_head, lr_backbone = self.config.rates_at(state.epoch)
        network.train_mode(lr_head, lr_backbone)
        inputs = self.supply.inputs("train", network.model, network.stage, self.compute)
        torch.manual_seed(derived_seed(self.config.seed, "dropout", state.epoch))
        train = self.passes.train(
            network.boundary().after, inputs, state.epoch, network.optimizer, network.scaler, self.compute,
            self.objective, network.graphs,
        )  # fmt: skip
        val, metrics = self._evaluate("val", network.stage)
        check_losses(state.epoch + 1, train.loss, val.loss, self.config)
        self._log_corrupt("train", train)
        if state.is_best(metrics["macro_f1"]):
            metrics = {**metrics, "epoch": state.epoch + 1}
            state.best = {"model": network.weights(), "metrics": metrics, "logits": val.logits}
        rates = lr_head, lr_backbone if network.stage > 1 else None
        return history_row(
            state.epoch + 1, network.stage, train, val, metrics, rates, state.micro_batch or self.config.batch
        )

    def _evaluate(self, part: str, stage: int) -> tuple[PassResult, Metrics]:
        self.network.model.eval()
        inputs = self.supply.inputs(part, self.network.model, stage, self.compute)
        result = self.passes.evaluate(self.network.boundary(stage).after, inputs, self.compute)
        self._log_corrupt(part, result)
        metrics = classification_metrics(self.tables[part].labels, self._names(result), self.classes)
        return result, {**metrics, "loss": result.loss if math.isfinite(result.loss) else None}

    def _names(self, result: PassResult) -> list[str]:
        """The predicted classes by name."""
        return [self.classes[i] for i in result.predicted.tolist()]

    def _log_corrupt(self, part: str, result: PassResult) -> None:
        for path in self.state.add_corrupt(part, result.corrupt):
            self.log(f"corrupt image, replaced by a black patch: {path}")

    def _retried(self, attempt: Callable[[], Any]) -> tuple[Any, float]:
        use_cpus(self.compute.device, self.cpus)  # the process may have been left with another trial's
        return retry_with_less(attempt, self._fall_back, self._restore)

    def _fall_back(self, error: RuntimeError) -> None:
        epoch = None if self.done else self.state.epoch + 1
        tried = Attempt(epoch, self.config.batch, len(self.tables["train"]))
        now = ComputeContext(self.compute, self.supply.on_device, self.supply.workers)
        less, note = with_less(error, now, tried)
        self.log(note)
        self.log(str(error))
        self.state.fallbacks = [*self.state.fallbacks, note]
        self.state.micro_batch = less.compute.micro_batch
        self.supply.workers = less.workers
        if less.rows_on_device != now.rows_on_device:
            self.supply.leave_device()

    def _restore(self) -> None:
        """Go back to the last whole epoch, with the notes and the micro-batch of now. Frees the device's memory."""
        self.supply.forget()
        self.network.drop_graphs()
        gc.collect()  # the error's traceback held the failed step's activations
        if self.compute.device.type == "cuda":
            torch.cuda.empty_cache()
        now = self.state
        saved, broken = load_checkpoint(self.paths, self.identity) if now.epoch else (None, "")
        before = RunState.from_checkpoint(saved) if saved else RunState()
        self.state = replace(before, notes=now.notes, fallbacks=now.fallbacks, corrupt=now.corrupt)
        self.state.micro_batch = now.micro_batch
        self._build(saved)
        self._note(broken)

    def finish(self) -> Metrics:
        """Evaluate test once, with the best weights, and write all artifacts.

        Returns:
            The test metrics; those of the best validation where the run has no test.
        """
        test, seconds = self._retried(self._test) if self.spec.test else (None, 0.0)
        manifest = manifest_of(
            self.spec, self.identity, self.tables, self.classes, self.state, seconds,
            device=device_name(self.compute.device), amp=self.compute.amp, plain=self.supply.plain,
            workers=self.supply.workers, deterministic=torch.are_deterministic_algorithms_enabled(),
        )  # fmt: skip
        files: dict[str, Any] = {"best": self.state.best, "history": self.history, "test": test, "manifest": manifest}
        self._note(write_results(self.spec, self.classes, self.tables, **files))
        self.supply.forget()
        self.network.drop_graphs()
        return test[0] if test else self.state.best["metrics"]

    def _test(self) -> tuple[Metrics, list[tuple[str, str, str]], Any]:
        """Metrics, the rows of test_preds.csv, and the logits."""
        best = self.state.best
        self.network.model.load_state_dict(best["model"])
        result, metrics = self._evaluate("test", self.config.stage_at(best["metrics"]["epoch"] - 1))
        rows = self.tables["test"].rows
        predictions = [(row.path, row.label, name) for row, name in zip(rows, self._names(result), strict=True)]
        return metrics, predictions, result.logits

    def run(self) -> Metrics:
        """Train all epochs that are left, then `finish`."""
        while not self.done:
            row = self.step()
            self.log(epoch_line(row, self.config.epochs))
        return self.finish()
