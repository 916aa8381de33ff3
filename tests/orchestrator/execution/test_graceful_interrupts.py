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


def run(*signals: int, code: str = RUN) -> subprocess.CompletedProcess[str]:
    def heard() -> None:  # also where the tests themselves run under nohup, which children inherit
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    command = [sys.executable, "-c", code, *map(str, signals)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=heard)


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


# -- a terminal that is closed


def test_a_closed_terminal_asks_the_run_to_stop() -> None:
    done = run(signal.SIGHUP)
    said, state, restored = done.stdout.splitlines()
    assert "epochs in hand" in said
    assert (done.returncode, state, restored) == (0, "stop", "True")


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_closed_terminal_is_never_the_second_signal(first: int) -> None:
    """The system and the shell both tell of it, and the epochs in hand are to be saved."""
    done = run(first, signal.SIGHUP, signal.SIGHUP, code=RUN.replace("time.sleep(60)", "pass"))
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (0, ["stop", "True"])


def test_ctrl_c_after_a_closed_terminal_ends_the_process_at_once() -> None:
    done = run(signal.SIGHUP, signal.SIGINT)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (130, "left")


def test_under_nohup_a_run_goes_on() -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + RUN
    done = run(signal.SIGHUP, code=ignoring)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["on", "True"])


HELD = """
import os, signal, subprocess, sys, threading
from orchestrator.execution.interrupts import graceful_interrupts, hangups_held_back

stop = threading.Event()
with hangups_held_back():
    child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"],
                             stdout=subprocess.PIPE)
    child.stdout.readline()
    os.kill(os.getpid(), signal.SIGHUP)
    print("before", stop.is_set(), flush=True)
    with graceful_interrupts(stop, lambda text: None, lambda: None):
        print("within", stop.is_set(), flush=True)
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGCONT)
        try:
            print("child", child.wait(1))
        except subprocess.TimeoutExpired:
            print("child alive")
    child.kill()
print("after")
"""


def test_processes_of_a_run_outlive_the_terminal_and_the_run_hears_of_it() -> None:
    done = run(code=HELD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["before False", "within True", "child alive", "after"]


# -- messages that cannot be printed


@pytest.mark.parametrize("error", ["BrokenPipeError", "ValueError('closed')", "RuntimeError('reentrant call')"])
def test_a_message_that_cannot_be_printed_costs_no_epoch(error: str) -> None:
    unprintable = f"def fail(text): raise {error}\n" + RUN.replace("lambda text: print(text, flush=True)", "fail")
    done = run(signal.SIGINT, code=unprintable)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, ["stop", "True"], "")


def test_a_terminal_that_cannot_be_restored_keeps_no_process_alive() -> None:
    broken = "def fail(): raise OSError\n" + RUN.replace('lambda: print("left", flush=True)', "fail")
    assert run(signal.SIGINT, signal.SIGINT, code=broken).returncode == 130
