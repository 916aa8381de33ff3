"""A process that is told to end still sends what is on its way."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROCESS = """
import signal, sys, time
from pathlib import Path
from trainable.base.last_moment import before_the_end

if sys.argv[2] == "handled":  # as Ray's workers do
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))

def act():
    time.sleep(0.2)
    Path(sys.argv[1]).write_text("sent")
    if sys.argv[2] == "broken":
        raise OSError("the driver has gone")

before_the_end(act)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("kind", "code"), [("plain", -signal.SIGTERM), ("handled", 7), ("broken", -signal.SIGTERM)])
def test_what_was_to_follow_follows_when_it_is_sent(tmp_path: Path, kind: str, code: int) -> None:
    sent = tmp_path / "sent"
    line = [sys.executable, "-c", PROCESS, str(sent), kind]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=60)
    assert (process.returncode, sent.read_text(encoding="utf-8")) == (code, "sent")
