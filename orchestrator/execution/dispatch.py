"""Tune's public interfaces over a `TrainingQueue`: a Searcher starts trials, a TrialScheduler pauses and resumes them.

Tune asks the searcher for one configuration after the other. The searcher answers with the queue's next training where
a node has room for it, and with None otherwise, so there are never more processes than trainings that can run at once.
A paused trial is resumed by the scheduler. Both ask the same `Dispatcher`, which decides who is next. A training that
failed and is tried again becomes a new trial, so that the queue counts the attempts: Tune would count an idle process
of its pool that has died as a failure of the trial, and give the trial the same process again.

Nothing here is restored by Tune: a trial goes on from its own folder, and every command starts a new Tuner. So the
objects pickle as empty ones where the Tuner stores itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from orchestrator.execution.cluster import Cluster
from orchestrator.execution.events import RunEvents
from orchestrator.execution.nodes import Nodes
from orchestrator.execution.queue import TrainingQueue
from orchestrator.execution.waiting import Waiting, why_no_process
from trainable.base.errors import Failure
from trainable.run.history import TrialHistory

_ACTIONS = {"go": TrialScheduler.CONTINUE, "pause": TrialScheduler.PAUSE, "stop": TrialScheduler.STOP}


class _NotStored:
    """An object of which Tune's record of the experiment holds nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        pass


class Dispatcher:
    """Decides which training is next, and keeps what Tune knows of each.

    Args:
        queue: the trainings and their order.
        config_of: the configuration of a training that Tune hands to its process.
        stop: says whether the run is to end; running epochs are finished first.
        nodes: those of a cluster, which may come and go.
        changed: hears of it.
    """

    def __init__(
        self,
        queue: TrainingQueue,
        config_of: Callable[[str], dict[str, Any]],
        events: RunEvents,
        stop: Callable[[], bool],
        nodes: Nodes | None = None,
        changed: Callable[[Cluster], None] = lambda cluster: None,
    ) -> None:
        self.queue, self.config_of, self.events, self.stop = queue, config_of, events, stop
        self.nodes, self.changed = nodes, changed
        self.trials: dict[str, Trial] = {}
        """The trial of each training that has not failed, by the training's name."""
        self.stopped: dict[str, str] = {}
        """Why trials were stopped before their end, by name."""
        self.waiting = Waiting(events, lambda name: why_no_process(self.trials[name].config["resources"]))
        self._attempts: dict[str, int] = {}
        self._next: str | None = None

    def next_name(self) -> str | None:
        """The training whose turn it is; the same one until `taken` is called."""
        self.queue.draining = self.queue.draining or self.stop()
        for name in [*self.queue.leaving]:
            if getattr(self.trials.get(name), "status", "") != Trial.RUNNING:
                del self.queue.leaving[name]
        if self._next is None and not self.queue.draining:
            self._next = self.queue.next()
            if self._next is not None:
                self.queue.started(self._next)
        return self._next

    def pausing(self, name: str) -> None:
        """The training's process is free when it has saved, and its place nobody's before: Tune would ask for one more
        process, then hand the free one to any trial that waits, and kill that one's own, nearly started."""
        self.queue.leaving[name] = self.queue.request_of(name)
        self.events.paused(name)

    def new_trial(self, name: str) -> dict[str, Any]:
        """The configuration of a trial for the training whose turn it is; `attempt` counts its trials from 1."""
        self._next = None
        self.waiting.asked(name)
        self._attempts[name] = self._attempts.get(name, 0) + 1
        return {**self.config_of(name), "attempt": self._attempts[name]}

    def resumed(self, name: str) -> Trial:
        """The trial of the training whose turn it is, which was paused."""
        self._next = None
        self.waiting.asked(name)
        trial, bundle = self.trials[name], self.config_of(name)["resources"]
        if bundle != trial.config["resources"]:  # it wants the type of GPU on which it began
            trial.config["resources"] = bundle
            trial.update_resources(PlacementGroupFactory([bundle]))
        return trial

    def failed(self, name: str, failure: Failure) -> None:
        """The training's process has died or raised; another trial may follow."""
        used = not self.waiting.over(name) and not failure.lost_node
        del self.trials[name]
        again = self.queue.failed(name, used=used, final=failure.final)
        (self.events.retried if again else self.events.failed)(name, failure)

    def look_at_nodes(self) -> None:
        """Use nodes that have come, count on those no more that have gone, and say what there should be."""
        if self.nodes is None or not self.nodes.due:
            return
        if (cluster := self.nodes.changed()) is not None:
            self.queue.limits.cluster = cluster
            self.changed(cluster)
        self.nodes.want(self.queue.wanted())

    def end_waiting(self, controller: Any) -> None:
        """End the trials that wait without a chance or without time, and all that wait where the run is to end."""
        for name, why in self.queue.dropped().items():
            self.stopped[name] = why
            if name in self.trials:
                controller.stop_trial(self.trials[name])
            else:
                self.events.stopped(name, why, None)
        if self.queue.draining:
            for trial in self.trials.values():
                if trial.status in (Trial.PENDING, Trial.PAUSED):
                    controller.stop_trial(trial)


