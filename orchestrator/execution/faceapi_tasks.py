"""FaceAPI splits as tasks: cut into shards, evaluated beside the training, merged in input order."""

from __future__ import annotations

import io
import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faceapi.contract.labels import LabelledRow, labelled
from faceapi.contract.probabilities import write_probabilities
from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import evaluate_rows, run_own_script
from faceapi.python.networks import Networks, load_networks
from orchestrator.execution.earlier_evaluations import keep_earlier
from orchestrator.execution.events import RunEvents
from orchestrator.execution.executor import Executor
from orchestrator.execution.photos import Photos
from orchestrator.execution.waiting import FACEAPI_PATIENCE_SECONDS, Waiting, why_no_part
from orchestrator.planning.costs import ROWS_PER_SHARD
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation
from trainable.base.errors import Failure, TooManyCorrupt
from trainable.base.files import read_json, write_json, write_text
from trainable.cache.hashes import digest
from trainable.data.tables import ImageTable, Row
from trainable.feed.corrupt import check_corrupt
from trainable.run.manifest import artifact_digests, environment

POLL_SECONDS = 0.5
_UNREADABLE = "unreadable: "


@dataclass
class _Split:
    """One split under way. `results` has a place for each shard, in input order."""

    step: FaceApiEvaluation
    table: ImageTable
    folder: Path
    results: list[ShardResult | None] = field(default_factory=list)
    failed: bool = False


