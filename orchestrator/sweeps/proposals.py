"""`--search optuna`: the next trial's configuration, chosen from what the others have shown while the sweep runs.

What the search has chosen is written down: a sweep that is called again has the same trials, and a larger one goes on
from there.
"""

from __future__ import annotations

from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Trial
from orchestrator.sweeps.configurations import to_config
from orchestrator.sweeps.policy import Policy
from orchestrator.sweeps.sweep import Sweep, new_trial
from orchestrator.sweeps.tpe import Tried, propose
from trainable.base.seeds import derived_seed
from trainable.cache.hashes import digest

ATTEMPTS = 20
"""How often the search may name what has been tried before the space counts as exhausted."""


def next_trial(sweep: Sweep, policy: Policy, planner: Planner) -> Trial | None:
    """Choose the sweep's next trial, add it to the sweep, and tell the policy and the sweep's log.

    Returns:
        The trial, identified; None where the space has nothing new. Then nothing more will be chosen.
    """
    assert sweep.log is not None
    default = sweep.default.config
    known = {digest(member.config.identity()) for member in sweep.members}
    tried = [_tried(policy, member.name) for member in sweep.members]
    for attempt in range(ATTEMPTS):
        point = propose(sweep.space, tried, _seed(default.seed, len(tried), attempt))
        config = to_config(default, point, sweep.options)
        if digest(config.identity()) in known:
            continue
        number = len(sweep.members)
        trial = planner.identify(new_trial(sweep.experiment, config, number, sweep.options, planner))
        sweep.choose(trial)
        sweep.log.add([point])
        policy.add(trial.name, config)
        return trial
    sweep.log.add([], exhausted=True)
    sweep.unchosen = 0
    return None


def _seed(seed: int, trial: int, attempt: int) -> int:
    """The lower half of a derived seed: Optuna takes 32 bits."""
    return derived_seed(seed, "tpe", trial, attempt) % 2**32


def _tried(policy: Policy, name: str) -> Tried:
    contender = policy.contenders[name]
    history = contender.history
    if len(history) >= contender.config.epochs:
        return Tried(contender.config, history.scores, "finished")
    gone = contender.left or policy.decision(name) == "stop"
    return Tried(contender.config, history.scores, "stopped" if gone else "running")
