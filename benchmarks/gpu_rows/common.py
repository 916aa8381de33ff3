"""What the checks share: sizes, rows of the table, synthetic images, a model that trains, a clock."""

from __future__ import annotations

import copy
import csv
import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from trainable.base.config import IMAGE_SIZE, PARTS, RunSpec, TrainConfig
from trainable.cache.rows import Rows
from trainable.feed.batches import Batches, PixelBatches, StoredBatches
from trainable.feed.features import frozen_rows
from trainable.network.compute import Compute
from trainable.network.graphs import StepGraphs
from trainable.network.model import build_model
from trainable.network.pixels import normalise
from trainable.network.stages import StageBoundary, make_optimizer, set_stage, train_mode
from trainable.run.loop import Forward, PassResult, train_epoch

CLASSES = [f"class {letter}" for letter in "abcdefg"]
SEED = 1337
SKIPPED = "skipped: no CUDA"
_CALIBRATION_IMAGES = 64
_TILE = 16


@dataclass(frozen=True)
class Sizes:
    """Images, batches and repeats. `same` is (images compared, images trained on); `trial_window` is in seconds.
    `rehearsed` is images of a trial that reads files."""

    images: int = 8192
    batches: tuple[int, ...] = (128, 1024)
    repeats: int = 5
    same: tuple[int, int] = (512, 128)
    learn: tuple[int, int] = (1024, 128)
    learn_epochs: int = 4
    memory_batch: int = 1024
    memory_fits: int = 256
    processes: tuple[int, ...] = (1, 2, 4, 8)
    trial: tuple[int, int] = (1024, 128)
    trial_window: float = 1.0
    rehearsed: tuple[int, ...] = (468, 2048)
    run_epochs: int = 30


QUICK = Sizes(
    images=48, batches=(16,), repeats=2, same=(32, 16), learn=(96, 16), learn_epochs=2, memory_batch=16, memory_fits=4,
    processes=(1, 2), trial=(16, 8), trial_window=0.2, rehearsed=(24,), run_epochs=3,
)  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """Where the checks run. `folder` is for their files; `deadline` (of `time.monotonic`) is for what has no target."""

    device: torch.device
    sizes: Sizes
    folder: Path
    deadline: float

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.cuda:
            torch.cuda.synchronize()


@dataclass
class Row:
    """One line of the table. `passed` is None where there is no target, or nothing to hold against it here."""

    name: str
    value: float | str
    unit: str = ""
    spread: str = ""
    target: str = ""
    passed: bool | None = None


def skipped(name: str, target: str = "") -> Row:
    return Row(name, SKIPPED, target=target)


# -- data


