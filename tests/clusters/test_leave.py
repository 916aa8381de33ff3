"""clusters/leave.sh says what AWS says, when AWS does, and nothing before.

A stand-in answers as AWS's metadata service does, which only its machines have, and a stand-in for Ray notes what it is
asked; `tests/cluster` has a real worker leave a real cluster."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "clusters/leave.sh"


class Metadata(ThreadingHTTPServer):
    """The second version of the service: who asks needs a token, which a PUT with a lifetime gives."""

    wanted_back = False
    asked = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)


class Answers(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        right = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._answer(200 if right else 400, b"secret")

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.headers["X-aws-ec2-metadata-token"] != "secret":
            self._answer(401)
        elif self.path == "/latest/meta-data/spot/instance-action" and self.server.wanted_back:
            self._answer(200, b'{"action": "terminate", "time": "2026-11-28T08:22:00Z"}')
        else:
            self._answer(404)

    def log_message(self, *words: object) -> None:
        """Nothing is printed."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with Metadata() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def started(folder: Path, *arguments: str, metadata: str = "", code: int = 0) -> subprocess.Popen[str]:
    """The script on a machine whose processes of Ray are those of which a file in the folder has the name.

    Args:
        code: how `ray` ends, which notes what it is asked.
    """
    programs = {
        "ray": f'echo "$*" >> {folder}/asked; exit {code}',
        "grep": f'[ -e {folder}/"$2" ]',  # the names of all processes are looked through
        "sleep": "exec /bin/sleep 0.05",
    }
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    copy = folder / "checkout/clusters/leave.sh"  # its own .venv would come first
    copy.parent.mkdir(parents=True)
    copy.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata,
    }
    return subprocess.Popen(["bash", copy, *arguments], env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_waits_for_the_notice_and_then_for_the_trainings(metadata: Metadata, tmp_path: Path) -> None:
    asked, raylet = tmp_path / "asked", tmp_path / "raylet"
    raylet.touch()
    with started(tmp_path, "aws", metadata=f"http://127.0.0.1:{metadata.server_port}") as process:
        wait_for(lambda: metadata.asked >= 3)
        assert not asked.exists()
        metadata.wanted_back = True
        wait_for(asked.exists)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        raylet.unlink()
        assert process.wait(60) == 0
    (line,) = asked.read_text().splitlines()
    assert line.startswith("drain-node --reason DRAIN_NODE_REASON_PREEMPTION ")


def test_where_the_head_is_gone_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "raylet").touch()
    with started(tmp_path, "now", code=1) as process:
        assert process.wait(60) == 1


def test_the_head_does_not_leave(tmp_path: Path) -> None:
    (tmp_path / "gcs_server").touch()
    with started(tmp_path, "now") as process:
        assert process.wait(60) == 2
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("words", [(), ("gcp",)])
def test_it_says_how_it_is_used(words: tuple[str, ...], tmp_path: Path) -> None:
    with started(tmp_path, *words) as process:
        assert process.wait(60) == 2
        assert process.stderr is not None
        assert "clusters/leave.sh now" in process.stderr.read()
