"""What a simulated training takes: of its own, and of the node and the process that it runs in."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.execution.entries import Entry
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

SEED = 1337


@dataclass(frozen=True)
class Overheads:
    """What there is besides the training itself.

    Args:
        process: seconds until a new process can train; those of a command are used again.
        begin: seconds until a training begins, or goes on, in a process.
        epoch: seconds after each epoch, for its state and for the driver.
        decoding: images per second and CPU, once on each node; 0 for images that are decoded already.
        image_bytes: of an image's file, which travels once to each node but the driver's.
        link: bytes per second that leave the driver's machine.
    """

    process: float = 0.0
    begin: float = 0.0
    epoch: float = 0.0
    decoding: float = 0.0
    image_bytes: float = 0.0
    link: float = math.inf


ON_GPU = Overheads(process=19.2, begin=0.3, epoch=0.05, decoding=1000.0, image_bytes=8000.0, link=1e9)
"""A process: what the first run in it took longer than the next one (21.8 and 2.6 s, docs/performance.md)."""
ON_CPU = Overheads(process=4.0, begin=0.3, epoch=0.05, decoding=1000.0, image_bytes=8000.0, link=1e9)


@dataclass(frozen=True)
class Work:
    """A training that is simulated.

    Args:
        seconds: of each epoch that is left.
        features: seconds for the frozen layers' features, once on each node.
        test: seconds after the last epoch.
        images: of its split.
        history: epochs of earlier commands.
    """

    entry: Entry
    config: TrainConfig
    seconds: Sequence[float]
    features: float = 0.0
    test: float = 0.0
    images: int = 0
    history: TrialHistory = field(default_factory=TrialHistory)


def made_up_score(name: str, epoch: int) -> float:
    """A validation macro-F1 that nobody has measured: each training has a quality of its own, improves with time, and
    is judged with some noise. It depends on the name and the epoch alone.
    """
    quality = random.Random(f"{SEED} {name}").gauss(0, 1)
    noise = random.Random(f"{SEED} {name} {epoch}").gauss(0, 1)
    return 0.5 + 0.05 * quality + 0.2 * (1 - math.exp(-epoch / 10)) + 0.01 * noise
