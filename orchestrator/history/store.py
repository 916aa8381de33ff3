"""Moving results between their place and the history.

A folder with a manifest holds a whole result: in both places the manifest comes last and goes first, and nothing is
deleted in one place before it is whole in the other. So a process that is killed at any instant leaves each result
whole in at least one of them; `recover` clears away what is left of the other. Files get a second name instead of being
copied where the disk can do that, so that a full disk is no obstacle.
"""

from __future__ import annotations

import errno
import filecmp
import shutil
from pathlib import Path

from orchestrator.history.place import Place, read_record
from trainable.base.files import replacing, write_json
from trainable.run.identity import Identity, differences
from trainable.run.kept_aside import keep_aside
from trainable.run.resumption import checkpoint_notes, find_checkpoint


def make_way(place: Place, identity: Identity) -> list[str]:
    """Move what is in place and of another identity to the history, and checkpoints of `identity` back.

    Returns:
        A clause for each result or checkpoint that was moved: what replaces what.

    Raises:
        OSError: something cannot be moved. It is whole where it was.
    """
    recover(place)
    told = []
    current = place.current
    if current and current["identity"] != identity:
        _put_away(place, current["identity"])
        told.append(f"the result before is kept in the history ({changes(current['identity'], identity)})")
    return [*told, *_exchange_checkpoints(place, identity)]


def bring_back(place: Place, identity: Identity) -> list[str]:
    """Move the whole result of `identity` from the history to its place; what is there goes to the history.

    Returns:
        Clauses: what replaces what.

    Raises:
        OSError: something cannot be moved. Each result is whole in one of the two places.
    """
    told = make_way(place, identity)
    entry, manifest = place.entry(identity), place.manifest
    if place.unfinished is not None and not place.current:
        keep_aside(manifest.parent)  # what another program left there
    write_json(place.journal, {"identity": identity})
    manifest.unlink(missing_ok=True)
    for file in place.files:
        if (entry / file.name).is_file():
            _second_name(entry / file.name, file)
        else:
            file.unlink(missing_ok=True)
    _second_name(entry / manifest.name, manifest)
    place.journal.unlink()
    _discard(entry, manifest.name)
    return ["restored from the history", *told]


def recover(place: Place) -> None:
    """Clear away what a process that was killed while it moved a result has left in place.

    Raises:
        OSError: a file cannot be deleted.
    """
    identity = read_record(place.journal).get("identity", {})
    if not place.manifest.is_file() and place.kept(identity):
        entry = place.entry(identity)
        for file in place.files:
            if file.is_file() and (entry / file.name).is_file() and filecmp.cmp(file, entry / file.name, shallow=False):
                file.unlink()
    place.journal.unlink(missing_ok=True)


def forget_unfinished(place: Place, identity: Identity) -> None:
    """`--fresh`: delete the checkpoints of `identity`. Those of others are in the history since `make_way`."""
    if place.unfinished is None:
        return
    for folder in (place.unfinished, place.unfinished_entry(identity)):
        shutil.rmtree(folder, ignore_errors=True)


def changes(before: Identity, after: Identity) -> str:
    """What differs between two identities, in words for a user."""
    return "; ".join(text.replace("data.", "", 1) for text in differences(before, after)) or "the same recipe and data"


def _put_away(place: Place, identity: Identity) -> None:
    """Move the result in place, which `identity` made, to the history. An older one of the same identity goes."""
    entry = place.entry(identity)
    new = entry.with_name(f".{entry.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for file in (*place.files, place.manifest):
        if file.is_file():
            _second_name(file, new / file.name)
    _discard(entry, place.manifest.name)
    new.rename(entry)
    write_json(place.journal, {"identity": identity})
    for file in (place.manifest, *place.files):
        file.unlink(missing_ok=True)
    place.journal.unlink()


def _exchange_checkpoints(place: Place, identity: Identity) -> list[str]:
    """Put the checkpoints of another identity into the history, and those of `identity` back where none are in
    place."""
    folder = place.unfinished
    if folder is None or find_checkpoint(folder, identity).file is not None:
        return []
    told, notes = [], checkpoint_notes(folder)
    if notes and notes[0]["identity"] != identity:
        other = notes[0]["identity"]
        _move_folder(folder, place.unfinished_entry(other))
        told.append(f"checkpoints after epoch {notes[0]['epoch']} are kept in the history ({changes(other, identity)})")
    kept = place.unfinished_entry(identity)
    if find_checkpoint(kept, identity).file is not None:
        _move_folder(kept, folder)
        told.append("its checkpoint is restored from the history")
    return told


def _move_folder(folder: Path, target: Path) -> None:
    """Give a folder another name in one step; what has that name is less, and goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        new, old = target.with_name(f".{target.name}.new"), folder.with_name(f".{folder.name}.old")
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(folder, new)  # to another disk, as where `runs` is a link
        new.rename(target)
        folder.rename(old)
        shutil.rmtree(old)


def _second_name(file: Path, target: Path) -> None:
    """The same content under another name, which appears whole or not at all."""
    with replacing(target) as temporary:
        try:
            temporary.hardlink_to(file)
        except OSError:  # another disk, or one that knows no such names
            shutil.copyfile(file, temporary)


def _discard(entry: Path, manifest: str) -> None:
    """Delete a kept result. Without its manifest it is none, whatever of it is still there."""
    (entry / manifest).unlink(missing_ok=True)
    if entry.is_dir():
        shutil.rmtree(entry)
