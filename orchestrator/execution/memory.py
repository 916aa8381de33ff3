"""How many trials fit into a machine's memory (pure: no Ray, no torch).

On a CPU the activations of a stage-3 step lie in main memory: at the runbook's batch of 1024 they are what fills it.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.planning.planner import Step

PROCESS, PER_IMAGE = 0.8e9, 5.5e6
"""Bytes of a trial's process, and of each image in a stage-3 batch on top: what `python -m benchmarks --rows peak`
prints for either allocator, with room for the batch's pixels, and for Ray's and Tune's modules in the process."""


def need(step: Step) -> int:
    """Estimated peak bytes of a trial on a CPU."""
    assert step.config is not None
    images = min(step.config.batch, step.rows[0]) if step.config.mode == "finetune" else 0
    return int(PROCESS + PER_IMAGE * images)


def requests(steps: Sequence[Step], at_once: Sequence[int], memory: Sequence[int]) -> dict[str, int]:
    """The bytes that each trial must ask the cluster for; {} where any of them fit together.

    Trials that ask for different amounts cannot follow each other in one process, so they ask only where they must.
    Those that do follow each other keep what the largest took, and so many of the largest fit together.

    Args:
        at_once: on each node, how many trials its CPUs would run at once.
        memory: on each node, bytes for trials; what is more than the largest node has is cut to that.
    """
    needs = {step.name: need(step) for step in steps}
    largest = sorted(needs.values(), reverse=True)
    if all(sum(largest[:trials]) <= room for trials, room in zip(at_once, memory, strict=True)):
        return {}
    return {name: min(amount, max(memory)) for name, amount in needs.items()}
