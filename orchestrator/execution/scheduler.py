"""All trials of a run in one pool: who starts next, who is paused, who is stopped. Tune's scheduler, told by policies.

Tune starts pending trials by itself, in their order. Here every trial is born paused, which Tune leaves alone until
`choose_trial_to_run` names it: so the order, and who waits, are this module's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune  # noqa: F401 (its parts do not import each other in every order)
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import BasicVariantGenerator

from orchestrator.execution.work import Limits
from orchestrator.sweeps.policies import TIME_BUDGET, Policy

NOTHING_NEW = "the search has nothing else to try"


@dataclass(frozen=True)
class Member:
    """A trial before it runs.

    Args:
        work: fixed ones start longest first, and so do those of a sweep that may go on.
        sweep: whose policy is told of it, and judges it unless it is fixed.
        fixed: it goes to its end, whatever comes.
        tail: the epochs after which it has all CPUs of the machine to itself.
        open: what it is to do is chosen when it starts, and it starts last.
    """

    work: float
    sweep: str | None = None
    fixed: bool = True
    tail: int | None = None
    open: bool = False


@dataclass
class _State:
    member: Member
    trial: Trial | None = None
    epochs: int = 0
    started: bool = False
    ended: bool = False

    @property
    def to_choose(self) -> bool:
        return self.member.open and not self.started

    @property
    def status(self) -> str | None:
        return self.trial.status if self.trial is not None else None


class Pool(TrialScheduler):
    """Routes each trial to its sweep's policy; fixed trials run to their end.

    Started first: the fixed trials, the longest first; then every sweep's trials in the order of `members`; then those
    that a policy is sure of, the longest first; then, where a CPU would be idle, the best of those that wait; then what
    is still open, when most is known.

    Args:
        members: all trials, by the name in `config["job"]["experiment"]`.
        policies: by sweep; trials that ended in earlier runs have been reported to them.
        choose: the job of an open trial, or None where there is nothing else to try in its sweep.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        policies: Mapping[str, Policy],
        limits: Limits,
        choose: Callable[[str], dict[str, Any] | None] = lambda name: None,
    ) -> None:
        super().__init__()
        self.policies, self.limits, self.choose = policies, limits, choose
        self.states = {name: _State(member) for name, member in members.items()}
        self.stopped: dict[str, str] = {}
        """Why trials were stopped before their end, by name."""
        self._chosen: Trial | None = None

    def __reduce__(self) -> tuple[type[TrialScheduler], tuple[()]]:
        # The Tuner pickles itself for `Tuner.restore`, which is not used here.
        return FIFOScheduler, ()

    # -- Tune's events

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        state = self._state(trial)
        if state.trial is None:
            state.trial = trial
            trial.set_status(Trial.PAUSED)
            trial.init_local_path()  # Tune asks for the folders of all trials at the end, also of those never started
            return
        # Its process failed, and Tune has told `on_trial_error`, and counts it as pending: it goes on in its place.
        state.ended = False
        policy = self._policy(state)
        if policy is not None:
            policy.back(_name(trial))
        if self._chosen is None or self._chosen.status != Trial.PENDING:
            self._chosen = trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        name, state = _name(trial), self._state(trial)
        state.epochs = result["epoch"]
        policy = self._policy(state)
        if policy is not None:
            policy.report(name, result["scores"], result["stages"])
        if policy is None or state.member.fixed:
            return str(TrialScheduler.CONTINUE)
        if self.limits.over:
            return self._stop(name, TIME_BUDGET)
        decision = policy.decision(name)
        if decision == "stop":
            return self._stop(name, policy.why(name))
        if self._tail_runs() or (decision == "wait" and self._others_first(name)):
            return str(TrialScheduler.PAUSE)
        if decision == "wait":
            policy.release(name)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        state = self._state(trial)
        policy = self._policy(state)
        if policy is not None and "scores" in result:
            policy.report(_name(trial), result["scores"], result["stages"])
        self._end(trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._end(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._end(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        self._drop(tune_controller)
        if self._chosen is None or self._chosen.status != Trial.PENDING:
            name = self._next()
            if name and self.states[name].to_choose and not self._choose(name, tune_controller):
                name = None
            self._chosen = self.states[name].trial if name else None
            if name:
                self.states[name].started = True
        return self._chosen

    def _choose(self, name: str, tune_controller: Any) -> bool:
        job = self.choose(name)
        if job is not None:
            self.states[name].trial.set_config({"job": job})  # type: ignore[union-attr]
            return True
        sweep = self.states[name].member.sweep
        for other, state in self._paused().items():
            if state.to_choose and state.member.sweep == sweep:
                self.stopped[other] = NOTHING_NEW
                tune_controller.stop_trial(state.trial)
        return False

    def debug_string(self) -> str:
        ended = sum(state.ended for state in self.states.values())
        return f"{ended} of {len(self.states)} trials have ended"

    # -- who is next

    def _next(self) -> str | None:
        paused = self._paused()
        # Pending is what goes on after a failure; the one chosen is not.
        running = sum(state.status in (Trial.RUNNING, Trial.PENDING) for state in self.states.values())
        if self.limits.max_concurrent is not None and running >= self.limits.max_concurrent:
            return None
        fixed = [name for name, state in paused.items() if state.member.fixed]
        if fixed:
            return max(fixed, key=lambda name: self.states[name].member.work)
        if self._tail_runs():
            return None
        idle = running < self.limits.slots
        found = self._next_swept([name for name, state in paused.items() if not state.to_choose], idle=idle)
        to_choose = [name for name, state in paused.items() if state.to_choose]
        return to_choose[0] if found is None and idle and to_choose else found

    def _next_swept(self, paused: list[str], *, idle: bool) -> str | None:
        new = [name for name in paused if not self.states[name].started and self._decision(name) == "go"]
        if new:
            return new[0]
        sure = [name for name in paused if self._decision(name) == "go"]
        if sure:
            return max(sure, key=lambda name: self.states[name].member.work)
        waiting = [name for name in paused if self._decision(name) == "wait"]
        if not waiting or not idle:
            return None
        best = min(waiting, key=self._rank)
        self._policy_of(best).release(best)
        return best

    def _others_first(self, name: str) -> bool:
        """Whether a waiting trial's place should go to another one."""
        if self._chosen is not None and self._chosen.status == Trial.PENDING:
            return True
        paused = {other: state for other, state in self._paused().items() if not state.to_choose}
        if any(state.member.fixed or self._decision(other) == "go" for other, state in paused.items()):
            return True
        waiting = [other for other in paused if self._decision(other) == "wait"]
        return any(self._rank(other) < self._rank(name) for other in waiting)

    def _tail_runs(self) -> bool:
        """Whether a fixed trial has the machine to itself: its numbers were planned with all CPUs."""
        return any(
            s.member.tail is not None and s.epochs >= s.member.tail and not s.ended for s in self.states.values()
        )

    # -- ends

    def _drop(self, tune_controller: Any) -> None:
        """End the paused trials that have no chance left, or no time."""
        for name, state in self._paused().items():
            if state.member.fixed:
                continue
            if self.limits.over:
                self.stopped[name] = TIME_BUDGET
            elif self._decision(name) == "stop":
                self.stopped[name] = self._policy_of(name).why(name)
            else:
                continue
            tune_controller.stop_trial(state.trial)

    def _stop(self, name: str, why: str) -> str:
        self.stopped[name] = why
        return str(TrialScheduler.STOP)

    def _end(self, trial: Trial) -> None:
        state = self._state(trial)
        state.ended = True
        policy = self._policy(state)
        if policy is not None:
            policy.leave(_name(trial))

    # -- look-ups

    def _paused(self) -> dict[str, _State]:
        return {name: s for name, s in self.states.items() if s.status == Trial.PAUSED and not s.ended}

    def _state(self, trial: Trial) -> _State:
        return self.states[_name(trial)]

    def _policy(self, state: _State) -> Policy | None:
        return self.policies[state.member.sweep] if state.member.sweep is not None else None

    def _policy_of(self, name: str) -> Policy:
        policy = self._policy(self.states[name])
        assert policy is not None
        return policy

    def _decision(self, name: str) -> str:
        return self._policy_of(name).decision(name)

    def _rank(self, name: str) -> tuple[float, ...]:
        return self._policy_of(name).rank(name)


class OpenSearch(BasicVariantGenerator):
    """Tune's own generator, which is not finished while trials are under way.

    Tune keeps no process for the next trial once the search is over and none is pending, but the pool's next trial may
    be a paused one: its process would import torch again.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def __reduce__(self) -> tuple[type[BasicVariantGenerator], tuple[()]]:
        return BasicVariantGenerator, ()

    def is_finished(self) -> bool:
        alive = (Trial.PENDING, Trial.RUNNING, Trial.PAUSED)
        return super().is_finished() and not any(state.status in alive for state in self.pool.states.values())


def _name(trial: Trial) -> str:
    name: str = trial.config["job"]["experiment"]
    return name
