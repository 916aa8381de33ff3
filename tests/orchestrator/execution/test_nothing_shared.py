"""A cluster whose nodes share nothing but Ray: two of them see neither the project nor the results of the driver."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from projects import BOX, make_project, write_csv
from ray_runs import ROOT, RUNS, epoch_reached, run_all, running_at, trained, trial_processes, wait_for
from small_runs import CPU, spec_of

from faceapi.node.process import NODE_DIR
from orchestrator.execution.faceapi_tasks import ROWS_PER_PART
from trainable.base.config import TrainConfig
from trainable.run.trainer import Trainer

pytestmark = [pytest.mark.ray, pytest.mark.nightly]
MODELS = NODE_DIR / "node_modules/@vladmandic/face-api/model"
HIDDEN = """
mount -t tmpfs none "$HIDE"
mkdir -p /tmp/ray
mount -t tmpfs none /tmp/ray
# Ray gives a node 30 seconds to start, which a busy machine may exceed.
until "$PYTHON" -m ray.scripts.scripts start --address "$HEAD" --num-cpus 1 --object-store-memory 134217728 \\
  --min-worker-port 0 --max-worker-port 0 --block; do sleep 1; done
"""


def refused() -> str:
    """Why no process may have a mount namespace of its own here; "" where it may."""
    try:
        line = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(line, capture_output=True, text=True, check=False).stderr.strip()
    except OSError as error:
        return str(error)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What only the driver sees: the project, and the outputs of its runs."""
    found = tmp_path_factory.mktemp("driver")
    make_project(found / "project")
    return found


@contextmanager
def hidden_node(head: str, hide: Path, own: Path) -> Iterator[psutil.Process]:
    """A node that sees an empty folder in the place of `hide`, with a home and a cache of its own."""
    places = {"HIDE": str(hide), "HOME": str(own / "home"), "EMOSWEEP_CACHE": str(own / "cache")}
    environment = {**os.environ, **places, "PYTHON": sys.executable, "HEAD": head, "PYTHONPATH": str(ROOT)}
    (own / "home").mkdir(parents=True)
    with (own / "log").open("wb") as log:
        line = ["unshare", "--mount", "sh", "-ec", HIDDEN]
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    try:
        yield psutil.Process(process.pid)
    finally:
        for child in [process, *psutil.Process(process.pid).children(recursive=True)]:
            child.kill()
        process.wait()


@pytest.fixture(scope="module")
def cluster(
    ray_token: None, folders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, list[psutil.Process]]]:
    """(address, hidden nodes): the driver's node trains nothing, so that all trials lie on two nodes of one CPU."""
    if why := refused():
        pytest.skip(f"no mount namespaces here: {why}")
    from ray.cluster_utils import Cluster

    args = {"num_cpus": 0, "object_store_memory": 2**27, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=args)
    with ExitStack() as stack:
        stack.callback(nodes.shutdown)
        own = tmp_path_factory.mktemp("nodes")
        hidden = [stack.enter_context(hidden_node(nodes.address, folders, own / str(i))) for i in range(2)]
        import ray

        ray.init(nodes.address, log_to_driver=False)
        try:
            wait_for(lambda: sum(node["Alive"] for node in ray.nodes()) == 3)
        finally:
            ray.shutdown()
        yield nodes.address, hidden


def here(project: Path, output: Path, folder: str, config: TrainConfig) -> None:
    Trainer(spec_of(project, output / RUNS / folder, config), CPU).run()


