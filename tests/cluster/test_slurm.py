"""clusters/slurm.sbatch on a real Slurm of two hosts; both see this checkout, as they would in a shared home folder."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import make_project
from ray_runs import ROOT, RUNS

hosts = pytest.importorskip("hosts")
pytestmark = pytest.mark.cluster
FIRST, SECOND = "n1", "n2"
NAMES = {FIRST: "192.0.2.10", SECOND: "192.0.2.11"}
PROGRAMS = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
"""What Slurm needs, and the Debian package that has it."""
CONFIGURATION = f"""
ClusterName=lab
SlurmctldHost={FIRST}({NAMES[FIRST]})
SlurmUser=root
AuthInfo=socket=/run/munge.socket,cred_expire=10
StateSaveLocation=/var/slurmctld
SlurmdSpoolDir=/var/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/slurmctld.log
SlurmdLogFile=/var/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SlurmdTimeout=20
MpiDefault=none
PartitionName=gpu Nodes=ALL
""" + "".join(f"NodeName={name} NodeAddr={address} CPUs=2 RealMemory=4000\n" for name, address in NAMES.items())
OPTIONS = "--weights none --batch 8 --epochs 3 --only probe_M1,finetune_M1"


class Slurm:
    """Two hosts with Slurm, and a folder on the first from which jobs are submitted."""

    def __init__(self, folder: Path) -> None:
        self.switch = hosts.Switch()
        self.hosts = {name: Host(name, NAMES, self.switch, folder / name) for name in NAMES}
        self.first = self.hosts[FIRST]
        self.project = make_project(self.first.home / "project")
        script = (ROOT / "clusters/slurm.sbatch").read_text(encoding="utf-8")
        job = self.first.home / "checkout"
        (job / ".venv").parent.mkdir()
        (job / ".venv").symlink_to(sys.prefix)
        for given, ours in (("=/path/to/project ", f"={hosts.HOME}/project "), ("=2000000000 ", "=100000000 ")):
            assert given in script
            script = script.replace(given, ours)
        (job / "slurm.sbatch").write_text(script)
        self.folder = job

    def power_on(self) -> None:
        key = secrets.token_bytes(64)
        for host in self.hosts.values():
            host.home.mkdir(parents=True, exist_ok=True)
            (host.home / "slurm.conf").write_text(CONFIGURATION)
            (host.home / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # the hosts have none of any version
            (host.home / "munge.key").write_bytes(key)
            (host.home / "munge.key").chmod(0o600)
            (host.home / ".bashrc").write_text(f"export SLURM_CONF=~/slurm.conf PYTHONPATH={ROOT}\n")
            host.power_on()
            host.run("munged --force --key-file=$HOME/munge.key --socket=/run/munge.socket --seed-file=/run/munge.seed "
                     "--log-file=/var/munge.log --pid-file=/run/munge.pid")  # fmt: skip
        self.first.run("mkdir -p /var/slurmctld && slurmctld -c -f ~/slurm.conf")
        for host in self.hosts.values():
            host.run("mkdir -p /var/slurmd && slurmd -f ~/slurm.conf")
        self.wait("idle idle", "sinfo --noheader --Node --format=%T | xargs")

    def submit(self, output: str, options: str = OPTIONS) -> str:
        """The job's number."""
        sizes = "--cpus-per-task=1 --mem=2G --gpus-per-node=0 --time=20"
        line = f"cd ~/checkout && sbatch --parsable {sizes} slurm.sbatch --output-root ~/{output} {options}"
        return self.first.run(line).split()[-1]

    def wait(self, wanted: str, command: str, seconds: float = 600) -> None:
        end = time.monotonic() + seconds
        while (said := self.first.run(command).strip()) != wanted:
            given_up = time.monotonic() > end or said in {"FAILED", "CANCELLED", "NODE_FAIL"}
            assert not given_up, f"{command}: {said}\n{self.logs()}"
            time.sleep(0.5)

    def wait_until_done(self, job: str) -> None:
        self.wait("COMPLETED", f"scontrol show job {job} | grep -o 'JobState=[A-Z]*' | cut -d= -f2")

    def logs(self) -> str:
        ends = (path.read_text("utf-8", "replace")[-3000:] for path in sorted(self.folder.glob("*.log")))
        return "\n".join([self.first.run("squeue; scontrol show job"), *ends])

    def log(self, job: str) -> str:
        path = self.folder / f"emosweep-{job}.log"
        return path.read_text("utf-8") if path.exists() else ""


