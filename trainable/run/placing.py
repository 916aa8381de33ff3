"""How the results of a finished run come into its folder: whole, and the manifest last (no torch)."""

from __future__ import annotations

import shutil
from typing import Any

from trainable.base.files import write_json
from trainable.base.paths import RunPaths
from trainable.run.kept_aside import keep_aside, mark_as_own
from trainable.run.manifest import artifact_digests


def new_results(paths: RunPaths) -> RunPaths:
    """An empty place for the results of a run, on the disk of its folder, until `put_in_place` moves them."""
    new = RunPaths(paths.checkpoints / "results")
    shutil.rmtree(new.out, ignore_errors=True)
    return new


def put_in_place(paths: RunPaths, manifest: dict[str, Any]) -> str:
    """Move whole results to their place, the manifest last; what this run does not have is removed there.

    Returns:
        A sentence about earlier results that were moved aside; "" where there were none.
    """
    new, note = RunPaths(paths.checkpoints / "results"), ""
    kept = keep_aside(paths.out, manifest["identity"])
    if kept is not None:
        note = f"earlier results of other data, configuration or another program are kept in {kept.name}"
        manifest = {**manifest, "notes": [*manifest.get("notes", []), note]}
    write_json(new.manifest, {**manifest, "artifacts": artifact_digests(new.files)})
    mark_as_own(paths.out, manifest["identity"])
    paths.manifest.unlink(missing_ok=True)
    for source, target in zip((*new.files, new.manifest), (*paths.files, paths.manifest), strict=True):
        if source.exists():
            source.replace(target)
        else:
            target.unlink(missing_ok=True)
    paths.owner.unlink()  # first, since the planner takes results with this mark for unfinished
    shutil.rmtree(paths.checkpoints, ignore_errors=True)
    return note
