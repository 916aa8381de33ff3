"""Whether the CSVs of a result are still those that it was made from; image contents are not read for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.planning.paths import ProjectPaths
from search_spaces.runbook import Experiment
from trainable.data.files import ImageFiles
from trainable.data.tables import read_table
from trainable.run.identity import table_digests


class TodaysInputs:
    """The CSVs of a project as they are today, each read once."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths, self._files = paths, ImageFiles(paths.root)
        self._digest = cache(self._digest_of)

    def changed(self, experiment: Experiment, manifest: Mapping[str, Any]) -> dict[str, Path]:
        """The parts whose rows, labels or boxes are not those of the manifest, as `plan` compares them too.

        A part whose digest the manifest does not have is left out, and so is a CSV that cannot be read or names images
        that are not there: of them nobody knows.
        """
        csvs = {"test": self._paths.faceapi_csv(experiment.split)}
        if experiment.trains:
            csvs = self._paths.training_csvs(experiment.split)
        return {
            part: csv
            for part, csv in csvs.items()
            if (before := _recorded(manifest, part)) and self._digest(csv, not experiment.trains) not in (before, "")
        }

    def _digest_of(self, csv: Path, boxes: bool) -> str:
        table, problems = read_table(csv, self._paths.root, boxes=boxes, files=self._files)
        return "" if problems else table_digests(table)["rows"]


def _recorded(manifest: Mapping[str, Any], part: str) -> str:
    """The digest of a part's rows in a manifest; "" where it has none."""
    found: Any = manifest
    for key in ("identity", "data", part, "rows"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""