class Host(hosts.Host):  # type: ignore[name-defined,misc]
    def _environment(self) -> dict[str, str]:
        environment: dict[str, str] = super()._environment()
        return {**environment, "SHOWN": f"{environment['SHOWN']}\n{ROOT}"}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if why := hosts.refused() or (
        missing and f"needs programs that are not installed: apt-get install {' '.join(missing)}"
    ):
        pytest.skip(f"NOT TESTED: {why}")
    made = Slurm(tmp_path_factory.mktemp("slurm"))
    with made.switch:
        try:
            made.power_on()
            yield made
        finally:
            for host in made.hosts.values():
                host.power_off()


def trained(slurm: Slurm, output: str) -> set[str]:
    return {path.parent.name for path in (slurm.first.home / output / RUNS).glob("*/best.pt")}


def test_two_jobs_at_once_on_the_same_nodes(slurm: Slurm) -> None:
    """Both train on both nodes, and leave neither process nor folder there."""
    jobs = [slurm.submit("one"), slurm.submit("two")]
    for job, output in zip(jobs, ("one", "two"), strict=True):
        slurm.wait_until_done(job)
        assert trained(slurm, output) == {"probe_M1_160", "finetune_M1_160"}
        ray = (slurm.folder / f"emosweep-{job}-ray.log").read_text("utf-8")
        assert ray.count("Ray runtime started") == 2
    for host in slurm.hosts.values():
        assert host.run("pgrep raylet || true") == ""
        assert host.run("ls /tmp | grep ^emosweep-[0-9] || true") == ""
    assert not (slurm.hosts[SECOND].home / "project").exists(), "the second node had the project"


def test_a_job_whose_time_is_up_goes_on(slurm: Slurm) -> None:
    """Slurm's warning, sent by hand, comes within the run."""
    job = slurm.submit("long", OPTIONS.replace("epochs 3", "epochs 30"))
    end = time.monotonic() + 400
    while not re.search(r"finetune_M1: epoch [4-9]/30", slurm.log(job)):
        assert time.monotonic() < end, slurm.logs()
        time.sleep(0.2)
    slurm.first.run(f"scancel --batch --signal=USR1 {job}")
    slurm.wait("PENDING", f"scontrol show job {job} | grep -o 'JobState=[A-Z]*' | cut -d= -f2")
    before = slurm.log(job)
    slurm.wait_until_done(job)
    epochs = re.findall(r"finetune_M1: epoch (\d+)/30", slurm.log(job))
    assert epochs == [str(number) for number in range(1, 31)], "none is lost, and none done twice"
    assert "epoch 30/30" not in before


def test_a_node_that_is_lost_costs_no_job(slurm: Slurm) -> None:
    """Slurm itself notices after 20 seconds here. The last test: its host is off afterwards."""
    job = slurm.submit("lost", "--weights none --batch 8 --epochs 40 --only finetune_M1,finetune_M2")
    end = time.monotonic() + 400
    while len({*re.findall(r"(finetune_M.): epoch [4-9]/", slurm.log(job))}) < 2:
        assert time.monotonic() < end, slurm.logs()
        time.sleep(0.2)
    slurm.hosts[SECOND].power_off()
    slurm.wait_until_done(job)
    assert trained(slurm, "lost") == {"finetune_M1_160", "finetune_M2_160"}
