"""Running the real command line with a real Ray, and looking at what it left; shared by the Ray tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from trainable.atomic import read_json

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--weights", "none", "--batch", "8", "--num-cpus", "2")
RUNS = Path("models/mobilenetv3_classifier/runs")


def command(project: Path, output: Path, *options: object, cpus: bool = True) -> list[str]:
    quick = QUICK if cpus else QUICK[:-2]
    arguments = ["run-all", "--project-root", project, "--output-root", output, *quick, *options]
    return [sys.executable, "-m", "orchestrator", *map(str, arguments)]


def run_all(project: Path, output: Path, *options: object, env: dict[str, str] | None = None, cpus: bool = True):  # type: ignore[no-untyped-def]
    """The finished process, its text captured."""
    return subprocess.run(
        command(project, output, *options, cpus=cpus),
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=600, env={**os.environ, **(env or {})},
    )  # fmt: skip


@contextlib.contextmanager
def running(project: Path, output: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    """A `run-all` under way, in a process group of its own, with SIGINT as a terminal would leave it."""
    process = subprocess.Popen(
        command(project, output, *options),
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


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
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
        "weights": {name: tensor.numpy().tobytes() for name, tensor in best["model"].items()},
        "classes": best["classes"],
        "history": history,
        "preds": (run / "test_preds.csv").read_bytes(),
        "val": read_json(run / "val_metrics_best.json"),
        "test": read_json(run / "test_metrics.json"),
    }
