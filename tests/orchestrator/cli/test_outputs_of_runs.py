"""Real runs whose output goes nowhere, and a terminal that is closed: the epochs are saved, the exit code is earned."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

import pytest
from ray_runs import ROOT, RUNS, command, epoch_reached, wait_for

pytestmark = pytest.mark.ray
LONG = ("--only", "finetune_M1", "--epochs", 200)
SHORT = ("--only", "probe_M1", "--epochs", 1)
FOLDER = "finetune_M1_160"


def listen() -> None:
    """A background job of a shell inherits an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def end(process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait for the end of a run that was interrupted, and look at what it saved."""
    assert process.wait(300) == 130
    assert epoch_reached(output, FOLDER) >= 3
    assert (output / RUNS / FOLDER / ".checkpoints/last.pt").is_file()
    assert not (output / RUNS / FOLDER / "best.pt").exists()
    assert (output / "reports/index.html").is_file()


def test_ctrl_c_that_ends_the_reader_too_saves_the_epoch(shared_project: Path, tmp_path: Path) -> None:
    """`run-all | tee log`: tee gets the same SIGINT, and is gone when the run wants to say that it stops."""
    process = subprocess.Popen(
        command(shared_project, tmp_path, *LONG), cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True,
        preexec_fn=listen,
    )  # fmt: skip
    try:
        wait_for(lambda: epoch_reached(tmp_path, FOLDER) >= 3)
        assert process.stdout is not None
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        end(process, tmp_path)
    finally:
        process.kill()


@pytest.mark.parametrize(
    "nohup", [pytest.param(False, id="terminal"), pytest.param(True, id="nohup", marks=pytest.mark.nightly)]
)
def test_a_terminal_that_is_closed(nohup: bool, shared_project: Path, tmp_path: Path) -> None:
    """It ends a run as Ctrl-C does. The system tells Ray's processes too, which must not end before the epoch does.
    Under nohup nothing ends."""
    master, slave = pty.openpty()

    def on_this_terminal() -> None:
        listen()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)

    process = subprocess.Popen(
        command(shared_project, tmp_path, *(LONG if not nohup else (*LONG[:-1], 12))), cwd=ROOT, stdin=slave,
        stdout=slave, stderr=slave, start_new_session=True, preexec_fn=on_this_terminal,
    )  # fmt: skip
    os.close(slave)
    try:
        wait_for(lambda: epoch_reached(tmp_path, FOLDER) >= 3)
        os.close(master)
        if nohup:
            assert process.wait(300) == 0
            assert (tmp_path / RUNS / FOLDER / "best.pt").is_file()
        else:
            end(process, tmp_path)
            assert "Traceback" not in "".join(log.read_text() for log in (tmp_path / ".emosweep/logs").glob("*.log"))
    finally:
        process.kill()


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", pytest.param("> /dev/full 2>&1", marks=pytest.mark.nightly)])
def test_a_run_without_any_output_is_done(redirections: str, shared_project: Path, tmp_path: Path) -> None:
    line = command(shared_project, tmp_path, *SHORT, "--verbose")
    done = subprocess.run(["bash", "-c", f'"$@" {redirections}', "bash", *line], cwd=ROOT, timeout=240, check=False)
    assert done.returncode == 0
    assert (tmp_path / RUNS / "probe_M1_160/manifest.json").is_file()
    assert (tmp_path / "reports/index.html").is_file()
