"""The file that keeps what a search chose while a sweep ran, so that the same sweep has the same trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Trial
from orchestrator.sweeps.sampling import Point
from search_spaces.quantiles import Space, describe
from trainable.base.files import read_json, write_json
from trainable.cache.hashes import digest


class SearchLog:
    """The points that were chosen of one space around one default, on the data as it is now.

    Args:
        default: the default configuration's trial. Where its identity has changed, nothing has been chosen yet.
    """

    def __init__(self, default: Trial, space: Space, planner: Planner) -> None:
        key = digest({"space": describe(space), "default": default.config.identity()})[:10]
        self.path = planner.paths.trials(default.experiment) / f"optuna-{key}.json"
        self._default, self._planner = default, planner

    @property
    def points(self) -> list[Point]:
        """The chosen points, the first one first."""
        return list(self._read().get("points", ()))

    @property
    def exhausted(self) -> bool:
        """Whether the search has found nothing else in the space."""
        return bool(self._read().get("exhausted"))

    def add(self, points: Sequence[Point], *, exhausted: bool = False) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        values = {"points": [*self.points, *points], "exhausted": exhausted}
        write_json(self.path, {"identity": self._planner.identify(self._default).identity, **values})

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        found = read_json(self.path)
        if not isinstance(found, dict):
            return {}
        return found if found.get("identity") == self._planner.identify(self._default).identity else {}
