"""The queue and the halving written as simply as can be: what the quick ones must come to, whatever happens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.execution.cluster import Request
from orchestrator.execution.entries import LOST_PROCESSES, RETRIES, Entry, EntryState, Limits, Search
from orchestrator.execution.queue import Verdict
from orchestrator.sweeps.halving import rungs
from orchestrator.sweeps.policy import Decision, Policy, RunToTheEnd
from orchestrator.sweeps.records import BUDGET_SPENT
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory


class PlainHalving(RunToTheEnd):
    """As `Halving`, except that every question goes over all trials."""

    LEAST_KEPT = 2

    def __init__(self) -> None:
        super().__init__()
        self.at_rungs: dict[str, list[float]] = {}
        self.released: set[tuple[str, int]] = set()
        self.stopped: dict[str, int] = {}

    def add(self, name: str, config: TrainConfig, *, exempt: bool = False) -> None:
        super().add(name, config, exempt=exempt)
        self.at_rungs[name] = []

    def report(self, name: str, history: TrialHistory) -> None:
        super().report(name, history)
        history = self.contenders[name].history
        reached = [rung for rung in rungs(self.contenders[name].config) if rung.epochs <= len(history)]
        self.at_rungs[name] = [history.best_of_stage(rung.epochs) for rung in reached]

    def decision(self, name: str) -> Decision:
        if self.contenders[name].exempt:
            return "go"
        reached = len(self.at_rungs[name])
        for rung in range(reached):
            if self._better(name, rung) >= self._room(name, rung):
                self.stopped.setdefault(name, rung)
                return "stop"
        last = reached - 1
        if reached == 0 or (name, last) in self.released:
            return "go"
        return "go" if self._better(name, last) + self._to_come(last) < self._room(name, last) else "wait"

    def release(self, name: str) -> None:
        self.released.add((name, len(self.at_rungs[name]) - 1))

    def rank(self, name: str) -> tuple[float, ...]:
        order, last = self.contenders[name].order, len(self.at_rungs[name]) - 1
        return (self._better(name, last), -last, order) if last >= 0 else (0, 0, order)

    def why(self, name: str) -> str:
        contender, rung = self.contenders[name], self.stopped[name]
        epochs = rungs(contender.config)[rung].epochs
        room, stage = self._room(name, rung), contender.history.stages[epochs - 1]
        return f"not among the best {room} of {len(list(self._ranked()))} in stage {stage}, epoch {epochs}"

    def _ranked(self) -> Iterator[str]:
        """The names of the trials that are compared: all but the default."""
        return (name for name, contender in self.contenders.items() if not contender.exempt)

    def _room(self, name: str, rung: int) -> int:
        """How many trials go on from this rung."""
        keep = rungs(self.contenders[name].config)[rung].keep
        return max(self.LEAST_KEPT, math.ceil(keep * len(list(self._ranked()))))

    def _better(self, name: str, rung: int) -> int:
        """How many trials came out better at this rung; of two alike, the one that was drawn first."""

        def standing(trial: str) -> tuple[float, int]:
            return self.at_rungs[trial][rung], -self.contenders[trial].order

        arrived = [other for other in self._ranked() if len(self.at_rungs[other]) > rung and other != name]
        return sum(standing(other) > standing(name) for other in arrived)

    def _to_come(self, rung: int) -> int:
        """How many trials may still arrive at this rung; a trial of few epochs has fewer rungs."""

        def coming(name: str) -> bool:
            contender = self.contenders[name]
            on_its_way = len(self.at_rungs[name]) <= rung < len(rungs(contender.config))
            return on_its_way and not contender.left and name not in self.stopped

        return sum(coming(name) for name in self._ranked())


def new_state(entry: Entry, place: int) -> EntryState:
    return EntryState(entry, place, accelerator=entry.accelerator)


class PlainQueue:
    """As `TrainingQueue`, except that every question goes over all trainings."""

    def __init__(
        self,
        entries: Iterable[Entry],
        policies: Mapping[str, Policy],
        limits: Limits,
        searches: Mapping[str, Search] | None = None,
    ) -> None:
        self.policies, self.limits = policies, limits
        self.searches = {sweep: search for sweep, search in (searches or {}).items() if search.remaining}
        self._states = {entry.name: new_state(entry, place) for place, entry in enumerate(entries)}
        self.draining = False
        """Set where the run is to end: nothing starts any more, and each training ends after its epoch. A later command
        continues it."""

    # -- asked by the executor

    @property
    def active(self) -> dict[str, Request]:
        """What each training asks of a node that runs now, those with the most work first."""
        running = sorted(self._with("active").items(), key=lambda item: -item[1].entry.work)
        return {name: self._request(name) for name, _ in running}

    def wanted(self) -> list[Request]:
        """What the trainings that run, and those that could run now, ask of nodes: an elastic cluster grows to hold it.
        Not trials that wait for others: they are not worth a node."""
        entries = {name: state.entry for name, state in self._waiting().items()}
        sure = [n for n, entry in entries.items() if entry.fixed or self._policy(n).decision(n) == "go"]
        chosen = [search.request for search in self.searches.values() for _ in range(search.remaining)]
        found = [*self.active.values(), *map(self._request, sure), *chosen]
        return [] if self.draining else found[: self.limits.max_concurrent]

    @property
    def finished(self) -> bool:
        """Whether nothing runs or will run."""
        if self.draining:
            return not self._with("active")
        return not self.searches and all(state.status == "ended" for state in self._states.values())

    def next(self) -> str | None:
        """The name of the training to start, or to resume, now; None where everything is to wait.

        The caller reports `started` before it asks again.
        """
        if self.draining or self._as_many_as_allowed():
            return None
        full: set[str] = set()
        fixed = [name for name, state in self._waiting().items() if state.entry.fixed]
        found = self._first_with_room(sorted(fixed, key=self._less_work), full)
        if found is not None or "" in full or self.limits.over:
            return found
        return self._next_trial(full) or (None if "" in full else self._choose())

    def dropped(self) -> dict[str, str]:
        """The waiting trials that have no chance or no budget left, with the reasons; they end by this call."""
        found = {}
        for name, state in self._waiting().items():
            if state.entry.fixed or self.draining:
                continue
            if self.limits.over:
                found[name] = BUDGET_SPENT
            elif self._policy(name).decision(name) == "stop":
                found[name] = self._policy(name).why(name)
        if self.limits.over:
            self.searches.clear()
        for name in found:
            self.ended(name)
        return found

    # -- reported by the executor

    def started(self, name: str) -> None:
        self._states[name].status = "active"

    def epoch(self, name: str, history: TrialHistory, accelerator: str = "") -> tuple[Verdict, str]:
        """What a training does after an epoch that is not its last, and why a trial is stopped for good."""
        state = self._states[name]
        state.failures, state.lost = 0, 0
        state.accelerator = accelerator or state.accelerator
        self._report(name, history)
        if self.draining:
            return "stop", ""
        if state.entry.fixed:
            return "go", ""
        if self.limits.over:
            return "stop", BUDGET_SPENT
        policy = self._policy(name)
        decision = policy.decision(name)
        if decision == "stop":
            return "stop", policy.why(name)
        if decision == "wait" and self._others_first(name):
            state.status = "paused"
            return "pause", ""
        if decision == "wait":
            policy.release(name)
        return "go", ""

    def completed(self, name: str, history: TrialHistory) -> None:
        """The training went to its end."""
        self._report(name, history)
        self.ended(name)

    def ended(self, name: str) -> None:
        """The training has ended, in whatever way."""
        self._states[name].status = "ended"
        if self._states[name].entry.sweep is not None:
            self._policy(name).leave(name)

    def failed(self, name: str, *, used: bool = True, final: bool = False) -> bool:
        """Whether the training is tried again; it waits for its turn then, and ends otherwise.

        Args:
            used: whether the training had begun in the process that failed.
            final: trying again is useless.
        """
        state = self._states[name]
        if used:
            state.failures += 1
        else:
            state.lost += 1
        if final or state.failures > RETRIES or state.lost > LOST_PROCESSES:
            self.ended(name)
            return False
        state.status = "paused"
        return True

    # -- who is next

    def _next_trial(self, full: set[str]) -> str | None:
        """The best of the waiting trials for which a node has room."""
        trials = {name: state for name, state in self._waiting().items() if not state.entry.fixed}
        decisions = {name: self._policy(name).decision(name) for name in trials}
        new = [name for name, state in trials.items() if decisions[name] == "go" and state.status == "new"]
        begun = [name for name, state in trials.items() if decisions[name] == "go" and state.status == "paused"]
        undecided = [name for name in trials if decisions[name] == "wait"]
        order = [*new, *sorted(begun, key=self._less_work), *sorted(undecided, key=self._rank)]
        best = self._first_with_room(order, full)
        if best is not None and decisions[best] == "wait":
            self._policy(best).release(best)
        return best

    def _choose(self) -> str | None:
        """A trial that a search chooses now; None where trials wait, or no node has room for one more."""
        if self._waiting():
            return None
        for sweep, search in list(self.searches.items()):
            if not self._has_room(search.request):
                continue
            entry = search.choose()
            if entry is None:
                self._nothing_left_to_choose(sweep)
                continue
            search.remaining -= 1
            if not search.remaining:
                del self.searches[sweep]
            self._states[entry.name] = new_state(entry, len(self._states))
            return entry.name
        return None

    def _nothing_left_to_choose(self, sweep: str) -> None:
        """No trial of the sweep waits any longer for those that will not come."""
        del self.searches[sweep]
        policy = self.policies[sweep]
        for name in set(policy.contenders) - set(self._states):
            policy.leave(name)

    def _others_first(self, name: str) -> bool:
        """Whether a waiting trial's slot should go to another one."""
        decisions = {
            other: "go" if state.entry.fixed else self._policy(other).decision(other)
            for other, state in self._waiting().items()
        }
        here = self._request(name).accelerator
        useful = {o: d for o, d in decisions.items() if not here or self._request(o).accelerator in ("", here)}
        if "go" in useful.values():
            return True
        return any(decision == "wait" and self._rank(other) < self._rank(name) for other, decision in useful.items())

    def _request(self, name: str) -> Request:
        return self._states[name].request_of(self.limits.cluster)

    def _less_work(self, name: str) -> float:
        return -self._states[name].entry.work

    def _first_with_room(self, names: Iterable[str], full: set[str]) -> str | None:
        """The first for which a node has room. Behind one that waits for any node all wait; behind one that waits for
        a type of GPU, those that want the same."""
        for name in names:
            request = self._request(name)
            if "" not in full and request.accelerator not in full:
                if self._has_room(request):
                    return name
                full.add(request.accelerator)
        return None

    def _has_room(self, request: Request) -> bool:
        return self.limits.cluster.fits(list(map(self._request, self._with("active"))), request)

    def _as_many_as_allowed(self) -> bool:
        most = self.limits.max_concurrent
        return most is not None and len(self._with("active")) >= most

    def _waiting(self) -> dict[str, EntryState]:
        return {name: state for name, state in self._states.items() if state.status in ("new", "paused")}

    def _with(self, status: str) -> dict[str, EntryState]:
        return {name: state for name, state in self._states.items() if state.status == status}

    def _policy(self, name: str) -> Policy:
        sweep = self._states[name].entry.sweep
        assert sweep is not None
        return self.policies[sweep]

    def _report(self, name: str, history: TrialHistory) -> None:
        if self._states[name].entry.sweep is not None:
            self._policy(name).report(name, history)

    def _rank(self, name: str) -> tuple[float, ...]:
        return self._policy(name).rank(name)
