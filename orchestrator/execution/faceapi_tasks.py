"""FaceAPI splits as tasks: what their rows ask, in parts, evaluated beside the training."""

from __future__ import annotations

import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faceapi.contract.labels import LabelledRow, labelled
from faceapi.contract.results import ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import evaluate_rows, run_own_script
from faceapi.python.networks import Networks, load_networks
from orchestrator.execution.earlier_evaluations import keep_earlier
from orchestrator.execution.events import RunEvents
from orchestrator.execution.executor import Executor
from orchestrator.execution.faceapi_answers import Answers, Question, answers_folder, questions_of
from orchestrator.execution.faceapi_results import write_results
from orchestrator.execution.photos import Photos
from orchestrator.execution.waiting import FACEAPI_PATIENCE_SECONDS, Waiting, why_no_part
from orchestrator.planning.costs import ROWS_PER_PART
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation
from trainable.base.errors import Failure, TooManyCorrupt
from trainable.base.files import write_json
from trainable.data.tables import ImageTable, Row

POLL_SECONDS = 0.5


@dataclass
class _Split:
    """One split under way. `own`: what a user's own script has found, which gives all rows at once."""

    step: FaceApiEvaluation
    table: ImageTable
    questions: list[Question]
    own: ShardResult | None = None
    failed: bool = False
    left: Counter[Question] = field(default_factory=Counter)
    """How many rows ask each question that is not answered yet."""


@dataclass
class _Part:
    """Rows of a split that are evaluated together."""

    split: _Split
    rows: Sequence[int]

    @property
    def questions(self) -> list[Question]:
        return [self.split.questions[row] for row in self.rows]

    @property
    def table(self) -> ImageTable:
        return self.split.table.take(self.rows)


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
        self.answers: Answers | None = None  # a user's own script's are not kept
        self._splits: list[_Split] = []
        self.thread = threading.Thread(target=self._run, name="faceapi", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def finish(self) -> None:
        """Wait for the end."""
        while self.thread.is_alive():
            self.thread.join(POLL_SECONDS)  # a plain join would keep signals waiting

    def _run(self) -> None:
        try:
            self._splits = [self._open(step) for step in self.steps]
            self._ship_networks()
            for split in self._splits:
                self._advance(split)
            self._evaluate(deque(self._parts()))
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
        table = self.inputs.faceapi[step.experiment.split]
        keep_earlier(step)  # now: a user's own script writes over them
        self.events.started(step.name)
        if self._own_script:
            return _Split(step, table, [])
        if self.answers is None:
            self.answers = Answers(answers_folder(step, self.paths))  # all splits have the same evaluator
        split = _Split(step, table, questions_of(table))
        split.left.update(question for question in split.questions if question not in self.answers)
        return split

    def _parts(self) -> Iterator[_Part]:
        """What no earlier command, and no earlier part, has asked."""
        asked: set[Question] = set()
        for split in self._splits:
            if self._own_script:
                yield _Part(split, range(len(split.table)))
                continue
            first = {question: row for row, question in reversed(list(enumerate(split.questions)))}
            rows = sorted(first[question] for question in split.left.keys() - asked)
            asked |= split.left.keys()
            for start in range(0, len(rows), ROWS_PER_PART):
                yield _Part(split, rows[start : start + ROWS_PER_PART])

    @property
    def _own_script(self) -> bool:
        return self.inputs.evaluator is not None and self.inputs.evaluator.own_script

    def _evaluate(self, waiting: deque[_Part]) -> None:
        running: dict[Future[ShardResult], _Part] = {}
        if waiting and not self._own_script:
            self.first_part.asked(waiting[0].split.step.name)
        while (waiting or running) and not self.stop():
            while waiting and len(running) < self.limit:
                part = waiting.popleft()
                if not all(split.failed for split in self._asking(part)):
                    running[self._submit(part)] = part
            for future in wait(running, POLL_SECONDS, FIRST_COMPLETED).done:
                self._take(future, running.pop(future))
            self.first_part.say_who_waits()
        for future in running:
            self.executor.cancel(future)
        if running:
            wait(running, timeout=10)

    def _asking(self, part: _Part) -> list[_Split]:
        """The splits that need the part's answers."""
        if self._own_script:
            return [part.split]
        return [split for split in self._splits if any(question in split.left for question in part.questions)]

    def _submit(self, part: _Part) -> Future[ShardResult]:
        evaluator, step, table = self.inputs.evaluator, part.split.step, part.table
        assert evaluator is not None
        if evaluator.own_script:
            places = self.paths.faceapi_baseline, self.paths.faceapi_csv(step.experiment.split), step.csv
            return self.executor.submit_here(run_own_script, evaluator, *places, len(table), self.settings.models)
        root, disk = self.paths.root.resolve(), self.executor.disk
        photos = Photos.of(table, root, disk) if disk is not None else None
        if evaluator.engine == "onnx":
            rows, threshold = labelled(table, self.settings), self.settings.score_threshold
            return self.executor.submit(_evaluate_onnx, rows, threshold, self.networks, photos)
        return self.executor.submit(_evaluate_node, list(table.rows), root, self.settings, evaluator, photos)

    def _take(self, future: Future[ShardResult], part: _Part) -> None:
        for step in self.steps:  # any part is a sign that processes start
            self.first_part.over(step.name)
        asking, error = self._asking(part), future.exception()
        if error is not None:
            for split in asking:
                if not split.failed:
                    split.failed = True
                    self.events.failed(split.step.name, Failure.of(error))
            return
        result = future.result()
        print(result.remarks, file=sys.stderr, end="")
        if self.answers is None:
            part.split.own = result
        else:
            self.answers.add(part.questions, part.table.paths, result)
        for split in asking:
            for question in part.questions if self.answers is not None else ():
                split.left.pop(question, None)
            self._advance(split)

    def _advance(self, split: _Split) -> None:
        """Say how far the split is, and write its results when it is done."""
        rows = len(split.table)
        done = rows - split.left.total() if split.own or self.answers is not None else 0
        self.events.progress(split.step.name, done, rows)
        if done < rows:
            write_json(self.paths.begun_rows(split.step.experiment), {"done": done, "of": rows})
            return
        result = split.own
        if self.answers is not None:
            result = self.answers.result(split.table, split.questions, self.settings)
        if result is None or split.failed:
            return
        try:
            write_results(split.step, split.table, result, allow_corrupt=self.allow_corrupt)
        except TooManyCorrupt as error:
            split.failed = True
            self.events.failed(split.step.name, Failure.of(error))
        else:
            self.events.finished(split.step.name)


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
