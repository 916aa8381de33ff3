"""What the history has of an experiment, and what of it may go."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.history.place import Place, Record, read_record
from trainable.run.resumption import checkpoint_notes


@dataclass(frozen=True)
class Kept:
    """One result, or the checkpoints of a training that was not finished.

    Args:
        folder: where its files are.
        record: what made it; {} where the folder does not say.
        epoch: how many epochs are trained; None for a finished result.
        when: when it was finished or, without such a record, changed last; in UTC.
        size: bytes on disk.
    """

    folder: Path
    record: Record
    epoch: int | None
    when: datetime
    size: int


def kept_results(place: Place) -> list[Kept]:
    """All that the history has of an experiment, the newest first. What is being written there just now is left out."""
    if not place.history.is_dir():
        return []
    folders = [path for path in place.history.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted((_kept(folder, place) for folder in folders), key=lambda one: (one.when, one.folder), reverse=True)


def _kept(folder: Path, place: Place) -> Kept:
    files = [path for path in folder.rglob("*") if path.is_file()]
    size, changed = sum(path.stat().st_size for path in files), max((path.stat().st_mtime for path in files), default=0)
    notes, record = checkpoint_notes(folder), read_record(folder / place.manifest.name)
    if notes:
        return Kept(folder, notes[0], notes[0]["epoch"], datetime.fromtimestamp(changed, UTC), size)
    return Kept(folder, record, None, finish_time(record) or datetime.fromtimestamp(changed, UTC), size)


def finish_time(record: Record) -> datetime | None:
    """When a result was finished; None where its record does not say."""
    try:
        when = datetime.fromisoformat(str(record.get("finished")))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def to_prune(found: Sequence[Kept], keep: int | None, older_than: float | None, now: datetime) -> list[Kept]:
    """Those of one experiment that may go, the newest first as `found`.

    Args:
        keep: the newest that stay, whatever their age; None for none.
        older_than: days; what is younger stays. None for no limit.
    """
    late = found[keep or 0 :]
    return [one for one in late if older_than is None or now - one.when > timedelta(days=older_than)]


def delete(one: Kept) -> None:
    """Delete a kept result. It is out of the history at once, should the process be killed meanwhile.

    Raises:
        OSError: a file cannot be deleted.
    """
    gone = one.folder.with_name(f".{one.folder.name}.old")
    shutil.rmtree(gone, ignore_errors=True)
    one.folder.rename(gone)
    shutil.rmtree(gone)
