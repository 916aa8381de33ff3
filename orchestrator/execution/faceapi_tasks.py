"""FaceAPI splits as Ray tasks: cut into shards, evaluated beside the training, merged in input order."""

from __future__ import annotations

import io
import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from faceapi.contract.labels import LabelledRow, labelled
from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import FaceApiSettings
from faceapi.node.process import evaluate_rows, run_own_script
from faceapi.python.networks import Networks, load_networks
from orchestrator.planning.inputs import Inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Step
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json, write_json, write_text
from trainable.cache.hashes import digest
from trainable.data.tables import ImageTable
from trainable.run.manifest import environment

ROWS_PER_SHARD = 64
"""Fixed, so that the shards of an interrupted run fit the next one whatever its cluster is."""
RETRIES = 2

Report = Callable[[str, str, Any], None]


@dataclass
class _Split:
    """One split under way. `results` has a place per shard, in input order."""

    step: Step
    table: ImageTable
    folder: Path
    results: list[ShardResult | None] = field(default_factory=list)
    failed: bool = False


class FaceApiJobs:
    """Evaluates the given steps in a thread, `limit` Ray tasks at a time.

    The tasks ask for no CPU of Ray's: queued CPU tasks would keep trials from starting. `limit` holds them back.
    `report(name, event, value)` is called with "start", "progress" (done, all), "done" or "failed" (message).
    """

    def __init__(
        self,
        steps: Sequence[Step],
        inputs: Inputs,
        settings: FaceApiSettings,
        paths: ProjectPaths,
        *,
        limit: int,
        report: Report,
        stop: threading.Event,
    ) -> None:
        assert inputs.evaluator is not None or not steps
        self.inputs, self.settings, self.paths, self.limit, self.report = inputs, settings, paths, limit, report
        self.steps = list(steps)
        self.stop = stop
        self.networks: Any = None  # the onnx engine's, in Ray's object store
        self.thread = threading.Thread(target=self._run, name="faceapi", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def _run(self) -> None:
        try:
            splits = [self._open(step) for step in self.steps]
            self._ship_networks()
            waiting = deque((s, i) for s in splits for i, result in enumerate(s.results) if result is None)
            self._evaluate(splits, waiting)
        except Exception as error:  # the thread's end must not be a silent one
            for step in self.steps:
                self.report(step.name, "failed", f"{type(error).__name__}: {error}")

    def _ship_networks(self) -> None:
        """Workers get the onnx engine's networks with their rows, and need no weights of their own."""
        evaluator = self.inputs.evaluator
        if evaluator is not None and evaluator.engine == "onnx":
            size, cache = self.settings.input_size, self.paths.networks
            self.networks = ray.put(load_networks(evaluator.models, size, cache))

    def _open(self, step: Step) -> _Split:
        """The split with the shards that an interrupted run left."""
        table = self.inputs.faceapi[step.experiment.split]
        folder = self.paths.shards(step.experiment) / digest(step.identity)[:16]
        split = _Split(step, table, folder)
        own = self.inputs.evaluator is not None and self.inputs.evaluator.own_script
        for shard in range(1 if own else -(-len(table) // ROWS_PER_SHARD)):
            kept = read_json(folder / f"{shard:05}.json")
            split.results.append(ShardResult(**kept) if kept else None)
        self.report(step.name, "start", None)
        self._advance(split)
        return split

    def _evaluate(self, splits: list[_Split], waiting: deque[tuple[_Split, int]]) -> None:
        running: dict[Any, tuple[_Split, int]] = {}
        while (waiting or running) and not self.stop.is_set():
            while waiting and len(running) < self.limit:
                split, shard = waiting.popleft()
                if not split.failed:
                    running[self._submit(split, shard)] = (split, shard)
            ready, _ = ray.wait(list(running), timeout=0.5) if running else ([], [])
            for reference in ready:
                self._take(reference, *running.pop(reference))
        for reference in running:
            ray.cancel(reference)  # an exception in the task, which then ends its Node; killing the task would not
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=10)

    def _submit(self, split: _Split, shard: int) -> Any:
        evaluator = self.inputs.evaluator
        assert evaluator is not None
        if evaluator.own_script:
            experiment, paths = split.step.experiment, self.paths
            places = paths.faceapi_baseline, paths.faceapi_csv(experiment.split), paths.faceapi_results(experiment)
            return _own_script.remote(evaluator, *places, len(split.table), self.settings.models)
        part = slice(shard * ROWS_PER_SHARD, (shard + 1) * ROWS_PER_SHARD)
        if evaluator.engine == "onnx":
            rows = labelled(split.table, self.settings)[part]
            return _onnx_shard.remote(rows, self.settings.score_threshold, self.networks)
        return _node_shard.remote(split.table.rows[part], self.paths.root.resolve(), self.settings, evaluator)

    def _take(self, reference: Any, split: _Split, shard: int) -> None:
        try:
            result: ShardResult = ray.get(reference)
        except RayError as error:
            if not split.failed:
                split.failed = True
                cause = error.cause if isinstance(error, RayTaskError) else error
                self.report(split.step.name, "failed", str(cause).strip().splitlines()[0])
            return
        split.results[shard] = result
        write_json(split.folder / f"{shard:05}.json", vars(result))
        print(result.remarks, file=sys.stderr, end="")
        self._advance(split)

    def _advance(self, split: _Split) -> None:
        done = [result for result in split.results if result is not None]
        rows = min(len(split.table), len(done) * ROWS_PER_SHARD)
        self.report(split.step.name, "progress", (rows, len(split.table)))
        if len(done) == len(split.results) and not split.failed:
            self._write(split, done)
            self.report(split.step.name, "done", None)

    def _write(self, split: _Split, results: list[ShardResult]) -> None:
        """Merge the shards in input order; the manifest goes first and comes last."""
        experiment = split.step.experiment
        manifest = self.paths.manifest(experiment)
        manifest.unlink(missing_ok=True)
        text = io.StringIO()
        text.write(",".join(RESULT_COLUMNS) + "\n")
        text.writelines(result.rows for result in results)
        write_text(self.paths.faceapi_results(experiment), text.getvalue())
        remarks = "".join(result.remarks for result in results).splitlines()
        record = {
            "experiment": experiment.name,
            "identity": split.step.identity,
            "csvs": {"test": str(split.table.csv)},
            "rows": {"test": len(split.table)},
            "unreadable_images": [line for line in remarks if line.startswith("unreadable")],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(sum(result.seconds for result in results), 3),
            **environment(),
        }
        write_json(manifest, record)
        shutil.rmtree(split.folder.parent, ignore_errors=True)


_retry = {"num_cpus": 0, "max_retries": RETRIES, "retry_exceptions": [ExperimentError], "scheduling_strategy": "SPREAD"}
_node_shard = ray.remote(**_retry)(evaluate_rows)
_own_script = ray.remote(**_retry)(run_own_script)


@ray.remote(**_retry)
def _onnx_shard(rows: Sequence[LabelledRow], threshold: float, networks: Networks) -> ShardResult:
    from faceapi.python.engine import evaluate_rows

    return evaluate_rows(rows, threshold, networks)
