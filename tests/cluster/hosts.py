"""Hosts on one machine: each has a network, processes, a root and a disk of its own, and no folder with another host.

Linux namespaces, for root only. Everything of a host ends with this process, also where that is killed: processes and
cables with their namespaces, mounts with their host. Only disks stay, in the folder that a lab is given.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

BOOT = Path(__file__).with_name("boot.sh")
HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
TOOLS = {
    **dict.fromkeys(("unshare", "nsenter", "setpriv", "taskset"), "util-linux"),
    **{"ip": "iproute2", "/usr/sbin/sshd": "openssh-server", "ssh": "openssh-client", "rsync": "rsync", "make": "make"},
}
"""What hosts need, and the Debian package that has it."""
NAMESPACES = ("--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child=KILL")
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
PREFIX = 24


def refused() -> str:
    """Why this machine cannot have such hosts, and what to install; "" where it can."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        return f"needs programs that are not installed: apt-get install {' '.join(missing)}"
    attempt = "mount -t tmpfs none /mnt && ip link add a0 type veth peer name a1 && ip link add b0 type bridge"
    try:
        line = ["unshare", *NAMESPACES, "sh", "-c", attempt]
        said = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60).stderr.strip()
    except OSError as error:
        said = str(error)
    return said and f"needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN (in Docker: --privileged): {said}"


class Switch:
    """What the hosts' cables are plugged into: a bridge, in a network of its own without a way out."""

    def __init__(self) -> None:
        line = [*DIES_WITH_US, "unshare", "--net", "sh", "-c", "ip link add br0 type bridge && ip link set br0 up && "
                "echo up && exec sleep infinity"]  # fmt: skip
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None and self._process.stdout.readline() == "up\n"

    def __enter__(self) -> Switch:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def plug(self, port: str, pid: int) -> None:
        """A cable from a new port to eth0 of the process's network."""
        self._ip(f"link add name {port} type veth peer name eth0 netns {pid}")
        self._ip(f"link set dev {port} master br0 up")

    def unplug(self, port: str) -> None:
        """Both ends of the cable are gone when this returns; a dead host's go by themselves, but some time later."""
        if port in self.traffic():
            self._ip(f"link delete dev {port}")

    def cut(self, port: str) -> None:
        self._ip(f"link set dev {port} down")

    def mend(self, port: str) -> None:
        self._ip(f"link set dev {port} up")

    def traffic(self) -> dict[str, int]:
        """Bytes that have gone over each port's cable, both ways, since it was plugged in."""
        links = json.loads(self._ip("-stats -json link show master br0"))
        return {link["ifname"]: sum(link["stats64"][way]["bytes"] for way in ("rx", "tx")) for link in links}

    def _ip(self, words: str) -> str:
        line = ["nsenter", "--target", str(self._process.pid), "--net", "ip", *words.split()]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {words}: {done.stderr}"
        return done.stdout


class Host:
    """A machine on a switch: an address, sshd, and a disk that outlives it.

    Args:
        names: address by name of all hosts of the lab.
        disk: the folder that is this host's disk.
        cpus: the CPUs of this machine that it has, as `taskset` takes them; None for all.
    """

    def __init__(
        self, name: str, names: Mapping[str, str], switch: Switch, disk: Path, cpus: str | None = None
    ) -> None:
        self.name, self.names, self.disk, self.cpus = name, names, disk, cpus
        self._switch = switch
        self._process: subprocess.Popen[str] | None = None
        self._pid = 0

    @property
    def address(self) -> str:
        return self.names[self.name]

    @property
    def on(self) -> bool:
        return self._process is not None

    @property
    def home(self) -> Path:
        """Its home, as this process sees it."""
        return self.disk / "files" / HOME.relative_to("/")

    def power_on(self) -> None:
        (self.disk / "root").mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.disk / "files/tmp", ignore_errors=True)
        line = [*DIES_WITH_US, "unshare", *NAMESPACES, "sh", str(BOOT)]
        if self.cpus is not None:
            line = ["taskset", "--cpu-list", self.cpus, *line]
        with (self.disk / "console").open("ab") as console:
            self._process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=console, text=True,
                env=self._environment(), start_new_session=True,
            )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pid = _child(self._process.pid)
        self._switch.plug(self.name, self._pid)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "up\n", (self.disk / "console").read_text()

    def power_off(self) -> None:
        """As when the power fails: every process is gone at once, no one is told, and what is on the disk stays."""
        if self._process is not None:
            self._switch.unplug(self.name)
            self._process.kill()
            self._process.communicate()
            self._process = None

    def signal_all(self, name: str) -> None:
        """Every process of the host but its first gets the signal."""
        subprocess.run([*self._inside(), "sh", "-c", f"kill -{name} -1"], check=False)

    def line(self, command: str) -> list[str]:
        """What runs a shell's command on the host, in its home."""
        clean = ["env", "-i", f"HOME={HOME}", f"USER={pwd.getpwuid(os.getuid()).pw_name}", "TERM=dumb"]
        return [*self._inside(), *clean, "bash", "--login", "-c", f"cd; . ~/.bashrc; {command}"]

    def run(self, command: str, *, timeout: float = 120) -> str:
        """What the command prints. Raises AssertionError where it fails."""
        done = subprocess.run(
            self.line(command), timeout=timeout, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, f"{self.name}: {command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def _inside(self) -> list[str]:
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
        return ["nsenter", "--target", str(self._pid), *spaces]

    def _environment(self) -> dict[str, str]:
        """What boot.sh asks for."""
        # Debian gives a machine's own name such an address, with which no other host can do anything.
        names = {"localhost": "127.0.0.1", self.name: "127.0.1.1"}
        lines = [f"{number} {name}" for name, number in (*names.items(), *self.names.items())]
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(HOME),
            "ROOT": str(self.disk / "root"),
            "DISK": str(self.disk / "files"),
            "LAYER": str(self.disk / "venv"),
            "NAME": self.name,
            "ADDRESS": f"{self.address}/{PREFIX}",
            "HOSTS": "\n".join(lines),
            "SHOWN": sys.base_prefix,
            "VENV": sys.prefix,
        }


def _child(pid: int) -> int:
    """The only child of a process, once it is there."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not (found := children.read_text().split()):
        pass
    return int(found[0])
