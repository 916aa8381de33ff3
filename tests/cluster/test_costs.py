"""What a cluster without a shared folder costs: bytes on the cables, and a worker's time. Printed with `-s`."""

from __future__ import annotations

import copy
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
from small_runs import CPU, finetune, spec_of
from twins import sized_project

from trainable.run.checkpoints import save_checkpoint
from trainable.run.trainer import Trainer

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


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, int]:
    """The bytes of a state in each stage where the best epoch was another one, so that its weights are kept too."""
    folder, found = tmp_path_factory.mktemp("sizes"), {}
    run = Trainer(spec_of(sized_project(folder / "project", 24, 4, 5), folder / "out", finetune(epochs=3)), CPU)
    while not run.done:
        before = copy.deepcopy(run.network.model.state_dict())
        run.step()
        state = run.state_dict()
        save_checkpoint(run.paths, state | {"best": state["best"] | {"model": before}})
        found[run.network.stage] = run.paths.checkpoint.stat().st_size
    return found


def test_sending_states_costs_little_of_an_epoch(lab: Lab, finished: Path, sizes: dict[int, int]) -> None:
    with (finished / RUNS / "finetune_M1_160/history.csv").open(encoding="utf-8", newline="") as stream:
        seconds = {int(row["stage"]): float(row["seconds"]) for row in csv.DictReader(stream)}
    worker = lab.hosts[WORKERS[0]].address
    line = f"python tests/cluster/sending.py {worker} {STATES} {' '.join(str(sizes[stage]) for stage in seconds)}"
    costs = json.loads(lab.head.run(f"{ENTER}; PYTHONPATH=. {line}", timeout=300).splitlines()[-1])
    for (stage, epoch), cost in zip(seconds.items(), costs, strict=True):
        spent = cost["waited"] + cost["cpu"]
        print(f"\nstage {stage}: for a state of {sizes[stage] / 1e6:.1f} MB a worker waits {cost['waited'] * 1e3:.1f} "
              f"ms and computes {cost['cpu'] * 1e3:.1f} ms: {spent / epoch:.2%} of an epoch of {IMAGES['train']} "
              f"images, {epoch:.1f} s")  # fmt: skip
        assert spent < 0.1 * epoch
