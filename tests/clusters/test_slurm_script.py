"""What clusters/slurm.sbatch does with signals, exit codes and the token.

Stand-ins for Slurm's programs and Ray note what they are asked: a real Slurm needs root and services of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "clusters/slurm.sbatch"
STAND_INS = {
    "srun": 'case "$*" in *getent*) echo 192.0.2.10 STREAM n1;; *) env > "$NOTES/environment"; exec sleep 60;; esac',
    "scontrol": '[ "$1" = requeue ] || printf "n1\\nn2\\n"',
    "scancel": 'kill "$(cat "$NOTES/srun.pid")"',
    # The run is a trainer that ends with 130 when it is interrupted, as ours does.
    "python": """
        case "$*" in
            *token_hex*) echo 0123456789abcdef;;
            *socket*) echo 50000;;
            "- "*) until [ -s "$NOTES/environment" ]; do sleep 0.02; done;;
            *run-all*) trap 'exit 130' TERM; touch "$NOTES/runs"
                for i in $(seq $TURNS); do sleep 0.05; done; exit $CODE;;
        esac""",
}  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder in which `.venv/bin/activate` puts the stand-ins first."""
    place = tmp_path / ".venv/bin"
    place.mkdir(parents=True)
    (place / "activate").write_text(f"PATH={place}:$PATH\n")
    for name, body in STAND_INS.items():
        note = f'echo "{name} $*" >> "$NOTES/calls"; echo $$ > "$NOTES/{name}.pid"'
        (place / name).write_text(f"#!/bin/bash\n{note}\n{body}\n")
        (place / name).chmod(0o755)
    return tmp_path


def start(job: Path, code: int, turns: int) -> subprocess.Popen[bytes]:
    """The script, whose run takes so many twentieths of a second and ends with `code`."""
    slurm = {"JOB_ID": 7, "JOB_NODELIST": "n[1-2]", "JOB_NUM_NODES": 2, "CPUS_PER_TASK": 8, "SUBMIT_DIR": job}
    environment = {**os.environ, "NOTES": str(job), "CODE": str(code), "TURNS": str(turns)}
    environment |= {f"SLURM_{name}": str(value) for name, value in slurm.items()}
    return subprocess.Popen(["bash", str(SCRIPT), "--sweep", "lr"], env=environment)


def calls(job: Path) -> list[str]:
    return (job / "calls").read_text().splitlines()


def wait_for_run(job: Path) -> None:
    while not (job / "runs").exists():
        time.sleep(0.02)


def test_bash_reads_it() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_job_ends_as_its_run_does(job: Path, code: int) -> None:
    assert start(job, code, 1).wait(60) == code
    run = next(call for call in calls(job) if "run-all" in call)
    assert run.endswith("--address 192.0.2.10:50000 --project-root /path/to/project --sweep lr")
    assert "scancel --signal=TERM 7" in calls(job), "Ray ends with the run"
    assert "scontrol requeue 7" not in calls(job)


def test_a_job_whose_time_is_up_queues_itself_again(job: Path) -> None:
    process = start(job, 0, 1000)
    wait_for_run(job)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 130
    assert calls(job)[-1] == "scontrol requeue 7"


@pytest.mark.parametrize("code", [0, 1])
def test_a_run_that_ends_by_itself_is_not_queued_again(job: Path, code: int) -> None:
    """Its last epoch outlasts the signal: it is done, or has failed and would fail again."""
    python = job / ".venv/bin/python"
    python.write_text(python.read_text().replace("trap 'exit 130' TERM", "trap '' TERM"))
    process = start(job, code, 20)
    wait_for_run(job)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == code
    assert "scontrol requeue 7" not in calls(job)


def test_the_token_is_seen_by_the_job_alone(job: Path) -> None:
    """It is in the environment of the nodes' Ray, and on no command line."""
    assert start(job, 0, 1).wait(60) == 0
    environment = dict(line.split("=", 1) for line in (job / "environment").read_text().splitlines() if "=" in line)
    assert environment["RAY_AUTH_TOKEN"] == "0123456789abcdef"
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["RAY_LD_PRELOAD_ON_WORKERS"] == "1"
    assert "0123456789abcdef" not in (job / "calls").read_text()


def test_jobs_on_one_node_share_no_port_and_no_folder() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert re.search(r"RAY_TMPDIR=\S*\$SLURM_JOB_ID", text)
    assert "--min-worker-port=0 --max-worker-port=0" in text
    assert "auto" not in re.sub(r"#.*", "", text), "Ray would find another job's cluster"
    assert not re.search(r"^[^#]*\bray stop\b", text, re.M), "it ends every Ray of this user on the node"
