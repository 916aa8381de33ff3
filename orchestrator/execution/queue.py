"""Which training starts next, which waits, and which is stopped: the order of a run, without Ray.

Fixed trainings start first, the longest before the others. Then follow every sweep's new trials, in the order of the
queue; then the trials that a policy is sure of, the longest first; then, where a slot would be idle, the best of the
trials that wait; then the trials that a search has still to choose, when most is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from orchestrator.execution.cluster import Request
from orchestrator.execution.entries import Entry, EntryState, Limits, Search
from orchestrator.execution.standby import Standby
from orchestrator.sweeps.policy import Policy
from orchestrator.sweeps.records import BUDGET_SPENT
from trainable.run.history import TrialHistory

Verdict = Literal["go", "pause", "stop"]


class TrainingQueue:
    """The trainings of a run and their order. An executor asks it, and reports to it, by name.

    Args:
        entries: all trainings that are known from the start.
        policies: one for each sweep; trials that ended in earlier commands have been reported to them.
        searches: those that still have trials to choose, one for each sweep.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        policies: Mapping[str, Policy],
        limits: Limits,
        searches: Mapping[str, Search] | None = None,
    ) -> None:
        self.policies, self.limits = policies, limits
        self.searches = {sweep: search for sweep, search in (searches or {}).items() if search.remaining}
        self._states: dict[str, EntryState] = {}
        self._active: dict[str, EntryState] = {}
        self._standby = Standby(policies)
        for entry in entries:
            self._take_in(entry)
        self.leaving: dict[str, Request] = {}
        """What paused trainings hold whose processes still save, as the executor says; they go on when that is over."""
        self.draining = False
        """Set where the run is to end: nothing starts, and each training ends after its epoch, for a later command."""

    # -- asked by the executor

    @property
    def size(self) -> int:
        """How many trainings there are at most."""
        return len(self._states) + sum(search.remaining for search in self.searches.values())

    def knows(self, name: str) -> bool:
        """Whether `name` is one of the trainings."""
        return name in self._states

    @property
    def active(self) -> dict[str, Request]:
        """What each training asks of a node that runs now, those with the most work first."""
        running = sorted(self._running(), key=lambda state: -state.entry.work)
        return {state.entry.name: self._request(state) for state in running}

    def request_of(self, name: str) -> Request:
        """What a training asks of a node now: GPUs of the type that it began on, while there are any."""
        return self._request(self._states[name])

    def wanted(self) -> list[Request]:
        """What the trainings that run, and those that could run now, ask of nodes: an elastic cluster grows to hold it.
        Not trials that wait for others: they are not worth a node."""
        self._standby.judge()
        sure = [self._request(state) for state in self._standby.all if state.decision == "go"]
        chosen = [search.request for search in self.searches.values() for _ in range(search.remaining)]
        found = [*self.active.values(), *sure, *chosen]
        return [] if self.draining else found[: self.limits.max_concurrent]

    @property
    def finished(self) -> bool:
        """Whether nothing runs or will run."""
        return not self._active and (self.draining or not (self.searches or self._standby))

    def next(self) -> str | None:
        """The name of the training to start, or to resume, now; None where everything is to wait.

        The caller reports `started` before it asks again.
        """
        if self.draining or self.limits.full(len(self._active) + len(self.leaving)):
            return None
        return self._next_that_fits() or (None if self.limits.over else self._choose())

    def dropped(self) -> dict[str, str]:
        """The waiting trials that have no chance or no budget left, with the reasons; they end by this call."""
        if over := self.limits.over:
            self.searches.clear()
        if self.draining:
            return {}
        trials = (state.entry for state in self._standby.all if not state.entry.fixed)
        found = {trial.name: BUDGET_SPENT for trial in trials} if over else self._standby.out
        for name in found:
            self.ended(name)
        return found

    # -- reported by the executor

    def started(self, name: str) -> None:
        state = self._states[name]
        self._standby.remove(state)
        state.status = "active"
        self._active[name] = state

    def epoch(self, name: str, history: TrialHistory, accelerator: str = "") -> tuple[Verdict, str]:
        """What a training does after an epoch that is not its last, and why a trial is stopped for good.

        Args:
            accelerator: the type of GPU that has trained it.
        """
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
        if decision == "wait" and self._others_first(state):
            self._pause(state)
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
        state = self._states[name]
        self._standby.remove(state)
        self._active.pop(name, None)
        state.status = "ended"
        if state.entry.sweep is not None:
            self._policy(name).leave(name)

    def failed(self, name: str, *, used: bool = True, final: bool = False) -> bool:
        """Whether the training is tried again; it waits for its turn then, and ends otherwise.

        Args:
            used: whether the training had begun in the process that failed.
            final: trying again is useless.
        """
        state = self._states[name]
        if state.failed(used=used) or final:
            self.ended(name)
            return False
        self._pause(state)
        return True

    # -- who is next

    def _next_that_fits(self) -> str | None:
        """The first of those that wait. It is waited for, too, where no node has room: only trainings that need another
        type of GPU overtake it."""
        for state in self._standby.candidates:
            request, name = self._request(state), state.entry.name
            if self.limits.over and not state.entry.fixed:
                return None
            if name in self.leaving or not self._has_room(request):
                if name in self.leaving or request.accelerator:
                    continue
                return None
            if state.decision == "wait":
                self._policy(name).release(name)
            return name
        return None

    def _choose(self) -> str | None:
        """A trial that a search chooses now; None where trials wait, or no node has room for one more."""
        if self._standby:
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
            self._take_in(entry)
            return entry.name
        return None

    def _nothing_left_to_choose(self, sweep: str) -> None:
        """No trial of the sweep waits any longer for those that will not come."""
        del self.searches[sweep]
        policy = self.policies[sweep]
        for name in set(policy.contenders) - set(self._states):
            policy.leave(name)

    def _others_first(self, waiting: EntryState) -> bool:
        """Whether a waiting trial's slot should go to another one."""
        standby, here = self._standby, self._request(waiting).accelerator
        standby.judge()
        for other in standby.candidates:
            if "" not in (here, self._request(other).accelerator) and here != self._request(other).accelerator:
                continue  # the slot would be of no use to it
            if other.decision == "go" or standby.rank(other) < standby.rank(waiting):
                return True
        return False

    def _request(self, state: EntryState) -> Request:
        return state.request_of(self.limits.cluster)

    def _has_room(self, request: Request) -> bool:
        return self.limits.cluster.fits([*map(self._request, self._running()), *self.leaving.values()], request)

    def _take_in(self, entry: Entry) -> None:
        state = self._states[entry.name] = EntryState(entry, len(self._states), accelerator=entry.accelerator)
        self._standby.add(state)

    def _pause(self, state: EntryState) -> None:
        self._active.pop(state.entry.name, None)
        state.status = "paused"
        self._standby.add(state)

    def _running(self) -> list[EntryState]:
        """The trainings that run now, in the order of the queue."""
        return sorted(self._active.values(), key=lambda state: state.place)

    def _policy(self, name: str) -> Policy:
        sweep = self._states[name].entry.sweep
        assert sweep is not None
        return self.policies[sweep]

    def _report(self, name: str, history: TrialHistory) -> None:
        if self._states[name].entry.sweep is not None:
            self._policy(name).report(name, history)
