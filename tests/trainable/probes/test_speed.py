"""How fast this machine trains."""

from __future__ import annotations

import json
import subprocess
import sys


def test_it_measures_this_machine() -> None:
    command = [sys.executable, "-m", "trainable.probes.speed", "--batch", "2", "--threads", "1", "--seconds", "0.1"]
    done = subprocess.run([*command, "--device", "cpu"], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    assert found["images_per_second"] > 0
    assert (found["gpus"], found["device"]) == (0, "cpu")
