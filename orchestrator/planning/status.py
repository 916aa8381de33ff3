"""How the results of a step on disk stand to today's inputs and configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.history.place import Place, Record, finished, read_record
from orchestrator.history.store import changes
from orchestrator.planning.steps import Status, Step, TrainingStep, manifest_file, result_files
from trainable.run.identity import Identity
from trainable.run.kept_aside import is_marked
from trainable.run.resumption import Note, checkpoint_notes, find_checkpoint

Found = tuple[Status, str]
"""A status and the reason for it, in words."""


@dataclass(frozen=True)
class OnDisk:
    """What is on disk of a step.

    Args:
        manifest: what a finished result says of itself; {} without one.
        notes: what the checkpoints of an interrupted training say of themselves, the last one first.
        place: where results are and were; None for a step without a history (trials and their confirmations).
    """

    manifest: Record
    notes: Sequence[Note]
    place: Place | None

    @property
    def any(self) -> bool:
        """Whether there is something to compare a step's identity with."""
        has_history = self.place is not None and self.place.history.is_dir()
        return bool(self.manifest or self.notes or has_history)


def on_disk(step: Step, place: Place | None) -> OnDisk:
    """What is on disk of a step (see `OnDisk`)."""
    notes = checkpoint_notes(step.run.checkpoints) if isinstance(step, TrainingStep) else []
    return OnDisk(read_record(manifest_file(step)), notes, place)


def status_of(step: Step, there: OnDisk) -> Found:
    """The status of a step, and the reason. The step has its identity where `there.any`."""
    manifest, place = there.manifest, there.place
    lost = [path.name for path in result_files(step) if not path.is_file()]
    again = place is not None and place.is_being_replaced(step.identity)
    if manifest and manifest["identity"] == step.identity and not lost and not again:
        return "done", finished(manifest)
    broken = ""
    if isinstance(step, TrainingStep):
        found = find_checkpoint(step.run.checkpoints, step.identity or {})
        broken = found.broken
        if found.file is not None:
            return "interrupted", found.words(step.config.epochs)
    if place is not None and step.identity and not again and (kept := _in_history(step, place, step.identity)):
        return kept
    if not manifest:
        return _without_manifest(step, there, lost, broken)
    why = "--fresh was interrupted" if again else f"{', '.join(lost)} is missing"
    if manifest["identity"] != step.identity:
        why = _changes(manifest, step.identity)
    return "stale", "; ".join(filter(None, (why, broken)))


def _in_history(step: Step, place: Place, identity: Identity) -> Found | None:
    """What the history has of the step: its result, or a checkpoint."""
    if kept := place.kept(identity):
        return "restored", f"from the history, finished {finished(kept)}"
    if isinstance(step, TrainingStep):
        found = find_checkpoint(place.unfinished_entry(identity), identity)
        if found.file is not None:
            return "interrupted", f"{found.words(step.config.epochs)} (its checkpoint is in the history)"
    return None


def _without_manifest(step: Step, there: OnDisk, lost: Sequence[str], broken: str) -> Found:
    others = [note for note in there.notes if note["identity"] != step.identity]
    if others and not broken:
        return "stale", "interrupted with other inputs: " + _changes(others[0], step.identity)
    if not broken and len(lost) < len(result_files(step)) and not _are_ours(step, there.place):
        return "stale", "results without a manifest: made by something else; they are kept aside"
    return step.status, broken or step.why


def _are_ours(step: Step, place: Place | None) -> bool:
    """Whether result files without a manifest are being written or moved by us. Others are of another program, such as
    the runbook's own script."""
    if place is not None and place.journal.is_file():
        return True
    return isinstance(step, TrainingStep) and is_marked(step.run)


def _changes(record: Record, identity: Identity | None) -> str:
    assert identity is not None
    return changes(record["identity"], identity)