def test_trials_on_nodes_without_the_folders_give_the_same_results_and_files_travel_once(
    cluster: tuple[str, list[psutil.Process]], folders: Path, tmp_path: Path
) -> None:
    address, hidden = cluster
    assert [list(Path(f"/proc/{node.pid}/root{folders}").iterdir()) for node in hidden] == [[], []]
    project, output = folders / "project", folders / "out"
    options = ("--only", "probe_M1,finetune_M1", "--epochs", 5, "--max-concurrent", 1, "--address", address)
    done = run_all(project, output, *options, cpus=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, config in {
        "probe_M1": TrainConfig("probe", 5, 7e-4, batch=8, weights="none"),
        "finetune_M1": TrainConfig("finetune", 5, 5e-4, 1e-4, batch=8, weights="none"),
    }.items():
        here(project, tmp_path, f"{name}_160", config)
        assert trained(output, f"{name}_160") == trained(tmp_path, f"{name}_160")
        assert {file.name for file in (output / RUNS / f"{name}_160").iterdir()} == {
            file.name for file in (tmp_path / RUNS / f"{name}_160").iterdir()
        }
    (log,) = (output / ".emosweep/logs").iterdir()
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("between the driver's disk")]
    images = list((project / "data_shared/cropped_faces_160/M1").iterdir())
    size = sum(image.stat().st_size for image in images)
    nodes = sum(any((node_cache / "images").rglob("*.arrow")) for node_cache in caches(hidden))
    assert f"images {nodes * len(images)} ({nodes * size} bytes)" in line
    assert re.search(r"states 10 \(\d+ bytes\)", line), line


@pytest.mark.skipif(not MODELS.is_dir(), reason="NOT TESTED: needs face-api's weights (npm ci)")
def test_faceapi_evaluates_photos_that_its_nodes_do_not_have(
    cluster: tuple[str, list[psutil.Process]], folders: Path, tmp_path: Path
) -> None:
    address, _ = cluster
    project = make_project(folders / "faces")
    rows = [(f"data_raw/photos/M1/{i % 3}.jpg", "happy", 10, 10, 100, 100 + i % 7) for i in range(6 * ROWS_PER_PART)]
    write_csv(project / "data_shared/splits_csv/test_M1.csv", ("path", "label_en", *BOX), rows)
    for output, options in ((tmp_path, {}), (folders / "evaluated", {"cpus": False})):
        where = ("--address", address) if options else ()
        done = run_all(project, output, "--only", "faceapi_M1", "--faceapi-models", MODELS, *where, **options)
        assert done.returncode == 0, done.stdout + done.stderr
    csv = Path("models/faceapi_baseline/results/faceapi_M1_eval.csv")
    assert (folders / "evaluated" / csv).read_bytes() == (tmp_path / csv).read_bytes()
    (log,) = (folders / "evaluated/.emosweep/logs").iterdir()
    travelled = re.search(r"do not see it: images (\d+) ", log.read_text())
    assert travelled and int(travelled[1]) % 3 == 0, "each part's three photos"


def caches(hidden: list[psutil.Process]) -> list[Path]:
    return [Path(node.environ()["EMOSWEEP_CACHE"]) for node in hidden]


def test_a_lost_nodes_trial_goes_on_elsewhere_from_its_last_whole_epoch(
    cluster: tuple[str, list[psutil.Process]], folders: Path, tmp_path: Path
) -> None:
    address, hidden = cluster
    project, output, folder, epochs = folders / "project", folders / "lost", "finetune_M1_160", 20
    with running_at(address, project, output, "--only", "finetune_M1", "--epochs", epochs) as process:
        wait_for(lambda: epoch_reached(output, folder) >= 3)
        (lost,) = [node for node in hidden if trial_processes(node.pid)]
        (raylet,) = [child for child in lost.children(recursive=True) if child.name() == "raylet"]
        lost.kill()  # it would start the node again
        raylet.kill()
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    (log,) = (output / ".emosweep/logs").iterdir()
    resumed = re.findall(rf"going on after epoch (\d+) of {epochs}", log.read_text())
    assert len(resumed) == 1 and 3 <= int(resumed[0]) < epochs, resumed
    here(project, tmp_path, folder, TrainConfig("finetune", epochs, 5e-4, 1e-4, batch=8, weights="none"))
    assert trained(output, folder) == trained(tmp_path, folder)
