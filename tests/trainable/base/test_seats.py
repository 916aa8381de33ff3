"""The trials on a node of a cluster divide its CPUs: none is idle, and what a dead process had is free again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from trainable.base.seats import Seats, seats_of

SITS = """
import sys
from pathlib import Path
from trainable.base.seats import Seats
seats = Seats(Path(sys.argv[1]), int(sys.argv[2]))
seats.take()
print("sits", flush=True)
for _ in sys.stdin:
    print(Seats(Path(sys.argv[1]), int(sys.argv[2]))(), flush=True)
"""


class Sitting:
    """Another process that has a seat."""

    def __init__(self, folder: Path, cpus: int) -> None:
        line = [sys.executable, "-c", SITS, str(folder), str(cpus)]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "sits"

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def threads(self) -> int:
        assert self.process.stdin is not None
        print("how many?", file=self.process.stdin, flush=True)
        return int(self.answer())

    def die(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def sitting(count: int, folder: Path, cpus: int) -> Iterator[list[Sitting]]:
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            found.append(Sitting(folder, cpus))
            stack.callback(found[-1].die)
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "seats"


def test_all_cpus_are_given_away_and_none_twice(node: Path) -> None:
    own = Seats(node, 4)
    own.take()
    with sitting(2, node, 4) as others:
        threads = [Seats(node, 4)(), *(other.threads() for other in others)]
        assert sorted(threads) == [1, 1, 2]
        others[0].die()  # without a word
        assert [Seats(node, 4)(), others[1].threads()] == [2, 2]
        own.leave()
        assert others[1].threads() == 4


def test_more_trials_than_cpus_have_a_thread_each(node: Path) -> None:
    Seats(node, 2).take()
    with sitting(2, node, 2) as others:
        assert sorted([Seats(node, 2)(), *(other.threads() for other in others)]) == [1, 1, 1]


def test_a_seat_is_taken_again_after_a_pause_and_taking_it_twice_is_one(node: Path) -> None:
    own = Seats(node, 3)
    with sitting(1, node, 3) as (other,):
        for _ in range(2):
            own.take()
            own.take()
            assert sorted([Seats(node, 3)(), other.threads()]) == [1, 2]
            own.leave()
            own.leave()
            assert other.threads() == 3
    own.take()
    own.leave()
    assert [file.name for file in node.iterdir()] == [f"{other.process.pid:010}"], "what a killed process had"


def test_who_leaves_last_leaves_nothing(node: Path) -> None:
    own = Seats(node, 3)
    own.leave()
    own.take()
    assert list(node.iterdir())
    own.leave()
    assert not node.exists()
    assert own() == 3


def test_nodes_on_one_machine_do_not_share() -> None:
    assert seats_of("a") != seats_of("b")
