"""The row that looks at the memory of trials on Ray, on a small project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.ray
@pytest.mark.nightly
def test_a_second_trial_in_a_process_of_its_own_adds_little(measured: Callable[[str, int], dict[str, Any]]) -> None:
    found = measured("memory", 4)
    assert found["first"] > found["mib"][0], "who comes first computes the features"
    assert found["mib"][0] < 50
