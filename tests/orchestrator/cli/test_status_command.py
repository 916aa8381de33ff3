"""`status` and `stop` on folders: a run that goes on, has ended, was killed or never was, and what is no place."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from by_hand import Cli, changes, listing
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from work import epoch_row, evaluation, histories, run, state_after, trial

from orchestrator.cli.own_command import own_command
from orchestrator.cli.run_place import RunPlace
from orchestrator.cli.seen_run import print_run, run_values
from orchestrator.cli.terminal import Terminal
from orchestrator.execution import publishing
from orchestrator.execution.folder_board import FolderBoard
from orchestrator.execution.interrupts import Interrupts
from orchestrator.execution.lock import only_one
from orchestrator.execution.notice import Board, NodeUse, Notice, Seen, Wish
from orchestrator.execution.view import RunView
from orchestrator.planning.paths import ProjectPaths
from orchestrator.progress.event import Event
from orchestrator.progress.snapshot import Snapshot
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Usage

COMMAND = "python -m orchestrator run-all --output-root /결과"


def progress() -> dict[str, Any]:
    """Two trainings at work on two nodes, one that waits, and FaceAPI."""
    state = RunState()
    steps = [evaluation(), run("probe_M1"), run(), trial(1), trial(2)]
    state.add(steps)
    cpu = {"hostname": "노드-1", "device": "cpu", "threads": 4}
    gpu = {"hostname": "gpu-2", "device": "cuda", "gpus": 0.5, "accelerator": "H100"}
    for step, place in ((steps[1], cpu), (steps[3], gpu)):
        state.apply(Event("started", step.name), 0.0)
        state.apply(Event("epoch", step.name, {**epoch_row(cast("Any", step), 1), "place": place}), 10.0)
    return Snapshot.of(state, Usage(0.5, 10**9, 2 * 10**9), 3600.0, 2.0).to_json()


def notice(output: Path, **more: Any) -> Notice:
    now = time.time()
    ours = Notice("1234abcd", COMMAND, str(output), "연구실", 17, now - 3600, now, "running", progress=progress())
    return replace(ours, **more)


def board_of(output: Path) -> FolderBoard:
    return FolderBoard(ProjectPaths(output, output))


@contextmanager
def told(output: Path, *, lives: bool = True, **more: Any) -> Iterator[Notice]:
    """A folder whose run has said something."""
    given_ = notice(output, **more)
    with ExitStack() as stack:
        board_of(output).publish(given_)
        if lives:
            stack.enter_context(only_one(ProjectPaths(output, output)))
        yield given_


# -- what is seen


def test_a_run_that_goes_on(tmp_path: Path, cli: Cli) -> None:
    nodes = (NodeUse("10.0.0.1", "노드-1", 8, 4, 0, 0), NodeUse("10.0.0.2", "gpu-2", 8, 1, 2, 0.5, "H100"))
    with told(tmp_path, nodes=nodes) as given_:
        done = cli("status", "--output-root", tmp_path)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    began = f"{datetime.fromtimestamp(given_.began):%Y-%m-%d %H:%M:%S}"
    assert lines[0] == f"run 1234abcd on 연구실: running since {began}"
    assert lines[1:3] == [COMMAND, f"results: {tmp_path}"]
    assert [line.split()[0] for line in lines[4:8]] == ["faceapi_M1", "probe_M1", "finetune_M1", "finetune_M1"]
    assert max(map(cell_len, lines[3:])) <= 80
    assert lines[9:] == [
        "연구실: CPU 50%, memory 1 GB of 2 GB",
        "cluster: 2 nodes, CPUs 5 of 16, GPUs 0.5 of 2 given to trials",
        "on 노드-1 (CPU, 4 threads each): probe_M1",
        "on gpu-2 (H100, 0.5 GPU each): finetune_M1#1",
        "waiting for a free slot: faceapi_M1, finetune_M1, finetune_M1 sweep",
        "trainings have taken GPU time 30 min, CPU time 4h00m",
        "cost so far: 2.00 at 2.00 an hour",
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"state": "ended", "exit_code": 0}, "all done"),
        ({"state": "ended", "exit_code": 1}, "something has failed; the same command tries again"),
        ({"state": "ended", "exit_code": 130}, "interrupted; the same command goes on"),
        ({"state": "ended", "exit_code": 2, "message": "no node has a CPU"}, "exit code 2: no node has a CPU"),
    ],
)
def test_a_run_that_has_ended(more: dict[str, Any], words: str, tmp_path: Path, cli: Cli) -> None:
    with told(tmp_path, lives=False, **more) as given_:
        done = cli("status", "--output-root", tmp_path)
    ended = f"{datetime.fromtimestamp(given_.written):%Y-%m-%d %H:%M:%S}"
    assert done.stdout.splitlines()[0] == f"run 1234abcd on 연구실: ended at {ended}, {words}"
    assert "running" not in done.stdout
    assert "waiting" not in done.stdout


def test_a_run_that_was_killed(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "연구실")  # whose locks are seen here
    with told(tmp_path, lives=False):
        done = cli("status", "--output-root", tmp_path)
    first, *others = done.stdout.splitlines()
    assert "it was killed at about" in first
    assert first.endswith("; the same command goes on")
    assert "running" not in "".join(others)
    assert "0/2 trials" not in "".join(others), "none of them runs"


@pytest.mark.parametrize("lives", [True, False])
def test_a_run_that_has_not_been_heard_of_for_long(lives: bool, tmp_path: Path, cli: Cli) -> None:
    with told(tmp_path, lives=lives, written=time.time() - 130):
        done = cli("status", "--output-root", tmp_path)
    first = done.stdout.splitlines()[0]
    assert "but last heard of 2:1" in first
    assert first.endswith("and may have been killed") == (not lives)


def test_a_run_that_stops(tmp_path: Path, cli: Cli) -> None:
    with told(tmp_path, state="stopping"):
        assert "stopping when the epochs in hand are saved" in cli("status", "--output-root", tmp_path).stdout


def test_looking_changes_nothing(tmp_path: Path, cli: Cli) -> None:
    with told(tmp_path, lives=False):
        before = listing(tmp_path)
        assert cli("status", "--output-root", tmp_path).returncode == 0
        assert cli("status", "--output-root", tmp_path, "--json").returncode == 0
        assert changes(before, listing(tmp_path)) == set()


def test_for_programs(tmp_path: Path, cli: Cli) -> None:
    with told(tmp_path):
        done = cli("status", "--output-root", tmp_path, "--json")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found.items() >= {
        "event": "run", "run": "1234abcd", "host": "연구실", "command": COMMAND, "state": "running",
        "under_way": True, "output": str(tmp_path), "exit_code": None, "seconds": 3600.0, "cost": 2.0, "cpu": 0.5,
    }.items()  # fmt: skip
    assert found["working"][0] == {
        "name": "probe_M1", "node": "노드-1", "address": "", "device": "cpu", "amount": 4, "accelerator": ""
    }  # fmt: skip
    assert {wait["name"] for wait in found["waiting"]} == {"faceapi_M1", "finetune_M1", "finetune_M1 sweep"}
    assert (found["gpu_hours"], found["cpu_hours"]) == (0.5, 4.0)
    assert datetime.fromisoformat(found["began"]).tzinfo is not None


@given(histories(), st.booleans())
def test_any_run_can_be_shown(told_: list, goes_on: bool) -> None:
    snapshot = Snapshot.of(state_after(told_), Usage(), told_[-1][0])
    seen = Seen(notice(Path("/out"), progress=json.loads(json.dumps(snapshot.to_json()))), goes_on)
    console = Terminal(width=80, record=True, file=None)
    with console.capture() as captured:
        print_run(console, seen)
    rows = captured.get().splitlines()[3 : 4 + len(snapshot.rows)]
    assert all(cell_len(line) <= 80 for line in rows)
    json.dumps(run_values(seen))


def test_a_command_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", "run-all", "--mlflow", "https://me:secret@host/a b", "--fresh"])
    assert own_command(without=("--fresh",)) == "python -m orchestrator run-all --mlflow 'https://host/a b'"


# -- what is no place


@pytest.mark.parametrize("command", ["status", "stop"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--output-root", "{tmp}"), "no run is known in {tmp} (--output-root names the folder of the results)"),
        (("--project-root", "{tmp}"), "no run is known in {tmp}"),
        (("--output-root", "{tmp}/없음"), "{tmp}/없음: no such folder"),
        (("--output-root", "{tmp}", "--run", "abc"), "--run abc: no such run in {tmp} (there are: none)"),
        (("--address", "127.0.0.1:1"), "--address 127.0.0.1:1: nothing answers there"),
        (("--address", "host"), "--address host: must be host:port of the cluster's head, or auto"),
        (("--address", "127.0.0.1:1", "--output-root", "{tmp}"), "--output-root and --address are two places"),
        (("--address", "127.0.0.1:1", "--project-root", "{tmp}"), "--project-root and --address are two places"),
    ],
)
def test_a_place_without_a_run(command: str, arguments: Sequence[str], words: str, tmp_path: Path, cli: Cli) -> None:
    done = cli(command, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert words.format(tmp=tmp_path) in done.stderr
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("text", ['{"version": 1, "ru', '{"version": 1}', "[1]", '{"version": 1, "nodes": []}'])
def test_a_notice_that_is_damaged_is_one_message(text: str, tmp_path: Path, cli: Cli) -> None:
    paths = ProjectPaths(tmp_path, tmp_path)
    paths.internal.mkdir()
    paths.notice.write_text(text, encoding="utf-8")
    done = cli("status", "--output-root", tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


# -- stop


@contextmanager
def driver(output: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A run whose trainings end when they are asked to, in a thread. What it yields is set then."""
    monkeypatch.setattr(publishing, "PERIOD_SECONDS", 0.02)
    stop, begun, paths = threading.Event(), threading.Event(), ProjectPaths(output, output)

    class View:
        log = Path()

        def snapshot(self) -> dict[str, Any]:
            return progress()

    def go() -> None:
        with only_one(paths), publishing.Publisher(paths, None, COMMAND) as others:
            others.show(cast("RunView", View()))
            with others.heeding(Interrupts(stop, lambda text: None, lambda: None)):
                begun.set()
                stop.wait(60)
                time.sleep(0.3)  # the epochs in hand
            others.exit_code = 130

    thread = threading.Thread(target=go)
    thread.start()
    begun.wait(60)
    while not [seen for seen in board_of(output).seen() if seen.notice.state == "running"]:
        time.sleep(0.01)
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def test_stop_waits_until_the_run_has_ended(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with driver(tmp_path, monkeypatch) as stop:
        done = cli("stop", "--output-root", tmp_path)
        assert stop.is_set()
        assert board_of(tmp_path).seen()[0].notice.state == "ended"
    assert (done.returncode, done.stderr) == (0, "")
    asked, ended = done.stdout.splitlines()
    assert asked.endswith("it ends when the epochs in hand are saved")
    assert ended == f"it has ended (exit code 130); go on with: {COMMAND}"


@pytest.mark.parametrize("more", [{"state": "ended", "exit_code": 0}, {"written": time.time() - 100}])
def test_what_does_not_go_on_is_not_stopped(more: dict[str, Any], tmp_path: Path, cli: Cli) -> None:
    with told(tmp_path, lives=False, **more):
        done = cli("stop", "--output-root", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: no run is under way in {tmp_path}\n"
    assert not ProjectPaths(tmp_path, tmp_path).wish.exists()


class Runs:
    """A cluster with several runs, each of which ends when it is asked to; a real one would take a minute to start."""

    def __init__(self, *notices: Notice) -> None:
        self.notices = {notice.run: notice for notice in notices}
        self.wishes: list[tuple[str, str]] = []

    def seen(self) -> list[Seen]:
        return [Seen(notice, alive=True) for notice in self.notices.values()]

    def ask(self, run: str, wish: Wish) -> None:
        self.wishes.append((run, wish))
        self.notices[run] = replace(self.notices[run], state="ended", exit_code=130)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    names = {"aaaa0001": "/하나", "bbbb0002": "/둘"}
    found = Runs(*(notice(Path(output), run=run, state="running") for run, output in names.items()))
    found.notices["cccc0003"] = notice(Path("/셋"), run="cccc0003", state="ended", exit_code=0)
    monkeypatch.setattr(RunPlace, "board", lambda self: cast("Board", found))
    return found


def test_status_of_a_cluster_shows_all_its_runs(runs: Runs, cli: Cli) -> None:
    done = cli("status", "--address", "head:6379")
    starts = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("run ")]
    assert starts == ["aaaa0001", "bbbb0002", "cccc0003"]
    lines = cli("status", "--address", "head:6379", "--json").stdout.splitlines()
    assert [json.loads(line)["run"] for line in lines] == starts
    one = cli("status", "--address", "head:6379", "--run", "bbbb0002").stdout
    assert [line.split()[1] for line in one.splitlines() if line.startswith("run ")] == ["bbbb0002"]


def test_of_several_runs_one_must_be_named(runs: Runs, cli: Cli) -> None:
    done = cli("stop", "--address", "head:6379")
    assert (done.returncode, runs.wishes) == (2, [])
    assert "2 runs are under way in the cluster at head:6379" in done.stderr
    assert "--run aaaa0001 (/하나), --run bbbb0002 (/둘)" in done.stderr
    done = cli("stop", "--address", "head:6379", "--run", "bbbb0002", "--now")
    assert (done.returncode, runs.wishes) == (0, [("bbbb0002", "now")])
    assert "it ends at once" in done.stdout
    done = cli("stop", "--address", "head:6379")
    assert (done.returncode, runs.wishes[1:]) == (0, [("aaaa0001", "stop")])
    assert cli("stop", "--address", "head:6379", "--run", "cccc0003").returncode == 2
