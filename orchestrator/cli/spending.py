"""The options that say what a run may take: a price for the machine, and a budget of time or money."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from trainable.base.command_line import option
from trainable.base.errors import ConfigError

BUDGET = Group("Budget", sort_key=2.5)


@dataclass(frozen=True)
class Budget:
    """What a command may take.

    Args:
        said: as it was given.
        seconds: on the clock, from the command's start on.
        is_money: it was given as an amount, which the price has made a time.
    """

    said: str
    seconds: float
    is_money: bool


@Parameter(name="*", group=BUDGET)
@dataclass(frozen=True, kw_only=True)
class Spending:
    """What an hour costs, and how much a run may take."""

    price_per_hour: Annotated[
        float | None,
        option(
            "Price of the whole machine or cluster, any currency.", metavar="PRICE", allow_leading_hyphen=True
        ),  # a price below 0 is refused as a price
    ] = None
    budget: Annotated[
        str | None,
        option(
            "Time (3h, 90m) or money (20). Experiments that need more are refused; a sweep ends when it is spent.",
            metavar="LIMIT",
            allow_leading_hyphen=True,
        ),
    ] = None

    def cost(self, seconds: float) -> float:
        """What so many seconds of the machine cost; 0 without a price."""
        return seconds / 3600 * (self.price_per_hour or 0.0)

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; None without one."""
        return self.limit.seconds if self.limit is not None else None

    @property
    def deadline(self) -> float | None:
        """When the budget is spent if the command starts now, of `time.monotonic`. See `limit`."""
        limit = self.limit
        return None if limit is None else time.monotonic() + limit.seconds

    @property
    def limit(self) -> Budget | None:
        """The budget as a time on the clock; None without one.

        Raises:
            ConfigError: price or budget is not above 0, or money has no price.
        """
        price, said = self.price_per_hour, self.budget
        if price is not None and not 0 < price < math.inf:
            raise ConfigError(f"--price-per-hour must be more than 0, not {price:g}")
        if said is None:
            return None
        seconds = _seconds(said)
        is_money = seconds is None
        if seconds is None:
            money = _money(said)
            if price is None:
                raise ConfigError(
                    f"--budget {said}: an amount of money needs --price-per-hour; a time needs a unit: 3h, 90m or 1h30m"
                )
            seconds = 3600 * money / price
        if not 0 < seconds < math.inf:
            raise ConfigError(f"--budget {said}: must be more than 0")
        return Budget(said, seconds, is_money)


def _seconds(text: str) -> float | None:
    """The seconds of "90m", "1h30m" or "5400s"; None for what is no time."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().replace(" ", ""), re.ASCII)
    if not found or not any(found.groups()):
        return None
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return 3600.0 * hours + 60 * minutes + rest


def _money(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text.strip(), re.ASCII):
        raise ConfigError(f"--budget {text}: must be a time such as 3h, 90m or 1h30m, or an amount of money such as 20")
    return float(text)
