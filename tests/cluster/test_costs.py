"""What a cluster without a shared folder costs: bytes on the cables, and a worker's time. Printed with `-s`."""

from __future__ import annotations

import csv
import json
import re
import time
from pathlib import Path

import pytest
from lab import ENTER, HEAD, WORKERS, Lab
from projects import ENGLISH, draw, write_csv
from ray_runs import RUNS
from runs import arguments

pytestmark = pytest.mark.cluster
IMAGES = {"train": 1000, "val": 100, "test": 100}
RUN = ("run-all", "--only", "probe_M1,finetune_M1", "--epochs", 3)  # an epoch in each stage
IDLE_SECONDS = 10
STATES = 20


@pytest.fixture(scope="module")
def large(lab: Lab) -> Path:
    """A project of one split with 1,000 crops to train on, `~/large` on the head."""
    root = lab.head.home / "large"
    for part, count in IMAGES.items():
        rows = [(f"data_shared/cropped_faces_160/M1/{part}_{i:04}.jpg", ENGLISH[i % 3]) for i in range(count)]
        for number, (path, _) in enumerate(rows):
            draw(root / path, number, number + len(part) * 10_000)
        write_csv(root / f"data_shared/cropped_faces_csv/{part}_M1.csv", ("path", "label_en"), rows)
    return root


@pytest.fixture(scope="module")
def finished(lab: Lab, large: Path) -> Path:
    """The outputs of a run, whose traffic has been printed."""
    lab.launched()
    idle = traffic(lab)
    time.sleep(IDLE_SECONDS)
    idle = {name: (size - idle[name]) / IDLE_SECONDS for name, size in traffic(lab).items()}
    before, start = traffic(lab), time.monotonic()
    line = [str(argument).replace("~/project", "~/large") for argument in arguments("costs", *RUN)]
    with lab.running(*line) as process:
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    seconds = time.monotonic() - start
    output = lab.head.home / "costs"
    spent = {name: size - before[name] for name, size in traffic(lab).items()}
    report(spent, {name: rate * seconds for name, rate in idle.items()}, output, seconds)
    return output


def traffic(lab: Lab) -> dict[str, int]:
    return {name: size for name, size in lab.switch.traffic().items() if name in (HEAD, *WORKERS)}


def travelled(output: Path) -> tuple[str, int]:
    """What the command says itself, and the sum of its bytes."""
    (log,) = (output / ".emosweep/logs").iterdir()
    (line,) = re.findall(r"between the driver's disk and nodes that do not see it: (.*)", log.read_text())
    return line, sum(map(int, re.findall(r"\((\d+) bytes\)", line)))


def report(spent: dict[str, int], idle: dict[str, float], output: Path, seconds: float) -> None:
    line, size = travelled(output)
    print(f"\nrun of {seconds:.0f} s; had to travel: {line}: {size / 1e6:.1f} MB")
    for name, of_run in spent.items():
        print(f"  {name}'s cable: {of_run / 1e6:.1f} MB, of which an idle cluster's {idle[name] / 1e6:.1f} MB")
    print(f"  over the head's cable, per byte that had to travel: {spent[HEAD] / size:.3f}, without an idle cluster's "
          f"{(spent[HEAD] - idle[HEAD]) / size:.3f}")  # fmt: skip
    # Everything that travels comes from the head or goes there; a second copy of anything large would show.
    assert spent[HEAD] - idle[HEAD] < 1.5 * size


def test_what_travels_travels_once(finished: Path) -> None:
    line, _ = travelled(finished)
    images = sum(IMAGES.values())
    sent = int(re.search(r"images (\d+)", line)[1])  # type: ignore[index]
    assert sent in (images, 2 * images), "once to each node that trained on them"
    assert "states 6 (" in line, line


def test_sending_states_costs_little_of_an_epoch(lab: Lab, finished: Path) -> None:
    with (finished / RUNS / "finetune_M1_160/history.csv").open(encoding="utf-8", newline="") as stream:
        seconds = {row["stage"]: float(row["seconds"]) for row in csv.DictReader(stream)}
    worker = lab.hosts[WORKERS[0]].address
    printed = lab.head.run(f"{ENTER}; PYTHONPATH=. python tests/cluster/sending.py {worker} {STATES}", timeout=300)
    cost = json.loads(printed.splitlines()[-1])
    print(f"\na state: training waits {cost['waited'] * 1000:.0f} ms, the worker computes {cost['cpu'] * 1000:.0f} ms")
    for stage, epoch in seconds.items():
        share = (cost["waited"] + cost["cpu"]) / epoch
        print(f"  of an epoch of {IMAGES['train']} images in stage {stage}, {epoch:.1f} s: {share:.2%}")
    assert cost["waited"] + cost["cpu"] < 0.1 * seconds["3"]
