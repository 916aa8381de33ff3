"""How fast this machine trains, and how many trials a GPU should run at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.speed import LEAST_GAIN, Crew, best_count, trials_per_gpu


def test_it_measures_this_machine() -> None:
    command = [sys.executable, "-m", "trainable.speed", "--batch", "2", "--threads", "1", "--seconds", "0.1"]
    done = subprocess.run([*command, "--device", "cpu"], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    assert found["images_per_second"] > 0
    assert (found["gpus"], found["free"], found["device"]) == (0, 0, "cpu")


@given(st.lists(st.floats(0.5, 2.0), min_size=6, max_size=6), st.floats(0.01, 0.6), st.integers(1, 40))
def test_each_doubling_fits_and_pays(gains: list[float], memory: float, most: int) -> None:
    """`gains` of each doubling; each trial takes `memory` of the room."""
    speeds, asked = {1: 1.0}, []
    for i, gain in enumerate(gains):
        speeds[2 ** (i + 1)] = speeds[2**i] * gain

    def measured(count: int) -> tuple[float, int]:
        asked.append(count)
        return speeds[count], int(count * memory * 1000)

    count = best_count(measured, 1000, most)
    assert count <= most and (count == 1 or measured(count)[1] <= 1000)
    doublings = [2**i for i in range(7) if 2**i < count]
    assert all(speeds[2 * n] >= LEAST_GAIN * speeds[n] for n in doublings)
    stops = 2 * count > most or 2 * int(count * memory * 1000) > 1000 or int(2 * count * memory * 1000) > 1000
    assert stops or speeds[2 * count] < LEAST_GAIN * speeds[count]


def test_what_does_not_fit_is_not_taken() -> None:
    """A process that ends with an error counts as no speed."""
    assert best_count(lambda count: (10.0, 1) if count == 1 else (0.0, 0), 100, 8) == 1


def test_a_crew_is_used_again_for_larger_numbers() -> None:
    with Crew(batch=2, ahead=1, seconds=0.1, device="cpu") as crew:
        (alone, memory), first = crew(1), crew.members[0].pid
        assert alone > 0 and memory == 1
        both, _ = crew(2)
        assert both > 0 and [first] == [member.pid for member in crew.members[:1]] and len(crew.members) == 2
        crew.members[1].kill()
        assert crew(2) == (0.0, 0), "one that has ended gives no answer"
        assert crew(1)[0] > 0, "the other goes on"
        members = list(crew.members)
    assert all(member.returncode is not None for member in members)


def test_without_a_gpu_there_is_nothing_to_share() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert trials_per_gpu(128, 8) == 1
