"""What it takes to save and to load a run's state in stage 3: tensor by tensor, and packed by
`trainable.run.checkpoint_format`.

    python -m benchmarks.checkpoints

One thread; the two ways alternate, and each figure is the median of some pairs. Takes some ten seconds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.floor import Stage3
from trainable.run.checkpoint_format import pack, unpack
from trainable.run.checkpoints import save_torch

PAIRS = 15


def state_of_a_run() -> dict[str, Any]:
    stage = Stage3(8, 1)
    stage.epoch(8)
    best = {name: tensor.clone() for name, tensor in stage.model.state_dict().items()}
    return {"model": stage.model.state_dict(), "optimizer": stage.optimizer.state_dict(), "best": {"model": best}}


def milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    state = state_of_a_run()
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "plain.pt"), Path(folder, "packed.pt")
        ways = {
            "save": (lambda: save_torch(plain, state), lambda: save_torch(packed, pack(state))),
            "load": (
                lambda: torch.load(plain, weights_only=True),
                lambda: unpack(torch.load(packed, weights_only=True)),
            ),
        }
        for name, (one, other) in ways.items():
            pairs = [(milliseconds(one), milliseconds(other)) for _ in range(PAIRS)]
            ratio = statistics.median(a / b for a, b in pairs)
            a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"{name}: {a:.0f} ms tensor by tensor, {b:.0f} ms packed, {ratio:.1f} times as fast")
        sizes = (file.stat().st_size / 1e6 for file in (plain, packed))
        print("size: {:.1f} MB tensor by tensor, {:.1f} MB packed, since the best epoch is this one".format(*sizes))


if __name__ == "__main__":
    main()