class FaceApiTasks:
    """Evaluates the given splits in a thread, `limit` tasks at a time."""

    def __init__(
        self,
        steps: Sequence[FaceApiEvaluation],
        planner: Planner,
        executor: Executor,
        *,
        limit: int,
        events: RunEvents,
        stop: Callable[[], bool],
        allow_corrupt: bool = False,
    ) -> None:
        assert planner.inputs.evaluator is not None or not steps
        self.inputs, self.settings, self.paths = planner.inputs, planner.settings.faceapi, planner.paths
        self.executor, self.limit, self.events, self.stop = executor, limit, events, stop
        self.allow_corrupt = allow_corrupt
        self.steps = list(steps)
        self.first_part = Waiting(events, why_no_part, FACEAPI_PATIENCE_SECONDS)
        self.networks: Any = None  # the onnx engine's, shipped to the cluster
        self.thread = threading.Thread(target=self._run, name="faceapi", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def finish(self) -> None:
        """Wait for the end."""
        while self.thread.is_alive():
            self.thread.join(POLL_SECONDS)  # a plain join would keep signals waiting

    def _run(self) -> None:
        try:
            splits = [self._open(step) for step in self.steps]
            self._ship_networks()
            waiting = deque((s, i) for s in splits for i, result in enumerate(s.results) if result is None)
            self._evaluate(waiting)
        except Exception as error:  # the thread's end must not be a silent one
            for step in self.steps:
                self.events.failed(step.name, Failure.of(error))

    def _ship_networks(self) -> None:
        """Workers get the onnx engine's networks with their rows, and need no weights of their own."""
        evaluator = self.inputs.evaluator
        if evaluator is not None and evaluator.engine == "onnx":
            size, cache = self.settings.input_size, self.paths.networks
            self.networks = self.executor.ship(load_networks(evaluator.models, size, cache))

    def _open(self, step: FaceApiEvaluation) -> _Split:
        """The split with the shards that an interrupted run left."""
        table = self.inputs.faceapi[step.experiment.split]
        split = _Split(step, table, step.shards / digest(step.identity)[:16])
        for shard in range(1 if self._own_script else -(-len(table) // ROWS_PER_SHARD)):
            kept = read_json(split.folder / f"{shard:05}.json")
            split.results.append(ShardResult(**kept) if kept else None)
        keep_earlier(step)  # now: a user's own script writes over them
        self.events.started(step.name)
        self._advance(split)
        return split

    @property
    def _own_script(self) -> bool:
        return self.inputs.evaluator is not None and self.inputs.evaluator.own_script

    def _evaluate(self, waiting: deque[tuple[_Split, int]]) -> None:
        running: dict[Future[ShardResult], tuple[_Split, int]] = {}
        if waiting and not self._own_script:  # which gives all rows at once, after any time
            self.first_part.asked(waiting[0][0].step.name)
        while (waiting or running) and not self.stop():
            while waiting and len(running) < self.limit:
                split, shard = waiting.popleft()
                if not split.failed:
                    running[self._submit(split, shard)] = (split, shard)
            for future in wait(running, POLL_SECONDS, FIRST_COMPLETED).done:
                self._take(future, *running.pop(future))
            self.first_part.say_who_waits()
        for future in running:
            self.executor.cancel(future)
        if running:
            wait(running, timeout=10)

    def _submit(self, split: _Split, shard: int) -> Future[ShardResult]:
        evaluator = self.inputs.evaluator
        assert evaluator is not None
        if evaluator.own_script:
            places = self.paths.faceapi_baseline, self.paths.faceapi_csv(split.step.experiment.split), split.step.csv
            return self.executor.submit_here(run_own_script, evaluator, *places, len(split.table), self.settings.models)
        part, root = slice(shard * ROWS_PER_SHARD, (shard + 1) * ROWS_PER_SHARD), self.paths.root.resolve()
        disk = self.executor.disk
        photos = Photos.of(split.table, part, root, disk) if disk is not None else None
        if evaluator.engine == "onnx":
            rows = labelled(split.table, self.settings)[part]
            return self.executor.submit(_evaluate_onnx, rows, self.settings.score_threshold, self.networks, photos)
        return self.executor.submit(_evaluate_node, split.table.rows[part], root, self.settings, evaluator, photos)

    def _take(self, future: Future[ShardResult], split: _Split, shard: int) -> None:
        for step in self.steps:  # any part is a sign that processes start
            self.first_part.over(step.name)
        error = future.exception()
        if error is not None:
            if not split.failed:
                split.failed = True
                self.events.failed(split.step.name, Failure.of(error))
            return
        result = future.result()
        split.results[shard] = result
        write_json(split.folder / f"{shard:05}.json", vars(result))
        print(result.remarks, file=sys.stderr, end="")
        self._advance(split)

    def _advance(self, split: _Split) -> None:
        done = [result for result in split.results if result is not None]
        rows = min(len(split.table), len(done) * ROWS_PER_SHARD)
        self.events.progress(split.step.name, rows, len(split.table))
        if len(done) == len(split.results) and not split.failed:
            try:
                _write(split, done, allow_corrupt=self.allow_corrupt)
            except TooManyCorrupt as error:
                split.failed = True
                self.events.failed(split.step.name, Failure.of(error))
            else:
                self.events.finished(split.step.name)


def _write(split: _Split, results: list[ShardResult], *, allow_corrupt: bool) -> None:
    """Merge the shards in input order. The manifest goes first and comes last.

    Raises:
        TooManyCorrupt: see `check_corrupt`.
    """
    step = split.step
    remarks = "".join(result.remarks for result in results).splitlines()
    unreadable = [line for line in remarks if line.startswith(_UNREADABLE)]
    corrupt = [line.removeprefix(_UNREADABLE).partition(": ")[0] for line in unreadable]
    check_corrupt("test", corrupt, len(split.table), allowed=allow_corrupt)
    step.manifest.unlink(missing_ok=True)
    text = io.StringIO()
    text.write(",".join(RESULT_COLUMNS) + "\n")
    text.writelines(result.rows for result in results)
    write_text(step.csv, text.getvalue())
    probabilities = [row for result in results for row in result.probabilities]
    if probabilities:
        write_probabilities(step.probabilities, split.table.paths, probabilities)
    else:  # a user's own script does not say them
        step.probabilities.unlink(missing_ok=True)
    record = {
        "experiment": step.name,
        "identity": step.identity,
        "csvs": {"test": str(split.table.csv)},
        "rows": {"test": len(split.table)},
        "artifacts": artifact_digests([step.csv, *([step.probabilities] if probabilities else [])]),
        "unreadable_images": unreadable,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(sum(result.seconds for result in results), 3),
        **environment(),
    }
    write_json(step.manifest, record)
    shutil.rmtree(step.shards, ignore_errors=True)


def _evaluate_onnx(
    rows: Sequence[LabelledRow], threshold: float, networks: Networks, photos: Photos | None
) -> ShardResult:
    from faceapi.python.engine import evaluate_rows  # and ONNX Runtime, which the driver does without

    if photos is None:
        return evaluate_rows(rows, threshold, networks)
    with photos.here() as root:
        here = [replace(row, file=root / name) for row, name in zip(rows, photos.names, strict=True)]
        return evaluate_rows(here, threshold, networks)


def _evaluate_node(
    rows: Sequence[Row], root: Path, settings: FaceApiSettings, evaluator: Evaluator, photos: Photos | None
) -> ShardResult:
    if photos is None:
        return evaluate_rows(rows, root, settings, evaluator)
    with photos.here() as here:
        return evaluate_rows(rows, here, settings, evaluator)
