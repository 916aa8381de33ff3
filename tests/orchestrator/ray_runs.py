"""Running the real command line with a real Ray, and looking at what it left; shared by the Ray tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from trainable.base.files import read_json

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--weights", "none", "--batch", "8", "--num-cpus", "2")
RUNS = Path("models/mobilenetv3_classifier/runs")


def command(project: Path, output: Path, *options: object, cpus: bool = True, verb: str = "run-all") -> list[str]:
    quick = QUICK if cpus else QUICK[:-2]
    arguments = [verb, "--project-root", project, "--output-root", output, *quick, *options]
    return [sys.executable, "-m", "orchestrator", *map(str, arguments)]


def run_all(  # type: ignore[no-untyped-def]
    project: Path,
    output: Path,
    *options: object,
    env: dict[str, str] | None = None,
    cpus: bool = True,
    verb: str = "run-all",
):
    """The finished process, its text captured."""
    return subprocess.run(
        command(project, output, *options, cpus=cpus, verb=verb),
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=600, env={**os.environ, **(env or {})},
    )  # fmt: skip


def running(
    project: Path, output: Path, *options: object, verb: str = "run-all"
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """A `run-all` under way on a Ray of its own."""
    return _running(command(project, output, *options, verb=verb))


def running_at(
    address: str, project: Path, output: Path, *options: object
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """A `run-all` under way on the cluster at `address`."""
    return _running(command(project, output, "--address", address, *options, cpus=False))


@contextlib.contextmanager
def _running(line: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, with SIGINT as a terminal would leave it."""
    process = subprocess.Popen(
        line,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        # A background job of a shell inherits an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def epoch_reached(output: Path, folder: str) -> int:
    note = read_json(output / RUNS / folder / ".checkpoints" / "last.json")
    return note["epoch"] if note else 0


def trained(output: Path, folder: str) -> dict[str, Any]:
    """Everything a run found that does not depend on the clock."""
    run = output / RUNS / folder
    best = torch.load(run / "best.pt", weights_only=True)
    history = [line.rsplit(",", 1)[0] for line in (run / "history.csv").read_text(encoding="utf-8").splitlines()]
    return {
        "weights": {name: sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in best["state_dict"].items()},
        "classes": best["classes"],
        "history": history,
        "preds": (run / "test_preds.csv").read_text(encoding="utf-8").splitlines(),
        "val": read_json(run / "val_metrics_best.json"),
        "test": read_json(run / "test_metrics.json"),
    }


def trial_processes(ancestor: int) -> list[int]:
    """The actors that train below a process (a driver, a raylet), by their title."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    table = {int(pid): (int(parent), title) for pid, parent, title in (x.split(None, 2) for x in lines.splitlines())}

    def belongs(pid: int) -> bool:
        while pid in table and pid != ancestor:
            pid = table[pid][0]
        return pid == ancestor

    return [
        pid for pid, (_, title) in table.items() if title.startswith("ray::") and "Trainable" in title and belongs(pid)
    ]
