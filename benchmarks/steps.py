"""Inside one process: the speed of stage 3 against its limit, decoders, memory of one more trial."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Bench, Row, jemalloc

PASSES = 5
DECODED, LEAST_IMAGES = 600, 512
PEAKS = (128, 384)


def stage3_speed(bench: Bench, project: Path, batch: int) -> Row:
    """Training images/s from the pack / the same step on one resident synthetic batch, interleaved."""
    found = _in_process("stage3", bench, project, batch)
    row = f"stage 3 from the pack / resident synthetic batch, batch {batch}"
    return Row(row, "x", found["ratios"], 0.95, details=found)


def tiles(bench: Bench, batch: int, threads: int) -> Row:
    """Stage-3 images/s tile by tile / with PyTorch's modules, interleaved."""
    found = _in_process("tiles", bench, bench.project, batch, {**jemalloc(), "OMP_NUM_THREADS": str(threads)})
    row = f"stage-3 step, batch {batch}, threads {threads}: tiles / modules"
    return Row(row, "x", found["ratios"], details=found)


def memory_of_a_trial(bench: Bench, project: Path) -> Row:
    """Private memory that the inputs of a second, concurrent trial add to its model, optimizer and activations."""
    found = _in_process("memory", bench, project, 128)
    return Row("private memory of one more trial's data", "MiB", found["mib"], 50.0, at_least=False, details=found)


def peak_of_a_step(bench: Bench, project: Path) -> list[Row]:
    """Resident bytes that each image of a stage-3 batch adds, from the peaks of two processes at two batches: with the
    allocator that Ray lends its workers, with the system's, and with PyTorch's modules."""
    rows = []
    ways = ("peak", "jemalloc", jemalloc()), ("peak", "the system's allocator", {}), ("modules", "modules", jemalloc())
    for what, allocator, environment in ways:
        peaks = [_in_process(what, bench, project, batch, environment)["bytes"] for batch in PEAKS]
        per_image = (peaks[1] - peaks[0]) / (PEAKS[1] - PEAKS[0])
        details = {"batches": PEAKS, "peaks": peaks, "process": peaks[0] - PEAKS[0] * per_image}
        rows.append(Row(f"peak memory of a stage-3 step, {allocator}", "MB", [per_image / 1e6], details=details))
    return rows


def decoders(bench: Bench, project: Path) -> Row:
    """Milliseconds of Pillow / of torchvision's decoder for one crop, and how many have the same pixels."""
    found = _in_process("decoders", bench, project, 0)
    return Row("decoding a crop: Pillow / torchvision.io", "x", found["ratios"], details=found)


def _in_process(
    what: str, bench: Bench, project: Path, batch: int, more: Mapping[str, str] | None = None
) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.steps", what, project, bench.weights, batch]
    environment = {**os.environ, "EMOSWEEP_CACHE": str(bench.out / "cache"), **(more or {})}
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def stage3(project: Path, weights: Path, batch: int) -> dict[str, Any]:
    """One thread, as a trial has beside another. Each sample is a pair of passes over the same number of images."""
    import torch

    from benchmarks.floor import Stage3
    from trainable.feed.batches import PixelBatches
    from trainable.run.loop import train_epoch

    stage = Stage3(batch, 1)
    rows, labels = _pixels(project, 4096)
    inputs = PixelBatches(rows, labels, set(), batch, seed=1, device=torch.device("cpu"), both_flips=False)
    compute = _compute()

    def from_pack() -> None:
        train_epoch(stage.forward, inputs, 0, stage.optimizer, compute.scaler(), compute)

    from_pack()
    stage.epoch(len(labels))
    pairs = []
    for _ in range(PASSES):
        real = _seconds(from_pack)
        pairs.append((real, stage.epoch(len(labels))))
    speed = len(labels) / statistics.median(real for real, _ in pairs)
    return {"ratios": [s / r for r, s in pairs], "images_per_second": speed, "images": len(labels)}


def tiles_and_modules(project: Path, weights: Path, batch: int) -> dict[str, Any]:
    import torch

    from benchmarks.floor import Stage3

    threads = torch.get_num_threads()
    ours, theirs = Stage3(batch, threads), Stage3(batch, threads, modules=True)
    images = batch * max(1, LEAST_IMAGES // batch)

    def both(images: int) -> tuple[float, float]:
        torch.set_num_threads(1)  # of its own; threads share the tiles
        tiled = ours.epoch(images)
        torch.set_num_threads(threads)
        return tiled, theirs.epoch(images)

    both(batch)
    pairs = [both(images) for _ in range(PASSES)]
    return {"ratios": [b / a for a, b in pairs], "images_per_second": images / statistics.median(a for a, _ in pairs)}


def peak(project: Path, weights: Path, batch: int, *, modules: bool = False) -> dict[str, Any]:
    from benchmarks.floor import Stage3

    stage = Stage3(batch, 1, modules=modules)
    for _ in range(2):
        stage.epoch(batch)
    # Not getrusage: its peak is the parent's, if that was higher.
    lines = Path("/proc/self/status").read_text().splitlines()
    return {"bytes": next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))}


