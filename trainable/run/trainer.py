"""One training run, epoch by epoch: stages, best epoch, checkpoints, results (runbook sections 4 to 6)."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import torch

from trainable.base.config import PARTS, Resources, RunSpec
from trainable.base.paths import RunPaths
from trainable.base.seeds import derived_seed
from trainable.cache.folder import HASHES, cache_root
from trainable.cache.hashes import ImageHashes
from trainable.data.tables import load_table
from trainable.feed.factory import InputFactory
from trainable.network.compute import Engine
from trainable.network.device import default_workers, pick_device
from trainable.network.graphs import StepGraphs
from trainable.network.model import build_model
from trainable.network.stages import Cut, make_optimizer, set_rates, set_stage, train_mode
from trainable.run.allocator import keep_freed_memory
from trainable.run.artifacts import write_results
from trainable.run.checkpoints import load_checkpoint, save_checkpoint
from trainable.run.fallbacks import insist
from trainable.run.history import epoch_line
from trainable.run.identity import Identity, training_identity
from trainable.run.loop import PassResult, evaluate, train_epoch
from trainable.run.manifest import manifest_of
from trainable.run.metrics import Metrics, classification_metrics
from trainable.run.objective import make_objective

Log = Callable[[str], None]


class Trainer:
    """Runs `spec`, going on from its folder's checkpoint where that is of the same identity.

    A run that was stopped at any moment and called again ends with the numbers of one that was not: every epoch's
    randomness derives from (seed, epoch), and everything else is in the checkpoint. The number of threads changes the
    order of float sums, so it is kept over a resume too.

    Args:
        spec: data, folder and configuration.
        resources: device, threads, DataLoader workers.
        identity: what `trainable.run.identity` says of `spec`; computed here when not given.
        fresh: begin anew in spite of a checkpoint.

    Raises:
        InputError: the CSVs have problems. ConfigError: weights or device are not to be had.
    """

    def __init__(
        self,
        spec: RunSpec,
        resources: Resources | None = None,
        identity: Identity | None = None,
        *,
        fresh: bool = False,
        log: Log = lambda text: None,
    ) -> None:
        resources = resources or Resources()
        self.spec, self.config, self.paths, self.log = spec, spec.config, RunPaths(spec.out), log
        self.tables = {part: load_table(spec.csvs[part], spec.project_root) for part in spec.parts}
        self.classes = sorted(set(self.tables["train"].labels))
        hashes = ImageHashes(cache_root() / HASHES)  # the pack's
        self.identity = identity or training_identity(self.config, self.tables, hashes)
        device = pick_device(resources.device)
        amp = self.config.amp if self.config.amp is not None else device.type == "cuda"
        self.engine = Engine(device, amp)
        self.objective = make_objective(self.config, self.tables["train"].labels, self.classes, device)
        workers = resources.workers if resources.workers is not None else default_workers(device)
        self.supply = InputFactory(
            self.tables, self.classes, self.config, plain=resources.plain, workers=workers, log=self.log
        )  # fmt: skip
        self.threads = resources.threads or torch.get_num_threads()
        self.tail = list(resources.tail) if resources.tail else None
        state = None if fresh else load_checkpoint(self.paths, self.identity)
        self._restore(state)

    # -- state

    def _restore(self, state: dict[str, Any] | None) -> None:
        """Everything a run is, from a checkpoint or from the beginning."""
        if state:
            self.threads, self.tail = state["threads"], state["tail"]
        keep_freed_memory()
        model, remarks = build_model(self.config, self.classes)
        self.model = model.to(self.engine.device)
        self.scaler = self.engine.scaler()
        self.graphs: StepGraphs | None = None
        self.epoch = self.stage = 0
        self.best: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.corrupt: dict[str, list[str]] = {part: [] for part in PARTS}
        self.fallbacks: list[str] = []
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        for remark in remarks if state is None else ():
            self.log(remark)
        if state:
            self.load_state_dict(state)
            self.log(f"going on after epoch {self.epoch} of {self.config.epochs}")
        self._use_threads()

    def state_dict(self) -> dict[str, Any]:
        """Everything there is between two epochs; loads with `weights_only=True`."""
        return {
            "identity": self.identity,
            "epoch": self.epoch,
            "stage": self.stage,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "history": self.history,
            "corrupt": self.corrupt,
            "fallbacks": self.fallbacks,
            "micro_batch": self.engine.micro_batch,
            "threads": self.threads,
            "tail": self.tail,
            "started": self.started,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` of a trainer with the same identity gave."""
        self.model.load_state_dict(state["model"])
        self._enter_stage(state["stage"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"] or self.scaler.state_dict())  # a CPU's epochs leave none
        for name in ("epoch", "best", "history", "corrupt", "fallbacks", "started"):
            setattr(self, name, state[name])
        self.engine = replace(self.engine, micro_batch=state["micro_batch"])

    def _enter_stage(self, stage: int) -> None:
        self.stage = stage
        set_stage(self.model, stage)
        self.optimizer = make_optimizer(self.model, self.config)
        self.graphs = None
        if self.engine.device.type == "cuda" and not self.supply.plain:
            trained = [p for group in self.optimizer.param_groups for p in group["params"]]
            self.graphs = StepGraphs(self.engine.device, trained)

    # -- epochs

    @property
    def done(self) -> bool:
        """All epochs are trained; what is left is `finish`."""
        return self.epoch >= self.config.epochs

    def step(self) -> dict[str, Any]:
        """Train and validate one epoch and save it.

        Returns:
            The epoch's row of history.csv.
        """
        row, seconds = insist(self, self._train_and_validate)
        row["seconds"] = seconds
        self.history.append(row)
        self.epoch += 1
        save_checkpoint(self.paths, self.state_dict())
        return row

    def _use_threads(self) -> None:
        """Those of the epoch, whatever the process was left with."""
        alone = self.tail is not None and self.epoch >= self.tail[0]
        torch.set_num_threads(self.tail[1] if self.tail and alone else self.threads)

    def _train_and_validate(self) -> dict[str, Any]:
        self._use_threads()
        stage = self.config.stage_at(self.epoch)
        if stage != self.stage:
            self._enter_stage(stage)
        train_mode(self.model, stage)
        lr_head, lr_backbone = self.config.rates_at(self.epoch)
        set_rates(self.optimizer, lr_head, lr_backbone)
        inputs = self.supply.inputs("train", self.model, stage, self.engine)
        torch.manual_seed(derived_seed(self.config.seed, "dropout", self.epoch))
        forward = Cut(self.model, stage).live
        train = train_epoch(
            forward, inputs, self.epoch, self.optimizer, self.scaler, self.engine, self.objective, self.graphs
        )
        val, metrics = self._evaluate("val", stage)
        self._note_corrupt("train", train)
        self._keep_best(metrics)
        return {
            "epoch": self.epoch + 1,
            "stage": stage,
            "train_loss": train.loss,
            "train_accuracy": train.accuracy,
            "val_loss": val.loss,
            "val_macro_f1": metrics["macro_f1"],
            "val_accuracy": metrics["accuracy"],
            "lr_head": lr_head,
            "lr_backbone": lr_backbone if stage > 1 else None,
            "micro_batch": self.engine.micro_batch or self.config.batch,
        }

    def _keep_best(self, metrics: Metrics) -> None:
        """The highest validation macro-F1; the earlier epoch on a tie."""
        if not self.best or metrics["macro_f1"] > self.best["metrics"]["macro_f1"]:
            model = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            self.best = {"model": model, "metrics": {**metrics, "epoch": self.epoch + 1}}

    def _evaluate(self, part: str, stage: int) -> tuple[PassResult, Metrics]:
        self.model.eval()
        inputs = self.supply.inputs(part, self.model, stage, self.engine)
        result = evaluate(Cut(self.model, stage).live, inputs, self.engine)
        self._note_corrupt(part, result)
        predicted = [self.classes[i] for i in result.predicted.tolist()]
        metrics = classification_metrics(self.tables[part].labels, predicted, self.classes)
        return result, {**metrics, "loss": result.loss if math.isfinite(result.loss) else None}

    def _note_corrupt(self, part: str, result: PassResult) -> None:
        new = sorted(result.corrupt - set(self.corrupt[part]))
        for path in new:
            self.log(f"corrupt image, replaced by a black patch: {path}")
        self.corrupt[part] += new

    def back_to_checkpoint(self) -> None:
        """As after the last whole epoch, with the device and the notes of now; the device's memory is given back."""
        engine, fallbacks, corrupt = self.engine, self.fallbacks, self.corrupt
        self.supply.forget()
        self.graphs = None
        gc.collect()  # the traceback held the failed step's activations
        if engine.device.type == "cuda":
            torch.cuda.empty_cache()
        self._restore(load_checkpoint(self.paths, self.identity) if self.epoch else None)
        self.engine, self.fallbacks, self.corrupt = engine, fallbacks, corrupt

    # -- the end

    def finish(self) -> Metrics:
        """Evaluate test once, with the best weights, and write all artifacts.

        Returns:
            The test metrics; those of the best validation where the run has no test.
        """
        test, seconds = insist(self, self._test) if self.spec.test else (None, 0.0)
        write_results(
            self.spec,
            self.classes,
            best=self.best,
            history=self.history,
            test=test,
            manifest=manifest_of(self, seconds),
        )
        self.supply.forget()
        self.graphs = None
        return test[0] if test else self.best["metrics"]

    def _test(self) -> tuple[Metrics, list[tuple[str, str, str]]]:
        """Metrics and the rows of test_preds.csv."""
        self._use_threads()
        self.model.load_state_dict(self.best["model"])
        result, metrics = self._evaluate("test", self.config.stage_at(self.best["metrics"]["epoch"] - 1))
        rows = self.tables["test"].rows
        return metrics, [
            (row.path, row.label, self.classes[i]) for row, i in zip(rows, result.predicted.tolist(), strict=True)
        ]

    def run(self) -> Metrics:
        """All epochs that are left, then `finish`."""
        while not self.done:
            row = self.step()
            self.log(epoch_line(row, self.config.epochs))
        return self.finish()
