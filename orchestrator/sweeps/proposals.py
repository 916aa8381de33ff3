"""`--search optuna`: the next trial's configuration from what the others have shown, by Optuna's TPE.

The search decides while the sweep runs, so what it has chosen is written down: a sweep that is called again has the
same trials, and a larger one goes on from there.
"""

from __future__ import annotations

from orchestrator.planning.planner import Planner, Step
from orchestrator.sweeps.configurations import to_config
from orchestrator.sweeps.policies import Past, Policy
from orchestrator.sweeps.sweep import Sweep, new_trial
from orchestrator.sweeps.tpe import Tried, propose
from trainable.cache.hashes import digest

ATTEMPTS = 20
"""How often the search may name what has been tried before the space counts as exhausted."""


def next_trial(sweep: Sweep, name: str, policy: Policy, planner: Planner) -> Step | None:
    """Choose what an open trial is to be, fill it in, and tell the policy and the sweep's log.

    Returns:
        The trial, or None where the space has nothing new; then no trial of the sweep is open any more.
    """
    default = sweep.default.config
    assert default is not None and sweep.log is not None
    chosen = {step.name: step.config for step in sweep.steps if not step.open and step.config is not None}
    known = {digest(config.identity()) for config in chosen.values()}
    tried = [_tried(policy, other) for other in chosen]
    for attempt in range(ATTEMPTS):
        point = propose(sweep.space, tried, default.seed + ATTEMPTS * len(tried) + attempt)
        config = to_config(default, point, sweep.options)
        if digest(config.identity()) in known:
            continue
        number = [step.name for step in sweep.steps].index(name)
        sweep.steps[number] = planner.identify(new_trial(sweep, config, number, planner))
        sweep.log.add([point])
        policy.add(name, config)
        return sweep.steps[number]
    sweep.log.add([], exhausted=True)
    sweep.steps[:] = [step for step in sweep.steps if not step.open]
    return None


def _tried(policy: Policy, name: str) -> Tried:
    past: Past = policy.pasts[name]
    if len(past.scores) >= past.config.epochs:
        return Tried(past.config, tuple(past.scores), "finished")
    gone = past.gone or policy.decision(name) == "stop"
    return Tried(past.config, tuple(past.scores), "stopped" if gone else "running")
