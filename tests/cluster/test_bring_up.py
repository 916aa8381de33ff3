"""`ray up cluster.yaml` on hosts that share nothing."""

from __future__ import annotations

import sys

import pytest
from hosts import HOME, Host
from lab import ENTER, HEAD, LAPTOP, NAMES, WORKERS, Lab

pytestmark = pytest.mark.cluster
SET_UP = "Running setup commands"
UNCHANGED = "Configuration already up to date, skipping file mounts, initalization and setup commands"


def monitor(head: Host) -> str:
    """What the head says of how it launched the workers, since its last start."""
    return head.run("cat /tmp/ray/session_latest/logs/monitor.out")


def test_no_folder_is_common_to_two_hosts(lab: Lab) -> None:
    write = "for d in $(findmnt -rno TARGET); do touch $d/mark 2> /dev/null && echo $d; done; true"
    written = lab.head.run(write).split()
    assert {"/", str(HOME), "/tmp", "/var", "/dev/shm", sys.prefix} <= set(written)
    for name in (*WORKERS, LAPTOP):
        look = "for d in $(findmnt -rno TARGET); do [ ! -e $d/mark ] || echo $d; done"
        assert lab.hosts[name].run(look) == "", name


def test_all_nodes_come_and_a_second_launch_sets_nothing_up_again(lab: Lab) -> None:
    lab.launched(afresh=True)
    assert lab.nodes() == {HEAD, *WORKERS}
    for name in (HEAD, *WORKERS):
        place = lab.hosts[name].run(f"{ENTER}; cd /; python -c 'import trainable; print(trainable.__path__[0])'")
        assert place.strip() == str(HOME / "emosweep/trainable"), "`make setup` has installed what has come"
    lab.laptop.run("touch ~/emosweep/notes.txt")  # work goes on in a checkout
    again = lab.ray_up()
    lab.wait_for_nodes(*WORKERS)
    assert again.count(UNCHANGED) == 1 and SET_UP not in again, again
    workers = monitor(lab.head)
    assert workers.count(UNCHANGED) == 2 and SET_UP not in workers, workers


def test_who_has_no_token_is_refused(lab: Lab) -> None:
    lab.launched()
    ask = f"{ENTER}; RAY_AUTH_MODE=disabled ray status --address {NAMES[HEAD]}:6379 2>&1 || true"
    assert "InvalidAuthToken" in lab.laptop.run(ask)
