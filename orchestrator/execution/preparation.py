"""What a queue is made of: the entry of a planned training, and the policy of a `--scheduler` value."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.execution.cluster import Request
from orchestrator.execution.entries import Entry
from orchestrator.planning.steps import TrainingStep
from orchestrator.sweeps import policies
from orchestrator.sweeps.policy import Policy


def entry_of(step: TrainingStep, request: Request, judges: Mapping[str, Policy], accelerator: str = "") -> Entry:
    """The training in the queue; the policy of its sweep hears of it where it is one of the sweep's trials.

    Args:
        accelerator: the type of GPU that has trained it in an earlier command; "" for none.
    """
    sweep = step.experiment.name if step.experiment.name in judges else None
    contender = sweep is not None and step.name in judges[sweep].contenders
    return Entry(step.name, step.work, request, sweep if contender else None, step.fixed, accelerator)


def make_policy(scheduler: str) -> Policy:
    """The policy of any `--scheduler` value."""
    if scheduler == "asha":
        from orchestrator.execution.asha import Asha  # and Ray

        return Asha()
    return policies.make_policy(scheduler)
