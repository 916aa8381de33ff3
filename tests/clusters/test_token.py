"""A real Ray, started by the commands of the shipped files: nobody gets in without the token."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from test_ray_up import read, start_commands

grpc = pytest.importorskip("grpc")
pytestmark = [pytest.mark.ray, pytest.mark.nightly]
TOKEN = "0123456789abcdef" * 4
CALLS = ("NodeInfoGcsService/GetAllNodeInfo", "NodeManagerService/GetNodeStats", "ObjectManagerService/Pull")
"""One of each server that every node has: the cluster's directory, the raylet, its objects."""


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("", 0))
        return int(held.getsockname()[1])


@contextmanager
def head(provider: str, home: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The file's command for the head, in a home with this project, without an autoscaler, in the foreground."""
    (home / "emosweep").mkdir()
    (home / "emosweep/.venv").symlink_to(sys.prefix)
    command = start_commands(read(provider))["head"]
    for given, ours in (
        ("--port=6379", f"--port={port}"),
        ("--autoscaling-config=~/ray_bootstrap_config.yaml", "--object-store-memory=100000000 --block"),
    ):
        assert given in command
        command = command.replace(given, ours)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "RAY_TMPDIR": str(home), "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 22"}
    with subprocess.Popen(
        ["bash", "-c", command], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            for one in [*_children(process), process]:  # an orderly end waits for servers that have ended before
                with suppress(psutil.NoSuchProcess):
                    one.kill()


def answer(port: int, call: str, token: str) -> str:
    """What a server of Ray's says to somebody with this token; "" for none."""
    ask = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(
        f"/ray.rpc.{call}", request_serializer=lambda sent: sent, response_deserializer=lambda got: got
    )
    try:
        ask(b"", timeout=5, metadata=[("authorization", f"Bearer {token}")] if token else [])
    except grpc.RpcError as error:
        name: str = error.code().name
        return name
    return "OK"


def _children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []


def listening(process: subprocess.Popen[str]) -> set[int]:
    """The ports of Ray's processes."""
    found = set()
    for one in _children(process):
        with suppress(psutil.NoSuchProcess):
            found |= {at.laddr.port for at in one.net_connections("tcp") if at.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.parametrize("provider", ["local", "aws"])
def test_every_port_asks_for_the_token(provider: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home, port = tmp_path_factory.mktemp("h"), free_port()  # short: Ray's sockets lie below it
    (home / ".ray").mkdir()
    (home / ".ray/auth_token").write_text(TOKEN)
    with head(provider, home, port) as process:
        end = time.monotonic() + 60
        while len({call for seen in listening(process) for call in CALLS if answer(seen, call, TOKEN) == "OK"}) < 3:
            assert time.monotonic() < end, "the head does not start"
            time.sleep(0.2)
        for stranger in ("", TOKEN[::-1]):
            said = {call: {answer(seen, call, stranger) for seen in listening(process)} for call in CALLS}
            for call in CALLS:
                assert "UNAUTHENTICATED" in said[call]
                assert "OK" not in said[call]


@pytest.mark.parametrize("provider", ["local", "aws"])
def test_no_node_starts_without_a_token(provider: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with head(provider, tmp_path_factory.mktemp("h"), free_port()) as process:
        assert process.wait(60) != 0
        assert process.stdout is not None
        assert "token" in process.stdout.read()
