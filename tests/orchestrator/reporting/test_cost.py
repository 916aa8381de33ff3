"""What a result cost, on the page: at the price of the last run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.price import keep_price, kept_price
from orchestrator.reporting.material import Notes, score_results
from orchestrator.reporting.provenance import origins
from orchestrator.reporting.results import collect


def costs(paths: ProjectPaths) -> Counter[str]:
    notes = Notes()
    return Counter(origin.cost for origin in origins(paths, score_results(paths, collect(paths, {}), notes), notes))


def test_the_page_has_the_cost_of_each_result_where_the_last_run_had_a_price(seven: Path) -> None:
    """The five MobileNet results by hand took 61.25 s, those of FaceAPI 12 s."""
    paths = ProjectPaths(seven, seven)
    assert costs(paths) == {"": 7}
    keep_price(paths, 3600.0)
    of_all = "at 3,600.00 an hour of the whole machine"
    assert costs(paths) == {f"at most 61.25, {of_all}": 5, f"at most 12.00, {of_all}": 2}
    keep_price(paths, None)
    assert costs(paths) == {"": 7}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"per_hour": "dear"}', '{"per_hour": NaN}', '{"per_hour": -1}', "가격"]
)
def test_a_file_that_holds_no_price_is_none(text: str, tmp_path: Path) -> None:
    paths = ProjectPaths(tmp_path, tmp_path)
    keep_price(paths, 2.5)
    assert kept_price(paths) == 2.5
    (paths.internal / "price.json").write_text(text, encoding="utf-8")
    assert kept_price(paths) is None


def test_a_price_that_cannot_be_kept_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / ".emosweep").write_text("", encoding="utf-8")
    paths = ProjectPaths(tmp_path, tmp_path)
    keep_price(paths, 2.5)
    assert kept_price(paths) is None
