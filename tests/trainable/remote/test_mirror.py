"""A trial on a node without the driver's folders, without a Ray: driver's disk and node are objects in this process."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CPU, finetune, probe, spec_of, tables_of, write_weights
from twins import PLAIN, assert_same, cache_at, sized_project, tells_classes_apart, trained

from trainable.base.config import Resources, TrainConfig, make_job
from trainable.base.errors import ExperimentError
from trainable.base.paths import RunPaths
from trainable.cache.hashes import MISSING, ImageHashes
from trainable.data.tables import ImageTable
from trainable.network.weight_files import imagenet_file
from trainable.ray_node import Node
from trainable.ray_trainable import StagedTrainable
from trainable.remote.disk import DriverDisk
from trainable.remote.landmarks import Landmarks
from trainable.remote.mirror import FetchedFiles, MirroredRun
from trainable.run.checkpoints import save_checkpoint
from trainable.run.identity import training_identity
from trainable.run.trainer import Trainer

IMAGES = 24 + 4 + 5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sized_project(tmp_path_factory.mktemp("driver") / "project", 24, 4, 5)


@pytest.fixture(scope="module")
def weights(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.pt", tables_of(root)["train"])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    """A node's cache, cold for each test."""
    with cache_at(tmp_path / "cache") as folder:
        yield folder


class Stays(Node):
    """A node that no cluster takes back."""

    leaves = False


@pytest.fixture(autouse=True)
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a trial finds itself; the real answer is Ray's (`tests/orchestrator/execution/test_gpu_types.py`)."""
    monkeypatch.setattr(Node, "here", lambda: Stays("a1b2", "10.0.0.2", 2, ""))


class Far(DriverDisk):
    """The driver's disk, of which this "node" sees nothing."""

    landmarks = Landmarks(Path("/nowhere"), "word", {})


class Cluster:
    """One command's training, which begins on one node or another."""

    def __init__(self, root: Path, out: Path, config: TrainConfig, resources: Resources = CPU) -> None:
        spec, tables = spec_of(root, out, config), tables_of(root)
        identity = training_identity(config, tables, ImageHashes())
        self.paths, self.identity = RunPaths(out), identity
        self.disk = Far(tables.values(), Path("/"))
        self.config = {"job": json.loads(json.dumps(make_job(spec, resources, identity))), "split": "M1"}
        self.tables = {"M1": hidden(tables)}
        self.disk.expect(self.config["job"])

    def begin(self) -> StagedTrainable:
        trial = StagedTrainable(self.config)
        trial.setup(self.config, self.tables, self.disk)
        return trial

    def run(self, trial: StagedTrainable | None = None) -> Path:
        """The folder with the results at the driver."""
        trial = trial or self.begin()
        while not trial.train()["done"]:
            pass
        trial.stop()
        return self.paths.out

    def epoch(self) -> int:
        """The last whole epoch at the driver."""
        return int(json.loads(self.paths.checkpoint_note.read_text())["epoch"])


def hidden(tables: Mapping[str, ImageTable]) -> Any:
    """As tables arrive on a node where the project's folder is not."""
    found = pickle.loads(pickle.dumps(tables))
    for table in found.values():
        table.files.root = Path("/nowhere")
    return found


