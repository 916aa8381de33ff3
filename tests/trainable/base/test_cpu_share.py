"""A run reads how many CPUs are its own, and keeps what it has where nobody can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainable.base import cpu_share
from trainable.base.cpu_share import CpuShare
from trainable.base.files import write_json

RUN = Path("/output/기쁨")


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests wait for nothing."""
    monkeypatch.setattr(cpu_share, "LOOK_AGAIN_SECONDS", 0.0)


def test_without_a_file_it_is_what_was_given() -> None:
    assert CpuShare(None, RUN, 3)() == 3


def test_it_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cpus.json"
    share = CpuShare(file, RUN, 1)
    assert share() == 1, "no file yet"
    for number, threads in enumerate((2, 8, 1)):
        write_json(file, {str(RUN): threads, "/other": 5, "n": number})
        assert share() == threads
    write_json(file, {"/other": 5})
    assert share() == 1, "it is not named there"


def test_a_file_that_has_gone_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cpus.json"
    write_json(file, {str(RUN): 4})
    share = CpuShare(file, RUN, 1)
    assert share() == 4
    file.unlink()
    assert share() == 4


@pytest.mark.parametrize("value", [0, -1, "2", None, [2]])
def test_what_is_no_number_of_threads_is_not_taken(value: Any, tmp_path: Path) -> None:
    file = tmp_path / "cpus.json"
    write_json(file, {str(RUN): value})
    assert CpuShare(file, RUN, 3)() == 3
    file.write_text("{", encoding="utf-8")
    assert CpuShare(file, RUN, 3)() == 3


def test_it_does_not_read_each_time_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_share, "LOOK_AGAIN_SECONDS", 1e6)
    file = tmp_path / "cpus.json"
    write_json(file, {str(RUN): 4})
    share = CpuShare(file, RUN, 1)
    assert share() == 4
    write_json(file, {str(RUN): 2})
    assert share() == 4
