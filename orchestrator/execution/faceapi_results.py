"""Writes the results of a FaceAPI split: the rows of runbook section 6, the probabilities, and what made them."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime

from faceapi.contract.probabilities import write_probabilities
from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from orchestrator.execution.faceapi_answers import unreadable_photos
from orchestrator.planning.steps import FaceApiEvaluation
from trainable.base.files import write_json, write_text
from trainable.data.tables import ImageTable
from trainable.feed.corrupt import check_corrupt
from trainable.run.manifest import artifact_digests, environment


def write_results(step: FaceApiEvaluation, table: ImageTable, result: ShardResult, *, allow_corrupt: bool) -> None:
    """Write all files of a split. The manifest goes first and comes last.

    Raises:
        TooManyCorrupt: see `check_corrupt`.
    """
    photos = unreadable_photos(result)
    check_corrupt("test", [photo.partition(": ")[0] for photo in photos], len(table), allowed=allow_corrupt)
    step.manifest.unlink(missing_ok=True)
    text = io.StringIO()
    text.write(",".join(RESULT_COLUMNS) + "\n")
    text.write(result.rows)
    write_text(step.csv, text.getvalue())
    if result.probabilities:
        write_probabilities(step.probabilities, table.paths, result.probabilities)
    else:  # a user's own script does not say them
        step.probabilities.unlink(missing_ok=True)
    record = {
        "experiment": step.name,
        "identity": step.identity,
        "csvs": {"test": str(table.csv)},
        "rows": {"test": len(table)},
        "artifacts": artifact_digests([step.csv, *([step.probabilities] if result.probabilities else [])]),
        "unreadable_images": [f"unreadable: {photo}" for photo in photos],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": result.seconds,
        **environment(),
    }
    write_json(step.manifest, record)
    shutil.rmtree(step.begun, ignore_errors=True)
