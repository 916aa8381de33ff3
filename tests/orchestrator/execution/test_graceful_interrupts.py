"""What the first and the second signal do to a run, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

RUN = """
import os, signal, sys, threading, time
from orchestrator.execution.interrupts import graceful_interrupts

stop = threading.Event()
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
with graceful_interrupts(stop, lambda text: print(text, flush=True), lambda: print("left", flush=True)):
    os.kill(os.getpid(), int(sys.argv[1]))
    print("stop" if stop.is_set() else "on", flush=True)
    for number in sys.argv[2:]:
        os.kill(os.getpid(), int(number))
        time.sleep(60)
print(before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)), flush=True)
"""


def run(*signals: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, *map(str, signals)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_the_run_to_stop(number: int) -> None:
    done = run(number)
    said, state, restored = done.stdout.splitlines()
    assert "epochs in hand" in said
    assert (done.returncode, state, restored) == (0, "stop", "True")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process_at_once(second: int) -> None:
    """The terminal is left usable before that."""
    done = run(signal.SIGINT, second)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (130, "left")
