"""The trainings that wait, in the order in which they would start, in a time that hardly grows with their number.

Each answer of a policy is kept until the policy says that it may have changed. The heaps hold what was true when it was
put there; what is true no longer is thrown away when it comes to the top.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from operator import itemgetter
from typing import Any

from orchestrator.execution.entries import EntryState
from orchestrator.sweeps.policy import Decision, Policy

_Heap = list[tuple[Any, ...]]
"""What orders it, then the training's name."""
_Heaps = defaultdict[str, _Heap]
"""By the type of GPU that the trainings began on: while those of one type wait for room, others may go."""


class Standby:
    """The waiting trainings of a queue.

    Args:
        policies: one for each sweep.
    """

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self.policies = policies
        self._waiting: dict[str, EntryState] = {}
        self._heard: dict[str, dict[str, None]] = {sweep: {} for sweep in policies}
        """By sweep, the trials that have shown something: the others go on in any case."""
        self._unasked: list[tuple[int, str]] = []
        """Those whose policy is asked the next time, by their places in the queue."""
        self._out: dict[str, None] = {}
        self._fixed: _Heaps = defaultdict(list)
        self._new: _Heaps = defaultdict(list)
        self._sure: _Heaps = defaultdict(list)
        self._undecided: _Heaps = defaultdict(list)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, state: EntryState) -> None:
        """The training waits from now on."""
        entry = state.entry
        self._waiting[entry.name] = state
        if entry.fixed:
            state.decision = "go"
            heappush(self._fixed[state.accelerator], (-entry.work, state.place, entry.name))
        elif not self._policy(state).contenders[entry.name].history.scores:
            self._settle(state, "go")
        else:
            state.decision = None
            self._heard[str(entry.sweep)][entry.name] = None
            heappush(self._unasked, (state.place, entry.name))

    def remove(self, state: EntryState) -> None:
        """The training waits no longer, if it did."""
        name, sweep = state.entry.name, state.entry.sweep
        self._waiting.pop(name, None)
        self._out.pop(name, None)
        if sweep in self._heard:
            self._heard[sweep].pop(name, None)

    def judge(self) -> None:
        """Ask the policies about the trials whose answer may have changed, in the order of the queue.

        An answer may change others'. Those further back hear of it at once, the others the next time.
        """
        asked, self._unasked = self._unasked, []
        for sweep, policy in self.policies.items():
            for name in policy.moved(self._heard[sweep]):
                heappush(asked, (self._waiting[name].place, name))
        last = -1
        while asked:
            place, name = heappop(asked)
            state = self._waiting.get(name)
            if state is None or place == last:
                continue
            last, policy = place, self._policy(state)
            decision = policy.decision(name)
            if decision != state.decision or decision == "wait":  # the rank of one that waits may have changed
                self._settle(state, decision)
            for other in policy.moved(self._heard[str(state.entry.sweep)]):
                behind = self._waiting[other].place
                heappush(asked if behind > place else self._unasked, (behind, other))

    @property
    def fixed(self) -> list[EntryState]:
        """The fixed training with the most work of each type of GPU, those with the most work first."""
        return self._firsts(self._fixed, "go")

    @property
    def sure(self) -> list[EntryState]:
        """The trial of each type that goes on in any case: the first new one, else the one with the most work."""
        return self._firsts(self._new, "go", "new") + self._firsts(self._sure, "go", "paused")

    @property
    def undecided(self) -> list[EntryState]:
        """The best of each type of the trials that wait for others, by their policies' ranks."""
        for kind, heap in self._undecided.items():
            self._renew(heap, kind)
        return self._firsts(self._undecided, "wait")

    @property
    def candidates(self) -> Iterator[EntryState]:
        """All these, in the order in which they would start."""
        yield from self.fixed
        self.judge()
        yield from self.sure
        yield from self.undecided

    @property
    def out(self) -> dict[str, str]:
        """The trials that have no chance any more, with the reasons, in the order of the queue."""
        self.judge()
        states = sorted((self._waiting[name] for name in self._out), key=lambda state: state.place)
        return {state.entry.name: self._policy(state).why(state.entry.name) for state in states}

    @property
    def all(self) -> list[EntryState]:
        """All that wait, in the order of the queue."""
        return sorted(self._waiting.values(), key=lambda state: state.place)

    def rank(self, state: EntryState) -> tuple[float, ...]:
        return self._policy(state).rank(state.entry.name)

    def _policy(self, state: EntryState) -> Policy:
        assert state.entry.sweep is not None
        return self.policies[state.entry.sweep]

    def _settle(self, state: EntryState, decision: Decision) -> None:
        name, state.decision = state.entry.name, decision
        self._out.pop(name, None)
        if decision == "stop":
            self._out[name] = None
        elif decision == "wait":
            heappush(self._undecided[state.accelerator], (self.rank(state), state.place, name))
        elif state.status == "new":
            heappush(self._new[state.accelerator], (state.place, name))
        else:
            heappush(self._sure[state.accelerator], (-state.entry.work, state.place, name))

    def _renew(self, heap: _Heap, kind: str) -> None:
        """Put the best of those that wait for others first: their ranks may have changed."""
        while (state := self._first(heap, kind, "wait")) is not None:
            known, rank = heap[0][0], self.rank(state)
            if known == rank:
                return
            heappop(heap)
            heappush(heap, (rank, state.place, state.entry.name))

    def _firsts(self, heaps: _Heaps, decision: Decision, status: str | None = None) -> list[EntryState]:
        """The first of each heap that still waits as it did when it was put there, in their order."""
        found = [(heap, self._first(heap, kind, decision, status)) for kind, heap in heaps.items()]
        waiting = [(heap[0][:2], state) for heap, state in found if state is not None]
        return [state for _, state in sorted(waiting, key=itemgetter(0))]

    def _first(self, heap: _Heap, kind: str, decision: Decision, status: str | None = None) -> EntryState | None:
        while heap:
            state = self._waiting.get(heap[0][-1])
            if (
                state is not None
                and (state.accelerator, state.decision) == (kind, decision)
                and status in (None, state.status)
            ):
                return state
            heappop(heap)
        return None
