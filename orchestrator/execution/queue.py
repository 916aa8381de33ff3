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
from orchestrator.sweeps.policies import Policy
from orchestrator.sweeps.records import BUDGET_SPENT
from trainable.run.history import TrialHistory

Verdict = Literal["go", "pause", "stop"]
RETRIES = 2
"""How often a training is tried again after it failed; each whole epoch in between earns it as many."""
LOST_PROCESSES = 5
"""How often a training is tried again whose process died before the training could use it."""


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
        self._states = {entry.name: EntryState(entry) for entry in entries}
        self.draining = False
        """Set where the run is to end: nothing starts any more, and each training ends after its epoch. A later command
        continues it."""

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
        running = sorted(self._with("active").items(), key=lambda item: -item[1].entry.work)
        return {name: state.entry.request for name, state in running}

    def wanted(self) -> list[Request]:
        """What the trainings that run, and those that could run now, ask of nodes: an elastic cluster grows to hold it.
        Not trials that wait for others: they are not worth a node."""
        entries = {name: state.entry for name, state in self._waiting().items()}
        sure = [e.request for name, e in entries.items() if e.fixed or self._policy(name).decision(name) == "go"]
        chosen = [search.request for search in self.searches.values() for _ in range(search.remaining)]
        found = [*self.active.values(), *sure, *chosen]
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
        fixed = [state.entry for state in self._waiting().values() if state.entry.fixed]
        if fixed:
            longest = max(fixed, key=lambda entry: entry.work)
            return longest.name if self._has_room(longest.request) else None
        if self.limits.over:
            return None
        return self._next_trial() or self._choose()

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

    def epoch(self, name: str, history: TrialHistory) -> tuple[Verdict, str]:
        """What a training does after an epoch that is not its last, and why a trial is stopped for good."""
        state = self._states[name]
        state.failures, state.lost = 0, 0
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

    def _next_trial(self) -> str | None:
        """The best of the waiting trials, where a node has room for it."""
        decisions = {name: self._policy(name).decision(name) for name in self._waiting()}
        new = [name for name in self._with("new") if decisions[name] == "go"]
        sure = [name for name, decision in decisions.items() if decision == "go"]
        undecided = [name for name, decision in decisions.items() if decision == "wait"]
        if new:
            best = new[0]
        elif sure:
            best = max(sure, key=lambda name: self._states[name].entry.work)
        elif undecided:
            best = min(undecided, key=self._rank)
        else:
            return None
        if not self._has_room(self._states[best].entry.request):
            return None
        if decisions[best] == "wait":
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
            self._states[entry.name] = EntryState(entry)
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
        if "go" in decisions.values():
            return True
        waiting = [other for other, decision in decisions.items() if decision == "wait"]
        return any(self._rank(other) < self._rank(name) for other in waiting)

    def _has_room(self, request: Request) -> bool:
        return self.limits.cluster.fits([state.entry.request for state in self._with("active").values()], request)

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