@functools.cache
def _all_images(n: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(SEED)
    labels = torch.randint(len(CLASSES), (n,), generator=source)
    side = IMAGE_SIZE // _TILE
    tiles = torch.randint(192, (len(CLASSES), side, side, 3), dtype=torch.uint8, generator=source)
    pattern = tiles.repeat_interleave(_TILE, 1).repeat_interleave(_TILE, 2)
    pixels = pattern[labels]
    pixels += torch.randint(64, pixels.shape, dtype=torch.uint8, generator=source)
    return pixels, labels


def images(sizes: Sizes, n: int) -> tuple[Tensor, Tensor]:
    """The first `n`: pixels uint8 (n, 160, 160, 3) and class indices int64 (n,), which can be learned from them."""
    pixels, labels = _all_images(max(sizes.images, n))
    return pixels[:n], labels[:n]


def project(setup: Setup, n: int, batch: int) -> RunSpec:
    """A finetune of three epochs, one a stage, on `n` images to train on and few for the rest, as files."""
    root = setup.folder / f"{n} images, batch {batch}"
    root.mkdir(exist_ok=True)
    config = TrainConfig(
        "finetune", 3, lr_head=5e-4, lr_backbone=1e-4, batch=batch, weights="none", seed=SEED,
        stage2_epoch=1, stage3_epoch=2,
    )  # fmt: skip
    pixels, labels = images(setup.sizes, n)
    counts = {"train": n, "val": min(n, 16), "test": 1}
    csvs: dict[str, Path] = {}
    for part in PARTS:
        csvs[part] = root / f"{part}.csv"
        with csvs[part].open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(("path", "label"))
            for i in range(counts[part]):
                Image.fromarray(pixels[i].numpy()).save(root / f"{part}_{i}.bmp")
                table.writerow((f"{part}_{i}.bmp", CLASSES[int(labels[i])]))
    return RunSpec(root, csvs, root / "out", config)


# -- a model that trains


@functools.cache
def _calibrated(sizes: Sizes) -> nn.Module:
    """On the CPU, random weights, BatchNorm statistics that fit the images: else eval mode gives constants."""
    config = TrainConfig("finetune", 3, lr_head=1e-3, lr_backbone=1e-3, weights="none")
    model, _ = build_model(config, CLASSES)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain mean
    with torch.no_grad():
        pixels, _ = images(sizes, min(_CALIBRATION_IMAGES, sizes.images))
        model.train()(normalise(pixels.permute(0, 3, 1, 2), torch.device("cpu")))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    return model


class Learner:
    """A model in one stage, with all that trains it; on a GPU by graphs, unless `graphs` is False."""

    def __init__(
        self, setup: Setup, stage: int, compute: Compute, lr_head: float = 5e-4, lr_body: float = 1e-4, *,
        graphs: bool = True,
    ) -> None:  # fmt: skip
        self.setup, self.stage, self.compute = setup, stage, compute
        self.model = copy.deepcopy(_calibrated(setup.sizes)).to(setup.device)
        self.cut = StageBoundary(self.model, stage)
        set_stage(self.model, stage)
        train_mode(self.model, stage)
        config = TrainConfig("finetune", 3, lr_head=lr_head, lr_backbone=lr_body)
        self.optimizer: torch.optim.Optimizer = make_optimizer(self.model, config)
        self.scaler = compute.scaler()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.graphs = StepGraphs(setup.device, self.trained) if setup.cuda and graphs else None

    def epoch(self, inputs: Batches, forward: Forward | None = None) -> PassResult:
        forward = self.cut.after if forward is None else forward  # a compiled module has no truth value
        return train_epoch(forward, inputs, 0, self.optimizer, self.scaler, self.compute, graphs=self.graphs)

    def inputs(self, n: int, batch: int, *, seed: int | None = SEED, resident: bool = True) -> StoredBatches:
        """The first `n` images at the stage's boundary; in file order, as they are, without `seed`."""
        pixels, labels = images(self.setup.sizes, n)
        kind: type[StoredBatches] = PixelBatches
        rows = pixels
        if self.stage < 3:
            kind = StoredBatches
            flips = [torch.full((n,), flip) for flip in ((False, True) if seed is not None else (False,))]
            rows = torch.stack([frozen_rows(self.cut, self.compute, pixels, flip) for flip in flips], 1).flatten(0, 1)
        return kind(
            Rows.of(rows), labels.tolist(), set(), batch, seed=seed, device=self.setup.device,
            both_flips=self.stage < 3 and seed is not None, resident=resident,
        )  # fmt: skip


# -- a clock


def rates(setup: Setup, runs: dict[str, Callable[[], int]]) -> dict[str, list[float]]:
    """Images a second of each of `runs`, which return their images: warmed up, then by turns."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(setup.sizes.repeats):
        for name, run in runs.items():
            setup.wait()
            began = time.perf_counter()
            done = run()
            setup.wait()
            found[name].append(done / (time.perf_counter() - began))
    return found


def rate_row(name: str, values: list[float], unit: str = "images/s") -> Row:
    """The median, and from where to where."""
    return Row(name, round(statistics.median(values), 1), unit, f"{min(values):.1f} to {max(values):.1f}")


def ratio_row(name: str, ours: list[float], limit: list[float], least: float | None = None) -> Row:
    """The ratio of the medians; spread is that of the ratios turn by turn."""
    ratio = statistics.median(ours) / statistics.median(limit)
    turns = [a / b for a, b in zip(ours, limit, strict=True)]
    row = Row(name, round(ratio, 3), "ratio", f"{min(turns):.3f} to {max(turns):.3f}")
    if least is not None:
        row.target, row.passed = f">= {least}", ratio >= least
    return row