class Trial:
    """The inputs of all three stages, in a process with everything else that a trial needs."""

    def __init__(self, project: Path, weights: Path, batch: int) -> None:
        import pyarrow  # noqa: F401 (what opens the cache, which is no data)

        from benchmarks.floor import Stage3
        from trainable.base.config import PARTS, TrainConfig
        from trainable.data.tables import load_table

        self.stage = Stage3(batch, 1)
        self.stage.epoch(batch)
        csvs = {part: project / f"data_shared/cropped_faces_csv/{part}_M1.csv" for part in PARTS}
        self.tables = {part: load_table(csv, project) for part, csv in csvs.items()}
        self.config = TrainConfig("finetune", 30, 5e-4, 1e-4, batch=batch, weights=str(weights))

    def take(self) -> float:
        """Visit every image at every stage, and keep the inputs. Returns the private MiB that this added."""
        from trainable.feed.factory import InputFactory

        before = _private_mib()
        classes = sorted(set(self.tables["train"].labels))
        self.supply = InputFactory(self.tables, classes, self.config, plain=False, workers=0, log=print)
        for part in self.tables:
            for number in (1, 2, 3):
                for x, _ in self.supply.inputs(part, self.stage.model.eval(), number, _compute()).epoch():
                    x.sum()
        return _private_mib() - before


def memory(project: Path, weights: Path, batch: int) -> dict[str, Any]:
    """Two actors as Tune has them: what the second one's inputs add, while the first holds the same."""
    import ray

    os.environ["RAY_LD_PRELOAD_ON_WORKERS"] = "1"  # as orchestrator.execution.session does
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    first, second = (ray.remote(num_cpus=1)(Trial).remote(project, weights, batch) for _ in range(2))
    alone = ray.get(first.take.remote())  # fills the cache
    added = ray.get(second.take.remote())
    again = ray.get(second.take.remote())
    ray.shutdown()
    return {"mib": [added], "first": alone, "again": again}


def decoding(project: Path, weights: Path, batch: int) -> dict[str, Any]:
    import torch
    from PIL import Image
    from torchvision.io import ImageReadMode, decode_jpeg

    from trainable.data.images import decode
    from trainable.data.tables import load_table

    table = load_table(project / "data_shared/cropped_faces_csv/train_M1.csv", project)
    contents = [row.file.read_bytes() for row in table.rows[:DECODED]]
    contents = [c for c in contents if Image.open(io.BytesIO(c)).format == "JPEG"]
    tensors = [torch.frombuffer(bytearray(c), dtype=torch.uint8) for c in contents]
    torch.set_num_threads(1)
    same = sum(
        torch.equal(decode_jpeg(t, ImageReadMode.RGB).permute(1, 2, 0), torch.from_numpy(decode(c)))
        for c, t in zip(contents, tensors, strict=True)
    )
    pairs = []
    for _ in range(PASSES):
        pillow = _seconds(lambda: [decode(c) for c in contents])
        pairs.append((pillow, _seconds(lambda: [decode_jpeg(t, ImageReadMode.RGB) for t in tensors])))
    per_image = statistics.median(p for p, _ in pairs) / len(contents) * 1000
    return {"ratios": [p / t for p, t in pairs], "pillow_ms": per_image, "same_pixels": same, "images": len(contents)}


def _pixels(project: Path, least: int) -> tuple[Any, list[int]]:
    from trainable.cache.images import ImageStore
    from trainable.data.tables import load_table

    table = load_table(project / "data_shared/cropped_faces_csv/train_M1.csv", project)
    files = [row.file for row in table.rows][:least]
    assert len(files) == least, f"{project}: {least} training images are needed"
    pack = ImageStore()
    pack.fill(files)
    return pack.rows(files)[0], [i % 6 for i in range(len(files))]


def _compute() -> Any:
    import torch

    from trainable.network.compute import Compute

    return Compute(torch.device("cpu"), amp=False)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _private_mib() -> float:
    """Memory of this process alone: all but the pages of mapped files, which whoever maps them shares."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


if __name__ == "__main__":
    kind, root, weights_file, size = sys.argv[1:]
    functions: dict[str, Callable[[Path, Path, int], dict[str, Any]]] = {
        "stage3": stage3,
        "tiles": tiles_and_modules,
        "memory": memory,
        "peak": peak,
        "modules": partial(peak, modules=True),
        "decoders": decoding,
    }
    function = functions[kind]
    print(json.dumps(function(Path(root), Path(weights_file), int(size))))
