"""Who may use which CPUs at the moment."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.cpu_shares import CpuShares, divided
from orchestrator.execution.entries import Entry, Limits
from orchestrator.execution.queue import TrainingQueue
from trainable.base.errors import Failure
from trainable.base.files import read_json
from trainable.run.history import TrialHistory

ONE = Request(Share(1, 0.0))


@given(st.integers(1, 64), st.lists(st.integers(1, 4), max_size=20))
def test_no_cpu_is_idle_and_none_is_given_twice(cpus: int, asked: list[int]) -> None:
    active = {f"t{number}": Request(Share(count, 0.0)) for number, count in enumerate(asked)}
    found = divided(cpus, active)
    assert found.keys() == active.keys()
    assert all(found[name] >= request.share.cpus for name, request in active.items())
    extra = [found[name] - request.share.cpus for name, request in active.items()]
    if active:
        assert sum(found.values()) == max(cpus, sum(asked))
        assert max(extra) - min(extra) <= 1


def test_the_file_follows_the_queue(tmp_path: Path) -> None:
    """Four trainings on four CPUs of which two run, one fails for good, one is tried again, and all end."""
    entries = [Entry(name, work, ONE) for name, work in (("a", 4.0), ("b", 3.0), ("c", 2.0), ("d", 1.0))]
    queue = TrainingQueue(entries, {}, Limits(Cluster(((4, 0.0),)), max_concurrent=2))
    shares = CpuShares(tmp_path / "cpus.json", 4, lambda name: Path("/runs") / name)
    shares.queue = queue

    def told() -> dict[str, int]:
        return {Path(folder).name: threads for folder, threads in (read_json(shares.file) or {}).items()}

    def start() -> None:
        name = queue.next()
        assert name is not None
        queue.started(name)
        shares.started(name)

    history = TrialHistory.of_rows([])
    start()
    assert told() == {"a": 4}
    start()
    assert told() == {"a": 2, "b": 2}
    assert queue.failed("a", final=False)
    shares.retried("a", Failure("lost"))
    assert told() == {"b": 4}
    start()
    assert told() == {"a": 2, "b": 2}
    assert not queue.failed("b", final=True)
    shares.failed("b", Failure("broken"))
    assert told() == {"a": 4}
    start()
    queue.completed("a", history)
    shares.finished("a")
    shares.finished("faceapi_M1")  # an evaluation, which the queue does not know
    assert told() == {"c": 4}
    start()
    queue.ended("d")
    shares.stopped("d", "worse", None)
    assert told() == {"c": 4}
    queue.completed("c", history)
    shares.finished("c")
    assert told() == {}
