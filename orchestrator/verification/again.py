"""Work done again in a temporary folder, of which nothing is left afterwards.

It also has a cache of its own there: what is decoded or computed once, is computed again too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation, Run
from orchestrator.verification.evaluation import evaluate_again
from orchestrator.verification.outcome import NO_HASHES, Again, Record, Tell, Verification
from orchestrator.verification.training import train_again, why_not
from trainable.base.errors import Failure
from trainable.cache.folder import ROOT_VARIABLE


def do_again(
    step: Run | FaceApiEvaluation, found: Verification, planner: Planner, epochs: int | None, tell: Tell
) -> Again:
    """Train or evaluate again, and compare with what is on disk.

    Args:
        step: identified, with a result.
        found: how that result compares with what it recorded.
        epochs: the most epochs of a training; None for all.
        tell: is called after each epoch, or each part of an evaluation.
    """
    record = found.record
    if record is None:
        return Again(refused="not done again: what it was made from is not known")
    if why := _refusal(step, found, record):
        return Again(refused=f"not done again: {why}")
    temporary = tempfile.TemporaryDirectory(prefix="emosweep-verify-", ignore_cleanup_errors=True)
    with temporary as folder, _own_cache(Path(folder) / "cache"):
        try:
            if isinstance(step, Run):
                return train_again(step, record, planner, Path(folder), epochs, tell)
            return evaluate_again(step, planner, Path(folder), tell)
        except Exception as error:  # whatever one experiment raises, the others are done again
            return Again(refused=f"could not be done again: {Failure.of(error).message}")


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    before = os.environ.get(ROOT_VARIABLE)
    os.environ[ROOT_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[ROOT_VARIABLE]
        else:
            os.environ[ROOT_VARIABLE] = before


def _refusal(step: Run | FaceApiEvaluation, found: Verification, record: Record) -> str:
    """Why what is made again could not be compared with the result; "" where it can."""
    if found.inputs:
        return "its inputs have changed"
    if isinstance(step, FaceApiEvaluation):
        return ""
    if NO_HASHES in found.unverified:
        return "it was made by an older version, which drew and added up in another order"
    return why_not(record)
