"""Figures as the runbook writes them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator.reporting.formats import duration, percent, score


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0, "0 s"), (41.4, "41 s"), (59.4, "59 s"), (59.6, "1:00"), (60.0, "1:00"), (61.2, "1:01"),
     (599.7, "10:00"), (3599.7, "1:00:00"), (3723.0, "1:02:03"), (36000.0, "10:00:00")],
)  # fmt: skip
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_figures_as_the_runbook_writes_them() -> None:
    assert (score(0.46174), score(1.0), score(None)) == ("0.4617", "1.0000", "–")
    assert (percent(0.42071), percent(1.0), percent(0.0), percent(None)) == ("42.07%", "100.00%", "0.00%", "–")


def test_the_tables_of_plan_load_neither_pandas_nor_scikit_learn() -> None:
    """`plan` answers in well under a second; results, which need both, come later."""
    code = "import json, sys, orchestrator.cli.app, orchestrator.cli.plan_table, orchestrator.reporting.formats\n"
    code += "print(json.dumps([name for name in ('pandas', 'sklearn', 'numpy') if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
