"""A laptop, a head and workers on one switch, and the repository's own cluster.yaml, launched from the laptop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shlex import quote

import yaml
from hosts import HOME, Host, Switch
from ray_runs import ROOT

from faceapi.node.process import NODE_DIR

LAPTOP, HEAD, WORKERS, LATE = "laptop", "head", ("worker1", "worker2"), "worker3"
# The addresses that cluster.yaml has: they are for documentation (RFC 5737), and nobody's.
NAMES = {LAPTOP: "192.0.2.1", HEAD: "192.0.2.10", "worker1": "192.0.2.11", "worker2": "192.0.2.12", LATE: "192.0.2.13"}
CHECKOUT = "emosweep"
ENTER = f"cd ~/{CHECKOUT} && . .venv/bin/activate"
MODELS = "node_modules/@vladmandic/face-api/model"

# There is no registry here. What `make setup` would fetch is installed, and it installs this project itself over it.
BASHRC = """
export PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_NO_BUILD_ISOLATION=0 UV_OFFLINE=1 UV_NO_BUILD_ISOLATION=1
export RAY_UP_enable_autoscaler_v2=0 RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token
"""
WAIT = """
import ray, sys, time
ray.init("auto", logging_level="ERROR")
wanted, end = set(sys.argv[2:]), time.monotonic() + float(sys.argv[1])
def alive():
    return {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
while (nodes := alive()) != wanted and time.monotonic() < end:
    time.sleep(0.3)
print("nodes:", *nodes)
"""


class Lab:
    """All hosts are up in the block, and know nothing of this project but what `make setup` would fetch.

    Args:
        folder: for the hosts' disks.
        cpus: by a host's name, which of this machine's CPUs it has.
    """

    def __init__(self, folder: Path, cpus: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self.switch = Switch()
        self.hosts = {name: Host(name, NAMES, self.switch, folder / name, (cpus or {}).get(name)) for name in NAMES}
        self.head, self.laptop = self.hosts[HEAD], self.hosts[LAPTOP]

    def __enter__(self) -> Lab:
        with ExitStack() as stack:
            stack.enter_context(self.switch)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key")], check=True)
            for host in self.hosts.values():
                stack.callback(host.power_off)
                _furnish(host, (self.folder / "key.pub").read_text())
                host.power_on()
                host.run(f"rm -f {sys.prefix}/.installed")  # so that `make setup` has something to do
            self._checkout()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _checkout(self) -> None:
        """What a user has on the laptop: this checkout, the key to all hosts, and the cluster's token."""
        checkout = self.laptop.home / CHECKOUT
        (checkout / "build").mkdir()
        pack(checkout / "build/emosweep.tar.gz")
        (checkout / "cluster.yaml").write_text(filled_in(), encoding="utf-8")
        shutil.copy(self.folder / "key", self.laptop.home / ".ssh/id_ed25519")
        self.laptop.run(f"{ENTER}; ray get-auth-token --generate")

    def ray_up(self) -> str:
        """Launch the cluster, or launch it again. Returns what is printed; workers may still be on their way."""
        return self.laptop.run(f"{ENTER}; ray up -y cluster.yaml", timeout=300)

    def nodes(self, *wanted: str, seconds: float = 0) -> set[str]:
        """The cluster's live nodes by name, as the head sees them; none where there is no cluster.

        Args:
            wanted: which nodes to wait for, and no others.
            seconds: for so long at most.
        """
        addresses = " ".join(NAMES[name] for name in wanted)
        try:
            printed = self.head.run(f"{ENTER}; python -c {quote(WAIT)} {seconds} {addresses}", timeout=seconds + 60)
        except AssertionError:
            return set()
        found = printed.rpartition("nodes:")[2].split()
        return {name for name, address in NAMES.items() if address in found}

    def wait_for_nodes(self, *workers: str) -> None:
        """Wait for the head, these workers, and no others."""
        assert self.nodes(HEAD, *workers, seconds=120) == {HEAD, *workers}

    def launched(self, *, afresh: bool = False) -> None:
        """The head and both workers, and no others, whatever happened before."""
        away = [host for host in self.hosts.values() if not host.on]
        for host in away:
            host.power_on()
        if afresh or away or self.nodes() != {HEAD, *WORKERS}:
            self.hosts[LATE].power_off()
            self.hosts[LATE].power_on()
            self.ray_up()
            self.wait_for_nodes(*WORKERS)

    def join(self, host: Host) -> None:
        """Another worker joins the cluster, by the files and commands that cluster.yaml has for one."""
        ssh = "ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR"
        config = yaml.safe_load(filled_in())
        self.laptop.run(f"{ssh} {host.address} mkdir -p ~/.ray")
        for target, source in config["file_mounts"].items():
            self.laptop.run(f"cd {CHECKOUT}; rsync -ae '{ssh}' {source} {host.address}:{target}")
        for line in (*config["setup_commands"], *config["worker_start_ray_commands"]):
            script = f"export RAY_HEAD_IP={self.head.address}; {line}"
            self.laptop.run(f"{ssh} {host.address} {quote(f'bash --login -c {quote(script)}')}")

    @contextmanager
    def cut_off(self, host: Host, seconds: float) -> Iterator[None]:
        """The host's cable is cut during the block, and for so long at least."""
        self.switch.cut(host.name)
        end = time.monotonic() + seconds
        try:
            yield
            time.sleep(max(0, end - time.monotonic()))
        finally:
            self.switch.mend(host.name)

    @contextmanager
    def running(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """A command of ours under way on the head."""
        line = self.head.line(f"{ENTER}; exec python -m orchestrator {' '.join(map(str, arguments))}")
        with subprocess.Popen(
            line, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # what runs inside, too


def _furnish(host: Host, public_key: str) -> None:
    """What is on a disk before anything is launched: the user's key, and the packages that `make setup` would fetch."""
    (host.home / ".ssh").mkdir(parents=True)
    (host.home / ".ssh/authorized_keys").write_text(public_key)
    (host.home / ".bashrc").write_text(BASHRC)
    (host.home / CHECKOUT).mkdir()
    (host.home / CHECKOUT / ".venv").symlink_to(sys.prefix)
    node = host.home / CHECKOUT / "faceapi/node"
    (node / "node_modules").mkdir(parents=True)
    if host.name == HEAD and (NODE_DIR / MODELS).is_dir():
        shutil.copytree(NODE_DIR / MODELS, node / MODELS)
    (node / "node_modules/.installed").touch()


def filled_in() -> str:
    """cluster.yaml with its places filled in, and with what hosts need that see the whole of one machine."""
    text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    own = "--object-store-memory 134217728"
    for old, new in {
        "ssh_user: researcher": f"ssh_user: {HOME.owner()}",
        # Ray would take all CPUs and a third of all memory for every host. The head trains nothing.
        "ray start --head": f"ray start --head --num-cpus 0 {own}",
        "ray start --address": f"ray start --num-cpus 1 {own} --address",
    }.items():
        assert text.count(old) == 1, f"cluster.yaml: {old}"
        text = text.replace(old, new)
    return text


def pack(archive: Path) -> None:
    """The checkout as `git archive` has it, but with what is not committed yet."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with tarfile.open(archive, "w:gz") as tar:
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).exists():
                tar.add(ROOT / name, name)