class QueueSearcher(_NotStored, Searcher):
    """Hands Tune the queue's next new training."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self.dispatcher = dispatcher

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        name = self.dispatcher.next_name()
        if name is not None and name not in self.dispatcher.trials:
            return self.dispatcher.new_trial(name)
        return str(Searcher.FINISHED) if name is None and self.dispatcher.queue.finished else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None: ...

    def save(self, checkpoint_path: str) -> None: ...

    def restore(self, checkpoint_path: str) -> None: ...


class PausingScheduler(_NotStored, TrialScheduler):
    """Pauses, resumes and stops trials as the queue says."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self.dispatcher = dispatcher

    @property
    def _queue(self) -> TrainingQueue:
        return self.dispatcher.queue

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True  # the queue's policies compare trials by their histories, not by one metric

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        self.dispatcher.look_at_nodes()
        self.dispatcher.end_waiting(tune_controller)
        name = self.dispatcher.next_name()
        return self.dispatcher.resumed(name) if name in self.dispatcher.trials else None

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self.dispatcher.trials[trial_name(trial)] = trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        history, accelerator = TrialHistory.from_json(result), result.get("accelerator", "")
        verdict, why = self._queue.epoch(trial_name(trial), history, accelerator)
        if verdict == "pause":
            self.dispatcher.pausing(trial_name(trial))
        if verdict == "stop" and why:
            self.dispatcher.stopped[trial_name(trial)] = why
        return str(_ACTIONS[verdict])

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._queue.completed(trial_name(trial), TrialHistory.from_json(result))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        pass  # the callback hears of it when the error can be read

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._queue.ended(trial_name(trial))

    def debug_string(self) -> str:
        return f"{len(self.dispatcher.trials)} of {self._queue.size} trainings have started"


class EventCallback(_NotStored, tune.Callback):
    """Hands Tune's events on as `RunEvents`. Tune calls it in the main thread."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher, self.events = dispatcher, dispatcher.events

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self.dispatcher.waiting.say_who_waits()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.dispatcher.waiting.over(trial_name(trial))
        self.events.started(trial_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        gpus = trial.config["resources"].get("GPU", 0.0)
        self.events.epoch(trial_name(trial), {**result, "gpus": gpus})

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        name, result = trial_name(trial), trial.last_result or {}
        if name in self.dispatcher.stopped:
            history = TrialHistory.from_json(result) if "scores" in result else None
            self.events.stopped(name, self.dispatcher.stopped[name], history)
        elif "epochs" in result and result["epoch"] == result["epochs"]:  # Tune says `done` of all that it stops
            self.events.finished(name)  # not a trial that an interrupted run leaves for the next command

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.dispatcher.failed(trial_name(trial), Failure.of(_error_of(trial)))


def _error_of(trial: Trial) -> BaseException | None:
    """What a trial raised, from the driver's own folder: Tune's own methods look where Tune copies it later. None where
    the trial's process died without raising anything."""
    file = trial.pickled_error_file
    if file is None or not Path(file).is_file():
        return trial.get_error()
    error: BaseException = cloudpickle.loads(Path(file).read_bytes())
    return error


def trial_name(trial: Trial) -> str:
    """The name of the training that a Tune trial runs."""
    name: str = trial.config["job"]["experiment"]
    return name
