"""What an hour of the machine cost in the last run; kept beside the results, and no part of them."""

from __future__ import annotations

import math
from contextlib import suppress

from orchestrator.planning.paths import ProjectPaths
from trainable.base.files import read_json, write_json


def keep_price(paths: ProjectPaths, per_hour: float | None) -> None:
    """Remember the price of a run for the reports, or that it had none. Where that fails, reports show no cost."""
    file = paths.internal / "price.json"
    with suppress(OSError):
        file.unlink(missing_ok=True)
        if per_hour is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"per_hour": per_hour})


def kept_price(paths: ProjectPaths) -> float | None:
    """The price of the last run; None where it was given none."""
    found = read_json(paths.internal / "price.json")
    price = found.get("per_hour") if isinstance(found, dict) else None
    return price if isinstance(price, int | float) and 0 < price < math.inf else None
