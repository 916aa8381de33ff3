"""What the system's memory costs: seconds a GB on first touch, again at once, and again after a pause.

    python -m benchmarks.first_touch [--gb 4] [--pause 60]

A virtual machine that hands freed memory back to its host pays for it anew each time. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

PAGE = 4096


def touch(gb: int) -> float:
    """Seconds a GB to write to every page of memory that is new to this process."""
    began = time.perf_counter()
    memory = np.empty(gb << 30, dtype=np.uint8)
    memory[::PAGE] = 1
    return (time.perf_counter() - began) / gb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=int, default=4)
    parser.add_argument("--pause", type=float, default=60)
    options = parser.parse_args()
    found = {"first": touch(options.gb), "at_once": touch(options.gb)}
    time.sleep(options.pause)
    print(json.dumps({**found, "after_the_pause": touch(options.gb)}))


if __name__ == "__main__":
    main()
