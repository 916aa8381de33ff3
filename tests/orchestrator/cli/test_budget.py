"""`--price-per-hour` and `--budget`: what plan says, and what run-all refuses before it starts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from by_hand import Cli, changes, listing
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.hours import Outlook, check_budget
from orchestrator.cli.spending import Spending
from orchestrator.sweeps.estimate import Job
from orchestrator.sweeps.rates import Rates
from orchestrator.sweeps.speed import Speed
from trainable.base.errors import ConfigError
from trainable.base.limits import usable_cpus
from trainable.cache.folder import cache_root

PRICES = st.floats(1e-3, 1e6)
HOUR = Job("finetune_M1", 1, {"3": 3600.0})
SPEED = Speed(slots=1, images_per_second=1.0, device="cpu")


@given(PRICES, st.floats(1e-3, 1e3), st.floats(0, 1e9))
def test_the_cost_is_linear_in_price_and_time(price: float, factor: float, seconds: float) -> None:
    cost = Spending(price_per_hour=price).cost(seconds)
    assert Spending(price_per_hour=factor * price).cost(seconds) == pytest.approx(factor * cost)
    assert Spending(price_per_hour=price).cost(factor * seconds) == pytest.approx(factor * cost)


@given(PRICES, st.integers(1, 10**6))
def test_a_budget_of_money_is_the_time_that_costs_so_much(price: float, money: int) -> None:
    spending = Spending(price_per_hour=price, budget=f"{money}")
    assert spending.limit is not None
    assert spending.cost(spending.limit.seconds) == pytest.approx(money)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3h", 10800), ("90m", 5400), ("1h30m", 5400), ("5400s", 5400), (" 1h 1s ", 3601)]
)
def test_a_budget_of_time_needs_no_price_and_begins_with_the_command(text: str, seconds: int) -> None:
    for price in (None, 7.0):
        spending = Spending(price_per_hour=price, budget=text)
        assert spending.limit is not None and spending.limit.seconds == seconds
        before, deadline, after = time.monotonic(), spending.deadline, time.monotonic()
        assert deadline is not None and before + seconds <= deadline <= after + seconds


def test_experiments_that_need_more_than_the_budget_are_refused_and_sweeps_are_not() -> None:
    outlook = Outlook([HOUR], [HOUR] * 9, [HOUR] * 9, Rates("cpu", speed=SPEED), slots=1)
    check_budget(outlook, Spending())
    check_budget(outlook, Spending(budget="1h"))
    check_budget(outlook, Spending(budget="12", price_per_hour=12.0))
    for spending in (Spending(budget="59m"), Spending(budget="11.9", price_per_hour=12.0)):
        with pytest.raises(ConfigError, match="the experiments that are left need about"):
            check_budget(outlook, spending)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose remembered speed is an image in 10 seconds, so that nothing is measured."""
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))
    cache_root().mkdir(parents=True)
    known = {"slots": 2, "images_per_second": 0.1, "device": "cpu"}
    speeds = {f"8 images, {usable_cpus()} CPUs": known}
    (cache_root() / "speed.json").write_text(json.dumps(speeds), encoding="utf-8")


def arguments(root: Path, *more: object) -> tuple[object, ...]:
    return ("--project-root", root, "--only", "finetune_M1", "--weights", "none", "--batch", 8, "--epochs", 30, *more)


@pytest.mark.usefixtures("slow")
def test_plan_says_time_and_twice_the_cost_for_twice_the_price(shared_project: Path, cli: Cli) -> None:
    assert "cost:" not in cli("plan", *arguments(shared_project)).stdout
    costs = []
    for price in (400, 800):
        out = cli("plan", *arguments(shared_project, "--price-per-hour", price)).stdout
        assert "time: about " in out and "from this machine's measured speed on cpu" in out
        costs.append(float(re.findall(r"cost: about ([\d.,]+) \(", out)[0].replace(",", "")))
    assert costs[1] == pytest.approx(2 * costs[0], abs=0.02) and costs[0] > 1


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("command", ["plan", "run-all"])
@pytest.mark.parametrize(
    ("budget", "said"),
    [(("--budget", "1m"), "--budget 1m: "), (("--budget", 2, "--price-per-hour", 60), "--budget 2 (2:00 at 60.00 an ")],
)
def test_too_little_is_refused_with_both_numbers(
    command: str, budget: tuple[object, ...], said: str, shared_project: Path, tmp_path: Path, cli: Cli
) -> None:
    before = listing(tmp_path)
    done = cli(command, *arguments(shared_project, "--output-root", tmp_path / "output", *budget))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"error: {said}")
    assert re.search(r"need about [\d.,]+( min|:|h| \()", done.stderr) and "--only" in done.stderr
    assert {name for name in changes(before, listing(tmp_path)) if name.startswith("output")} == set()
