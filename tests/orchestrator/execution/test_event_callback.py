"""What Tune's callbacks become: an interrupted training has not finished, whatever Tune says of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.execution.dispatch import EventCallback
from orchestrator.execution.events import NoEvents


class Heard(NoEvents):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def finished(self, name: str) -> None:
        self.events.append(("finished", name))

    def epoch(self, name: str, row: Any) -> None:
        self.events.append(("epoch", name, row["gpus"]))


def callback() -> tuple[EventCallback, Heard]:
    heard = Heard()
    waiting = SimpleNamespace(over=lambda name: True)
    dispatcher: Any = SimpleNamespace(events=heard, stopped={}, waiting=waiting)  # Tune's side of it is not needed
    return EventCallback(dispatcher), heard


def trial(**result: Any) -> Any:
    """A trial as Tune keeps it, `done` being set of all that it stops."""
    config = {"job": {"experiment": "probe_M1"}, "resources": {"CPU": 1.0, "GPU": 0.5}}
    return SimpleNamespace(config=config, last_result={**result, "done": True})


@pytest.mark.parametrize(
    ("result", "events"),
    [({"epoch": 10, "epochs": 10}, [("finished", "probe_M1")]), ({"epoch": 3, "epochs": 10}, []), ({}, [])],
)
def test_only_a_training_after_its_last_epoch_has_finished(result: dict[str, Any], events: list[Any]) -> None:
    ours, heard = callback()
    ours.on_trial_complete(1, [], trial(**result))
    assert heard.events == events


def test_an_epoch_says_what_of_a_gpu_the_training_has() -> None:
    ours, heard = callback()
    ours.on_trial_result(1, [], trial(), {"epoch": 1})
    assert heard.events == [("epoch", "probe_M1", 0.5)]