@pytest.mark.parametrize("make", [probe, finetune])
def test_the_results_at_the_driver_are_those_of_one_machine_and_images_travel_once(
    make: Callable[..., TrainConfig], root: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The node cannot read the weights' file; both "machines" have one disk here.
    monkeypatch.setattr("trainable.remote.mirror.file_digest", lambda file: MISSING)
    config = make(weights, epochs=4, lr_head=3e-2)
    cluster = Cluster(root, tmp_path / "far/out", config)
    far = cluster.run()
    sizes = sum(file.stat().st_size for file in root.rglob("*.jpg"))
    traffic = cluster.disk.traffic()
    assert traffic["images"] == (IMAGES, sizes)
    assert traffic["weights"] == (1, weights.stat().st_size)
    second = Cluster(root, tmp_path / "second/out", replace(config, seed=7))
    second.run()
    assert not {"images", "weights"} & second.disk.traffic().keys(), "what the node has, it does not ask for"
    with cache_at(tmp_path / "one"):
        one = trained(root, tmp_path / "one/out", config)
    assert_same(one, far)
    assert {path.name for path in one.iterdir()} == {path.name for path in far.iterdir()}
    assert tells_classes_apart(far)
    configs = [torch.load(out / "best.pt", weights_only=True)["config"] for out in (one, far)]
    assert configs[0] == configs[1], "the weights' own path, not the copy's"


def test_without_room_in_the_cache_too(root: Path, weights: Path, tmp_path: Path) -> None:
    """Every epoch asks for its images again then."""
    config = probe(weights, lr_head=3e-2)
    cluster = Cluster(root, tmp_path / "far/out", config, PLAIN)
    far = cluster.run()
    assert cluster.disk.traffic()["images"][0] == config.epochs * (24 + 4) + 5
    assert_same(trained(root, tmp_path / "one/out", config, PLAIN), far)


@pytest.mark.parametrize("killed_after", [2])
def test_a_trial_that_dies_goes_on_elsewhere_and_the_dead_one_writes_no_more(
    killed_after: int, root: Path, weights: Path, tmp_path: Path
) -> None:
    config = finetune(weights, lr_head=3e-2)
    cluster = Cluster(root, tmp_path / "far/out", config)
    first = cluster.begin()
    for _ in range(killed_after):
        first.train()
    assert cluster.epoch() >= killed_after - 1 if killed_after > 1 else True, "one epoch may be on its way, not two"
    second = cluster.begin()
    epoch = second.train()["epoch"]
    assert epoch in (killed_after, killed_after + 1)
    with pytest.raises(ExperimentError, match="another process goes on with this run"):
        first.train()
        first.save()
    far = cluster.run(second) if epoch < config.epochs else cluster.paths.out
    assert_same(trained(root, tmp_path / "one/out", config), far)


def test_a_process_that_sees_the_folder_takes_the_run_over(root: Path, weights: Path, tmp_path: Path) -> None:
    """The node that was cut off comes back with an older state than the folder has by then."""
    cluster = Cluster(root, tmp_path / "out", probe(weights, epochs=4))
    cut_off = cluster.begin()
    cut_off.train(), cut_off.save()
    cluster.disk.landmarks = Landmarks.leave(tmp_path, [])
    here = cluster.begin()
    assert here.train()["epoch"] == 2
    with pytest.raises(ExperimentError, match="another process goes on with this run"):
        cut_off.train(), cut_off.save()


def test_a_pause_waits_until_the_state_has_arrived(root: Path, weights: Path, tmp_path: Path) -> None:
    """Tune may resume the trial on another node at once; it keeps nothing of its own, which that node may not see."""
    cluster = Cluster(root, tmp_path / "out", probe(weights, epochs=3))
    trial = cluster.begin()
    for epoch in (1, 2):
        trial.train()
        assert trial.save().checkpoint is None
        assert cluster.epoch() == epoch
    assert cluster.begin().train()["epoch"] == 3


def test_a_state_travels_as_it_was_saved_however_far_the_next_epoch_is(
    root: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    class Slow(ThreadPoolExecutor):
        def submit(self, call: Any, /, *arguments: Any, **options: Any) -> Any:
            return super().submit(lambda: (gate.wait(), call(*arguments, **options)))

    monkeypatch.setattr("trainable.remote.mirror.ThreadPoolExecutor", Slow)
    cluster = Cluster(root, tmp_path / "out", probe(weights, epochs=3))
    run = MirroredRun(cluster.disk, cluster.config["job"])
    paths = RunPaths(Path(run.job["out"]))
    save_checkpoint(paths, {"identity": cluster.identity, "epoch": 1, "history": []})
    first = paths.checkpoint.read_bytes()
    run.saved()
    save_checkpoint(paths, {"identity": cluster.identity, "epoch": 2, "history": []})
    save_checkpoint(paths, {"identity": cluster.identity, "epoch": 3, "history": []})
    gate.set()
    run.settle()
    assert (cluster.epoch(), cluster.paths.checkpoint.read_bytes()) == (1, first)
    run.close()


@pytest.mark.parametrize("damage", ["cut short", "no note"])
def test_what_is_broken_at_the_driver_is_said_as_on_one_machine(
    damage: str, root: Path, weights: Path, tmp_path: Path
) -> None:
    config = probe(weights, epochs=3, lr_head=3e-2)
    cluster = Cluster(root, tmp_path / "far/out", config)
    trial = cluster.begin()
    trial.train(), trial.train()
    trial.stop()
    shutil.copytree(cluster.paths.out, tmp_path / "one/out")
    for paths in (cluster.paths, RunPaths(tmp_path / "one/out")):
        if damage == "no note":
            paths.checkpoint_note.unlink()
        else:
            paths.checkpoint.write_bytes(paths.checkpoint.read_bytes()[:-9])
    far = cluster.run()
    Trainer(spec_of(root, tmp_path / "one/out", config), CPU).run()
    notes = [json.loads((out / "manifest.json").read_text())["notes"] for out in (far, tmp_path / "one/out")]
    assert notes[0] == notes[1]
    lost = "last checkpoint" if damage == "no note" else "checkpoint of epoch 2"
    assert f"the {lost} is broken; goes on after epoch 1" in notes[0]


def test_earlier_results_are_moved_aside_at_the_driver(root: Path, weights: Path, tmp_path: Path) -> None:
    out = Cluster(root, tmp_path / "out", probe(weights, epochs=1)).run()
    before = (out / "best.pt").read_bytes()
    assert Cluster(root, out, probe(weights, epochs=1, seed=9)).run() == out
    (aside,) = out.glob("earlier-*")
    assert (aside / "best.pt").read_bytes() == before
    assert aside.name in json.loads((out / "manifest.json").read_text())["notes"][-1]


@pytest.mark.parametrize("output_too", [True, False])
def test_what_the_node_sees_it_uses_directly(output_too: bool, root: Path, weights: Path, tmp_path: Path) -> None:
    """The project alone, as on a disk for data, or the outputs as well."""
    cluster = Cluster(root, tmp_path / "out", probe(weights, epochs=1))
    cluster.tables = {"M1": tables_of(root)}
    marks = Landmarks.leave(tmp_path, [tables_of(root)["train"].csv])
    cluster.disk.landmarks = marks if output_too else replace(marks, word="another")
    cluster.run()
    travelled = set(cluster.disk.traffic())
    assert travelled == (set() if output_too else {"states", "results"})
    assert RunPaths(tmp_path / "out").manifest.is_file()


def test_imagenets_weights_come_once_from_the_driver_too(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two "machines" has its own folder of torch.hub."""

    def be(machine: str) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / machine))

    def served(name: str) -> bytes:
        be("driver")
        try:
            return serve(name)
        finally:
            be("node")

    cluster = Cluster(root, tmp_path / "out", probe("imagenet"))
    serve = cluster.disk.weights
    monkeypatch.setattr(cluster.disk, "weights", served)
    be("driver")
    imagenet_file().parent.mkdir(parents=True)
    imagenet_file().write_bytes(b"weights")
    be("node")
    files = FetchedFiles(cluster.disk, cluster.config["job"])
    assert [files.weights("imagenet") for _ in range(2)] == ["imagenet"] * 2
    assert imagenet_file().read_bytes() == b"weights"
    assert cluster.disk.traffic()["weights"] == (1, 7)


def test_the_disk_serves_this_commands_files_and_no_others(root: Path, weights: Path, tmp_path: Path) -> None:
    disk = Cluster(root, tmp_path / "out", probe(weights)).disk
    for call in (
        lambda: disk.images(["0" * 64]),
        lambda: disk.weights("/etc/passwd"),
        lambda: disk.begin("/etc"),
        lambda: disk.save("/etc", 1, b"", b"{}"),
        lambda: disk.finish(str(tmp_path), 1, {"manifest.json": b"{}"}),
    ):
        with pytest.raises(ExperimentError, match="of this command"):
            call()
    assert not (tmp_path / "out").exists()


def test_a_full_disk_at_the_driver_fails_the_trial(
    root: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(root, tmp_path / "out", probe(weights, epochs=9))

    def full(*arguments: object) -> None:  # a disk cannot be filled without root
        raise OSError(28, "No space left on device", "/results")

    monkeypatch.setattr(cluster.disk, "save", full)
    trial = cluster.begin()
    with pytest.raises(OSError, match="No space left"):
        trial.train(), trial.train()


def test_landmarks_tell_the_drivers_folders_from_others_of_the_same_name(root: Path, tmp_path: Path) -> None:
    csv = tables_of(root)["train"].csv
    marks = Landmarks.leave(tmp_path / "out", [csv])
    assert (marks.output_is_here, marks.project_is_here) == (True, True)
    other = tmp_path / "other.csv"
    shutil.copy2(csv, other)
    assert not replace(marks, files={other: marks.files[csv]}).project_is_here, "a copy, of the same size and time"
    assert not replace(marks, files={}).project_is_here
    (tmp_path / "out/driver").write_text("another word")
    assert not marks.output_is_here
    marks.remove()
    assert not marks.output_is_here
