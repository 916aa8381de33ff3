"""How a cluster is divided among trials: all of it is used, and nothing is promised twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.execution.allocation import Allocator, memory_requests, peak_bytes
from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.hardware import Hardware
from orchestrator.planning.steps import Run, TrainingStep, Trial
from search_spaces.runbook import Experiment, Published
from trainable.base.config import Mode, TrainConfig
from trainable.base.errors import ConfigError
from trainable.base.paths import RunPaths

Nodes = tuple[tuple[int, float], ...]


def at_once(nodes: Nodes, share: Share) -> int:
    """How many trials of this size the nodes hold at a time; a trial cannot be spread over nodes."""
    return sum(
        min(cpus // share.cpus, int(gpus / share.gpus + 1e-9) if share.gpus else cpus)
        for cpus, gpus in nodes
        if gpus >= share.gpus
    )


@pytest.mark.parametrize(
    ("nodes", "trials", "cpus"),
    [
        pytest.param(((2, 0),), 5, 1, id="two-cores-five-trials"),
        pytest.param(((2, 0),), 1, 2, id="two-cores-one-trial"),
        pytest.param(((1, 0),), 5, 1, id="one-core"),
        pytest.param(((16, 0),), 5, 3, id="sixteen-cores-five-trials"),
        pytest.param(((16, 0),), 1, 16, id="one-trial-takes-all"),
        pytest.param(((16, 0),), 16, 1, id="as-many-as-cores"),
        pytest.param(((8, 0), (8, 0)), 2, 8, id="a-node-each"),
        pytest.param(((8, 0), (8, 0)), 1, 8, id="never-more-than-a-node-has"),
        pytest.param(((12, 0), (2, 0)), 2, 6, id="two-on-the-large-node"),
        pytest.param(((12, 0), (2, 0)), 5, 2, id="uneven-nodes"),
        pytest.param(((0, 0), (8, 0)), 2, 4, id="a-head-node-without-cpus"),
    ],
)
def test_cpus_are_shared_out(nodes: Nodes, trials: int, cpus: int) -> None:
    assert Cluster(nodes).share(trials, "auto", None, None) == Share(cpus, 0.0)


@pytest.mark.parametrize(
    ("nodes", "trials", "part", "expected"),
    [
        pytest.param(((16, 1),), 5, None, Share(16, 1.0), id="one-gpu-takes-one-trial-and-all-cpus"),
        pytest.param(((16, 1),), 5, 0.5, Share(8, 0.5), id="half-a-gpu-each"),
        pytest.param(((16, 1),), 5, 0.25, Share(4, 0.25), id="a-quarter-each"),
        pytest.param(((16, 1),), 2, 0.25, Share(8, 0.25), id="fewer-trials-than-parts"),
        pytest.param(((64, 8),), 5, None, Share(12, 1.0), id="eight-gpus-five-trials"),
        pytest.param(((4, 8),), 5, None, Share(1, 1.0), id="more-gpus-than-cpus"),
        pytest.param(((32, 0), (8, 2)), 5, None, Share(4, 1.0), id="cpus-of-nodes-without-gpu-do-not-count"),
        pytest.param(((8, 1), (4, 1)), 5, None, Share(4, 1.0), id="uneven-gpu-nodes"),
        pytest.param(((16, 2),), 3, 2.0, Share(16, 2.0), id="two-gpus-a-trial"),
    ],
)
def test_gpus_are_shared_out(nodes: Nodes, trials: int, part: float | None, expected: Share) -> None:
    share = Cluster(nodes).share(trials, "auto", None, part)
    assert share == expected
    assert share.device == "cuda"


def test_cpu_training_beside_idle_gpus_on_request() -> None:
    cluster = Cluster(((8, 2.0),))
    assert cluster.share(2, "cpu", None, None) == cluster.share(2, "auto", None, 0.0) == Share(4, 0.0)
    assert cluster.share(2, "cpu", None, None).device == "cpu"


def test_what_was_asked_for_is_given() -> None:
    assert Cluster(((8, 0),)).share(1, "auto", 3, None) == Share(3, 0.0)
    assert Cluster(((8, 2),)).share(1, "cuda", 2, 0.5) == Share(2, 0.5)


@pytest.mark.parametrize(
    ("nodes", "device", "cpus", "gpus", "words"),
    [
        pytest.param(((8, 0),), "cuda", None, None, "--device cuda: no node .* has a GPU", id="no-gpu"),
        pytest.param(((8, 0),), "auto", None, 0.5, "--gpus-per-trial 0.5: there is no GPU", id="part-of-no-gpu"),
        pytest.param(((8, 2),), "cpu", None, 1.0, "--gpus-per-trial 1: there is no GPU", id="a-gpu-for-the-cpu"),
        pytest.param(((8, 2),), "auto", None, 3.0, "--gpus-per-trial 3: no node has as many", id="too-many-gpus"),
        pytest.param(((8, 1), (8, 1)), "auto", None, 2.0, "--gpus-per-trial 2: no node has as many", id="over-nodes"),
        pytest.param(((8, 0),), "auto", 9, None, "--cpus-per-trial 9: .* more than 8 CPUs", id="too-many-cpus"),
        pytest.param(((8, 0), (8, 0)), "auto", 16, None, "--cpus-per-trial 16: .* more than 8", id="cpus-over-nodes"),
        pytest.param(((32, 0), (4, 1)), "auto", 8, None, "--cpus-per-trial 8: .* more than 4", id="cpus-of-gpu-nodes"),
        pytest.param(((0, 0),), "auto", None, None, "no node has a CPU", id="no-cpu-at-all"),
        pytest.param(((8, 0), (0, 1)), "auto", None, None, "no node with a GPU has a CPU", id="no-cpu-beside-the-gpu"),
    ],
)
def test_wishes_that_no_node_can_meet(nodes: Nodes, device: str, cpus: int, gpus: float, words: str) -> None:
    """Tune would wait for such a node for ever."""
    with pytest.raises(ConfigError, match=words):
        Cluster(nodes).share(5, device, cpus, gpus)


sizes = st.lists(st.integers(0, 64), min_size=1, max_size=4).filter(any)


@given(sizes, st.integers(1, 20))
def test_cpus_no_trial_could_have_more_without_another_waiting(cpus: list[int], trials: int) -> None:
    nodes = tuple((count, 0.0) for count in cpus)
    share = Cluster(nodes).share(trials, "auto", None, None)
    running = min(trials, at_once(nodes, share))
    assert running == min(trials, sum(cpus)), "a trial waits although there is a CPU for it"
    larger = Share(share.cpus + 1, 0.0)
    assert at_once(nodes, larger) < running, "CPUs are left idle"


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(0, 8)), min_size=1, max_size=4), st.integers(1, 20),
       st.sampled_from([None, 1.0, 0.5, 0.25, 0.2, 0.1]))  # fmt: skip
def test_every_gpu_has_a_trial_while_there_are_trials(
    nodes: list[tuple[int, int]], trials: int, part: float | None
) -> None:
    cluster = Cluster(tuple((cpus, float(gpus)) for cpus, gpus in nodes))
    if not cluster.gpus:
        return
    share = cluster.share(trials, "auto", None, part)
    assert share.gpus == (part or 1.0)
    fit = sum(min(cpus, round(gpus / share.gpus)) for cpus, gpus in nodes)
    assert min(trials, at_once(cluster.nodes, share)) == min(trials, fit)


def steps(count: int, batch: int = 128, rows: int = 468, mode: Mode = "finetune") -> list[TrainingStep]:
    config = TrainConfig(mode, 30, 1e-3, 1e-4, batch=batch)
    experiments = [Experiment(f"any{n}", "M1", mode, "any", Published(0.0)) for n in range(count)]
    run = RunPaths(Path("any"))
    return [Run(experiment=experiment, rows=(rows, 67, 134), config=config, run=run) for experiment in experiments]


def trials(count: int, batch: int = 128) -> list[TrainingStep]:
    return [
        Trial(experiment=step.experiment, rows=step.rows, config=step.config, run=step.run, number=1)
        for step in steps(count, batch)
    ]


Asked = list[tuple[int, int]]
"""Batches and numbers of trials."""


def auto(asked: Asked, pay: int, nodes: Nodes = ((16, 1.0),), **wishes: Any) -> Allocator:
    """On a GPU on which `pay` trials at once would pay."""

    def measure(step: TrainingStep, most: int) -> int:
        asked.append((step.config.batch, most))
        return min(pay, most)

    return Allocator(Cluster(nodes), Hardware(gpus_per_trial="auto", **wishes), measure)


def test_auto_takes_what_was_measured() -> None:
    asked: Asked = []
    assert auto(asked, pay=4).share(steps(5)) == Share(4, 0.25), "five trials, four at once"
    assert asked == [(128, 5)]


def test_auto_measures_again_only_what_it_does_not_know() -> None:
    asked: Asked = []
    shares = auto(asked, pay=4)
    assert [shares.share(steps(trials)).gpus for trials in (2, 21, 80, 3)] == [1 / 2, 1 / 4, 1 / 4, 1 / 3]
    assert asked == [(128, 2), (128, 16)], "two were all that was asked about at first; then it ended by itself"
    assert shares.share(steps(21, 1024)).gpus == 1 / 4 and asked[-1] == (1024, 16)
    assert shares.share(steps(21, rows=9000)).gpus == 1 / 4 and len(asked) == 4, "other data"


def test_auto_measures_the_trial_that_takes_most_memory() -> None:
    measured: list[TrainingStep] = []

    def measure(step: TrainingStep, most: int) -> int:
        measured.append(step)
        return 1

    shares = Allocator(Cluster(((16, 1.0),)), Hardware(gpus_per_trial="auto"), measure)
    (probe,), (short,), (long,), (small,) = (
        steps(1, 1024, 9000, "probe"), steps(1, 1024, 468), steps(1, 1024, 957), steps(1, 128, 2000),
    )  # fmt: skip
    shares.share([probe, short, long, small])
    shares.share([probe, small])
    assert measured == [long, small]


def test_auto_needs_no_measurement_for_one_trial_or_without_a_gpu() -> None:
    asked: Asked = []
    assert auto(asked, pay=4).share(steps(1)).gpus == 1.0
    assert auto(asked, pay=4, nodes=((4, 0.0),)).share(steps(5)) == Share(1, 0.0)
    assert auto(asked, pay=4, device="cpu").share(steps(5)).gpus == 0.0
    assert not asked


# -- memory


def test_trainings_that_fit_together_ask_for_no_memory() -> None:
    """Those that ask for different amounts cannot follow each other in one process."""
    need = peak_bytes(steps(1)[0])
    roomy, tight = Cluster(((2, 0.0),), (2 * need,)), Cluster(((2, 0.0),), (2 * need - 1,))
    assert memory_requests(steps(5), roomy, Share(1, 0.0)) == {}
    assert memory_requests(steps(5), tight, Share(1, 0.0)) == {step.name: need for step in steps(5)}


def test_the_larger_of_two_batches_decides() -> None:
    small, large = steps(1)[0], steps(2, batch=468)[1]
    assert peak_bytes(large) > peak_bytes(small)
    both = Cluster(((2, 0.0),), (peak_bytes(small) + peak_bytes(large),))
    assert memory_requests([small, large], both, Share(1, 0.0)) == {}
    assert set(memory_requests([large, small], Cluster(both.nodes, (both.memory[0] - 1,)), Share(1, 0.0)))


def test_a_training_larger_than_any_node_asks_for_the_memory_of_the_largest() -> None:
    cluster = Cluster(((2, 0.0), (2, 0.0)), (1000, 2000))
    assert set(memory_requests(steps(3), cluster, Share(1, 0.0)).values()) == {2000}


def test_a_probe_needs_a_process_and_no_activations() -> None:
    """The memory of a probe, whatever its batch is."""
    assert (
        peak_bytes(steps(1, mode="probe")[0])
        == peak_bytes(steps(1, batch=1024, mode="probe")[0])
        < peak_bytes(steps(1)[0])
    )


def test_the_nodes_hold_as_many_as_their_cpus_gpus_and_memory_allow() -> None:
    cluster = Cluster(((2, 1.0), (1, 0.0)), (10, 10))
    one, half_gpu, hungry = Request(Share(1, 0.0)), Request(Share(1, 0.5)), Request(Share(1, 0.0), memory=11)
    assert cluster.fits([one, one], one) and not cluster.fits([one, one, one], one)
    assert cluster.fits([half_gpu], half_gpu) and not cluster.fits([half_gpu, half_gpu], half_gpu)
    assert not cluster.fits([], hungry)


# -- who gets what


def allocated(steps: list[TrainingStep], cpus: int = 2, **wishes: Any) -> dict[str, Any]:
    cluster = Cluster(((cpus, 0.0),), (10**12,))
    return dict(Allocator(cluster, Hardware(**wishes), lambda step, most: 1, SHARES).allocate(steps).resources)


SHARES = Path("cpus.json")


@pytest.mark.parametrize("wanted", [1, 2, 9])
def test_on_one_machine_trials_reserve_one_cpu_and_share_the_rest(wanted: int) -> None:
    for found in allocated(steps(wanted), cpus=4).values():
        assert (found.threads, found.shares) == (1, SHARES)


def test_cpus_are_not_shared_where_they_were_given_on_several_nodes_or_beside_gpus() -> None:
    assert {(r.threads, r.shares) for r in allocated(steps(3), cpus=4, cpus_per_trial=2).values()} == {(2, None)}
    for nodes, share in ((((1, 0.0), (1, 0.0)), Share(1, 0.0)), (((4, 1.0),), Share(4, 1.0))):
        found = Allocator(Cluster(nodes), Hardware(), lambda step, most: 1, SHARES).allocate(steps(3))
        assert {request.share for request in found.requests.values()} == {share}
        assert {resources.shares for resources in found.resources.values()} == {None}
    found = Allocator(Cluster(((4, 1.0),)), Hardware(device="cpu"), lambda step, most: 1, SHARES).allocate(steps(3))
    assert {resources.shares for resources in found.resources.values()} == {SHARES}, "nobody asked for the GPU"


def test_plain_and_workers_reach_every_training() -> None:
    found = allocated([*steps(1), *trials(1)], plain=True, workers=3)
    assert {(resources.plain, resources.workers) for resources in found.values()} == {(True, 3)}
