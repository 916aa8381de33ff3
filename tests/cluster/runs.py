"""Commands of ours on the head, where they are, and what a single machine finds by the same commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hosts import Host
from lab import MODELS
from ray_runs import QUICK, ROOT, RUNS, command, trained, wait_for
from sweep_runs import SWEEPS

from faceapi.node.process import NODE_DIR
from trainable.base.config import TrainConfig
from trainable.base.files import read_json

EPOCHS = 12
STAGE_3 = TrainConfig("finetune", EPOCHS, 1e-3, 1e-4).stage_starts[2]
EXPERIMENTS = ["probe_M1", "probe_M2", "finetune_M1", "finetune_M2", "finetune_K7"]
if (NODE_DIR / MODELS).is_dir():
    EXPERIMENTS += ["faceapi_M1", "faceapi_M2"]
RUN = ("run-all", "--only", ",".join(EXPERIMENTS), "--epochs", EPOCHS)
SWEEP = ("sweep", "finetune_M1", "--epochs", EPOCHS, "--num-samples", 3, "--scheduler", "none", "--confirm", 0)
EVALUATIONS = Path("models/faceapi_baseline/results")
Results = dict[str, Any]


def arguments(output: str, verb: str, *options: object) -> tuple[object, ...]:
    """Of a command on the head, whose project and outputs lie in the head's own home."""
    known = QUICK[:-2]  # without a number of CPUs: a cluster knows it
    return (verb, "--address auto --project-root ~/project --output-root", f"~/{output}", *known, *options)


class Alone:
    """What single machines find by RUN and SWEEP: they run beside the first tests, which mostly wait."""

    def __init__(self, outputs: Path, process: subprocess.Popen[bytes]) -> None:
        self._outputs, self._process = outputs, process

    @classmethod
    @contextmanager
    def started(cls, project: Path, outputs: Path) -> Iterator[Alone]:
        with (outputs / "log").open("wb") as log:
            lines = [command(project, outputs / verb, *options, verb=verb) for verb, *options in (RUN, SWEEP)]
            script = " && ".join(subprocess.list2cmdline(line) for line in lines)
            process = subprocess.Popen(["nice", "sh", "-c", script], cwd=ROOT, stdout=log, stderr=log)
        try:
            yield cls(outputs, process)
        finally:
            process.terminate()
            process.wait()

    def results(self, verb: str) -> Results:
        assert self._process.wait(600) == 0, (self._outputs / "log").read_text(encoding="utf-8")
        return results(self._outputs / verb)


def results(output: Path) -> Results:
    """All that the runs, the sweeps' trials and FaceAPI's evaluations of an output root have found."""
    runs = {folder.name: trained(output, folder.name) for folder in _finished(output / RUNS, "*")}
    trials = {str(folder.relative_to(output)): _trial(folder) for folder in _finished(output / SWEEPS, "*/*")}
    return {**runs, **trials, **{csv.name: csv.read_bytes() for csv in (output / EVALUATIONS).glob("*.csv")}}


def _finished(folder: Path, pattern: str) -> list[Path]:
    return sorted(manifest.parent for manifest in folder.glob(f"{pattern}/manifest.json"))


def _trial(folder: Path) -> tuple[object, ...]:
    """What a sweep's trial leaves, which has no test."""
    history = [line.rsplit(",", 1)[0] for line in (folder / "history.csv").read_text(encoding="utf-8").splitlines()]
    return history, read_json(folder / "val_metrics_best.json"), (folder / "val_logits.parquet").read_bytes()


def training_on(host: Host) -> dict[str, int]:
    """The whole epochs of the runs that train on a host now, by the name of their folder."""
    folders = (host.disk / "files/tmp").glob("emosweep-run-*/*")
    notes = {folder.name: read_json(folder / ".checkpoints/last.json") for folder in folders}
    return {name: note["epoch"] if note else 0 for name, note in notes.items()}


def forget_trainings(hosts: Iterable[Host]) -> None:
    """Delete what processes have left that were killed; nothing runs."""
    for host in hosts:
        for folder in (host.disk / "files/tmp").glob("emosweep-run-*"):
            shutil.rmtree(folder)


def wait_for_stage_3(host: Host, process: subprocess.Popen[str]) -> tuple[str, int]:
    """Wait until a run has just ended an epoch of stage 3 on the host. Returns its folder's name and the epoch."""
    begun = training_on(host)

    def found() -> dict[str, int]:
        assert process.poll() is None, process.communicate()
        return {name: at for name, at in training_on(host).items() if at > max(STAGE_3, begun.get(name, 0))}

    wait_for(found)
    return next(iter(training_on(host).items()))


def has_trained(host: Host) -> bool:
    """Whether images have come to the host's own cache."""
    return any((host.home / ".cache/emosweep/images").rglob("*.arrow"))


def resumptions(output: Path) -> list[int]:
    """After which epoch processes have gone on with runs, as the logs of all commands say."""
    logs = "".join(log.read_text(encoding="utf-8") for log in sorted((output / ".emosweep/logs").iterdir()))
    return [int(epoch) for epoch in re.findall(r"going on after epoch (\d+) of", logs)]


def reported(output: Path) -> list[int]:
    """The epochs that the processes of a command with one training have trained, as Tune has written them down."""
    files = (output / ".emosweep/tune").glob("*/*/result.json")
    return sorted(json.loads(line)["epoch"] for file in files for line in file.read_text(encoding="utf-8").splitlines())
