"""How far a run is, from its events alone: no terminal, no clock, no process."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from orchestrator.planning.steps import Confirmation, FaceApiEvaluation, Step, TrainingStep, Trial
from orchestrator.progress.evaluation import Evaluation
from orchestrator.progress.event import Event
from orchestrator.progress.group import Group, clock_time
from orchestrator.progress.pace import Left, Pace, Throughput
from orchestrator.progress.row import Row
from orchestrator.progress.training import ENDED, Status, Training
from orchestrator.sweeps.confirmation import CANDIDATES
from orchestrator.sweeps.estimate import planned_ends
from orchestrator.sweeps.sweep import Sweep

DECODING = "decoding"
"""The row of the images that are decoded."""
_WHY = {"waiting": "", "paused": "for other trials", "retried": "to be tried again"}
"""Why work waits after an event; "" where the event says so."""
_ENDS: Mapping[str, Status] = {"finished": "done", "stopped": "stopped", "failed": "failed"}


class RunState:
    """What is known of every piece of work.

    Args:
        sweeps: those of the run, whose trials `add` announces.
        best_before: the best score that earlier commands have found, by sweep.
        began: the time of the start. All times are seconds of one clock.
    """

    def __init__(
        self, sweeps: Sequence[Sweep] = (), best_before: Mapping[str, float] | None = None, began: float = 0.0
    ) -> None:
        self.sweeps, self.best_before = {sweep.name: sweep for sweep in sweeps}, best_before or {}
        self.began = began
        self.pace, self.throughput = Pace(), Throughput()
        self.trainings: dict[str, Training] = {}
        self.decoding = Evaluation(DECODING, 0)
        self.messages: dict[str, str] = {}
        self.why: dict[str, str] = {}
        """Why work shows no sign of life, as long as that is so."""
        self._own: dict[str, Training | Evaluation | Group] = {}
        """What has a row, by the row's name, in the order of the rows."""
        self._groups: dict[str, Group] = {}
        """The group of each training that shares a row."""

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None:
        """Take in announced work (see `RunView.add`)."""
        shared: dict[str, list[Training]] = {}
        for step in steps:
            if isinstance(step, FaceApiEvaluation):
                self._own[step.name] = Evaluation(step.name, step.rows[0])
            elif isinstance(step, Trial | Confirmation):
                title = sweep_row(step.experiment.name) if isinstance(step, Trial) else seeds_row(step.experiment.name)
                shared.setdefault(title, []).append(Training.of(step))
            elif isinstance(step, TrainingStep):
                self._own[step.name] = self.trainings[step.name] = Training.of(step)
        for name in unchosen:
            sweep = self.sweeps[name.partition("#")[0]]
            assert sweep.template is not None
            shared.setdefault(sweep_row(sweep.name), []).append(Training.of(sweep.template, name))
        for title, trainings in shared.items():
            self._share(title, trainings)

    def _share(self, title: str, trainings: Sequence[Training]) -> None:
        sweep = self.sweeps.get(trainings[0].experiment)
        group = Group(title, {training.name: training for training in trainings})
        if sweep is not None and title == sweep_row(sweep.name):
            group.ends = tuple(end for _, end in planned_ends(sweep))
            group.at_most = sweep.options.scheduler in ("median", "asha")
            group.default, group.best_before = self.trainings.get(sweep.default.name), self.best_before.get(sweep.name)
        self._own[title] = group
        self.trainings |= group.trainings
        self._groups |= dict.fromkeys(group.trainings, group)
        if sweep is not None and title == sweep_row(sweep.name) and sweep.options.confirm:
            self._own.setdefault(seeds_row(sweep.name), _to_come(sweep))

    def apply(self, event: Event, now: float) -> None:
        """Take in an event. Those of work that was never announced change nothing."""
        values = event.values
        if event.kind == "decoded":
            if self.decoding.began is None:
                self.decoding.start(now)
            self.decoding.take(values["done"], values["total"], now)
        elif event.name in self.trainings:
            self._train(self.trainings[event.name], event, now)
        elif isinstance(evaluation := self._own.get(event.name), Evaluation):
            _evaluate(evaluation, event, now)
        if event.kind == "failed":
            self.messages[event.name] = values["message"]
        self.why.pop(event.name, None)
        if event.kind in _WHY:
            self.why[event.name] = _WHY[event.kind] or values["why"]

    def _train(self, training: Training, event: Event, now: float) -> None:
        group = self._groups.get(training.name)
        if event.kind == "started":
            training.start(now)
        elif event.kind == "epoch":
            training.take(event.values, now, self.pace)
            self.throughput.add(now, training.seconds or 0.0, training.rows[0])
            if group is not None:
                group.took(training, now)
        elif event.kind in ("paused", "retried"):
            training.pause(now)
        elif event.kind in _ENDS:
            training.end(_ENDS[event.kind], now)

    # -- what there is to show

    def rows(self, now: float) -> list[Row]:
        """A row for each experiment, sweep and confirmation, and one for images while they are decoded."""
        decoding = self.decoding.began is not None and self.decoding.done < self.decoding.total
        work = [*([self.decoding] if decoding else []), *self._own.values()]
        return [self._row(one, now) for one in work]

    def row_of(self, name: str, now: float) -> Row | None:
        """The row of a piece of work; None for a trial of a sweep, which has none of its own."""
        work = self._own.get(name)
        return None if work is None else self._row(work, now)

    def left(self, now: float) -> Left | None:
        """The time until everything is done; None where nobody knows."""
        total, longest = Left(0.0), 0.0
        for work in self._own.values():
            left, alone = work.work_left(self.pace), work.left_now(self.pace, now)
            if left is None:
                return None
            total += left
            longest = max(longest, alone.seconds if alone is not None else 0.0)
        together = clock_time(total, self.throughput, now) if total.seconds else total
        return None if together is None else Left(max(longest, together.seconds), total.guessed, total.at_most)

    def waits(self) -> Iterator[tuple[str, str]]:
        """What waits and why: the name of its row, and a clause, once for each training that waits for it."""
        slots = any(training.status == "running" for training in self.trainings.values())
        first = "for a free slot" if slots else "for their processes to start"
        for title, work in self._own.items():
            parts = list(work.trainings.values()) if isinstance(work, Group) else [work]
            for part in parts:
                if part.name in self.why and part.status not in ENDED:
                    yield title, self.why[part.name]
                elif part.status in ("waiting", "paused"):
                    announced = part.name in self.trainings or isinstance(part, Evaluation)
                    yield title, first if announced else "for the best trials of the sweep"

    def _row(self, work: Training | Evaluation | Group, now: float) -> Row:
        until = work.ended if work.ended is not None else now
        elapsed = None if work.began is None else until - work.began
        if isinstance(work, Evaluation):
            return Row(
                work.name, work.status, work.done, work.total, "images", elapsed=elapsed,
                images_per_second=work.images_per_second, message=self.messages.get(work.name, ""),
                left=work.left_now(self.pace, now) if work.status == "running" else None,
            )  # fmt: skip
        running = work.status == "running"
        left = work.left_now(self.pace, now) if running else None
        if isinstance(work, Training):
            return Row(
                work.name, work.status, work.epoch, work.config.epochs, stage=work.stage, elapsed=elapsed, left=left,
                images_per_second=work.images_per_second, best=work.best, scores=work.scores,
                score=work.scores[-1] if work.scores else None, message=self.messages.get(work.name, ""),
            )  # fmt: skip
        done, total = work.epochs
        trials = work.count("done", "stopped", "failed"), len(work.trainings), work.count("running")
        return Row(
            work.title, work.status, done, total, elapsed=elapsed, left=left, trials=trials, best=work.best,
            images_per_second=work.throughput.images_per_second, scores=work.scores,
        )  # fmt: skip


def sweep_row(experiment: str) -> str:
    """What the row of a sweep is called."""
    return f"{experiment} sweep"


def seeds_row(experiment: str) -> str:
    """What the row of a sweep's confirmation on new seeds is called."""
    return f"{experiment} seeds"


def _to_come(sweep: Sweep) -> Group:
    """The confirmation as long as nobody knows which trials it takes: the default stands for each of them."""
    step = sweep.default
    names = [f"{step.experiment.name} {number}" for number in range(sweep.options.confirm * (1 + CANDIDATES))]
    return Group(seeds_row(sweep.name), {name: Training.of(step, name) for name in names})


def _evaluate(evaluation: Evaluation, event: Event, now: float) -> None:
    if event.kind == "started":
        evaluation.start(now)
    elif event.kind == "progress":
        evaluation.take(event.values["done"], event.values["total"], now)
    elif event.kind in _ENDS:
        evaluation.end(_ENDS[event.kind], now)
