"""A run that is looked at and ended from outside, through its output folder: made-up trainings, no Ray."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray_runs import ROOT, wait_for
from test_local_runs import EPOCHS, FIVE, Log, Project, after

from orchestrator.execution import cluster_board, publishing
from orchestrator.execution.folder_board import FolderBoard
from orchestrator.execution.interrupts import Interrupts
from orchestrator.execution.lock import only_one
from orchestrator.execution.notice import NodeUse, Notice, Seen, Wish
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.selection import select
from trainable.base.errors import ConfigError


@pytest.fixture
def run_project(shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(publishing, "PERIOD_SECONDS", 0.02)
    return Project(shared_project, tmp_path / "결과")


def board_of(project: Project) -> FolderBoard:
    return FolderBoard(ProjectPaths(project.output, project.output))


def seen(project: Project) -> Seen:
    (found,) = board_of(project).seen()
    return found


def is_heeded(project: Project) -> bool:
    return any("epochs in hand" in text for text in project.view.said)


def stop_from_outside(project: Project) -> None:
    """What `stop` does, in the middle of an epoch, which then waits until the run has heard of it."""
    wait_for(lambda: board_of(project).seen() and seen(project).notice.state == "running")
    board_of(project).ask(seen(project).notice.run, "stop")
    wait_for(lambda: is_heeded(project))


def test_a_run_that_is_asked_to_stop_ends_as_by_ctrl_c(run_project: Project) -> None:
    """The law of `test_an_interrupted_run_goes_on_after_its_last_epoch`, with a request in the place of the signal."""
    run_project.script.on_epoch = after(5, lambda: stop_from_outside(run_project))
    outcome = run_project.run(*FIVE)
    assert (outcome.interrupted, outcome.exit_code, dict(outcome.failures)) == (True, 130, {})
    assert run_project.script.starts == ["finetune_K7", "finetune_M1"]
    assert run_project.view.ended == []
    last = seen(run_project)
    assert (last.notice.state, last.notice.exit_code, last.alive) == ("ended", 130, False)
    assert board_of(run_project).asked(last.notice.run) is None, "what was asked is taken away"
    assert run_project.run(*FIVE).exit_code == 0
    trained = {name: run_project.script.epochs(name) for name in FIVE}
    assert trained == {**dict.fromkeys(FIVE, EPOCHS), "finetune_K7": EPOCHS + 2}


def test_to_ask_twice_is_no_second_ctrl_c(run_project: Project) -> None:
    """That would lose the epochs in hand."""

    def twice() -> None:
        stop_from_outside(run_project)
        board_of(run_project).ask(seen(run_project).notice.run, "stop")
        time.sleep(0.2)

    run_project.script.on_epoch = after(5, twice)
    assert run_project.run(*FIVE).exit_code == 130
    planned = run_project.planner(*FIVE).plan(select(FIVE))
    assert {step.status for step in planned if step.name in run_project.script.starts} == {"interrupted"}


def test_a_request_that_is_left_over_stops_no_other_run(run_project: Project) -> None:
    run_project.run("probe_M1")
    for wish in ("stop", "now"):
        board_of(run_project).ask(seen(run_project).notice.run, wish)  # type: ignore[arg-type]
        run_project.script.on_epoch = after(3, lambda: time.sleep(0.2))
        assert run_project.run("probe_M1", fresh=True).exit_code == 0
    assert run_project.script.epochs("probe_M1") == 3 * EPOCHS


def test_what_a_run_says_of_itself(run_project: Project) -> None:
    states: list[Seen] = []

    def look() -> None:
        wait_for(lambda: board_of(run_project).seen() and seen(run_project).notice.state == "running")
        states.append(seen(run_project))

    run_project.script.on_epoch = after(3, look)
    run_project.run("probe_M1")
    (under_way,) = states
    assert (under_way.alive, under_way.goes_on, under_way.notice.exit_code) == (True, True, None)
    assert under_way.notice.output == str(run_project.output)
    last = seen(run_project)
    assert (last.notice.run, last.notice.state, last.notice.exit_code) == (under_way.notice.run, "ended", 0)
    assert not last.goes_on


def test_a_failed_run_and_one_that_could_not_begin_say_so(run_project: Project) -> None:
    run_project.script.fails = {"probe_M1": [3, 3, 3]}
    assert run_project.run("probe_M1").exit_code == 1
    assert (seen(run_project).notice.state, seen(run_project).notice.exit_code) == ("ended", 1)
    with pytest.raises(ConfigError):
        run_project.run("probe_M2", cpus=0)
    notice = seen(run_project).notice
    assert (notice.state, notice.exit_code) == ("ended", 2)
    assert "CPU" in notice.message


def test_a_run_that_has_nothing_to_do_says_nothing(run_project: Project) -> None:
    run_project.run("probe_M1")
    before = seen(run_project)
    run_project.run("probe_M1")
    assert seen(run_project).notice == before.notice


class Broken(FolderBoard):
    """A disk that fails, which no test can order from a real one that the run itself needs."""

    def publish(self, notice: Notice) -> None:
        raise OSError(28, "No space left on device")

    def asked(self, run: str) -> Wish | None:
        raise OSError(5, "Input/output error")


def test_a_run_that_cannot_tell_anybody_goes_on(run_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "FolderBoard", Broken)

    def fail() -> dict[str, Any]:
        raise RuntimeError("a view that is broken")

    run_project.view.snapshot = fail  # type: ignore[method-assign]
    assert run_project.run("probe_M1").exit_code == 0
    assert board_of(run_project).seen() == []


def test_ray_is_not_asked_after_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would start anew. Made up, since nobody sees a real one start in the moment in which a run ends."""
    monkeypatch.setattr(publishing, "PERIOD_SECONDS", 0.02)
    asked: list[float] = []

    def ask() -> tuple[str, list[NodeUse]]:
        asked.append(time.monotonic())
        return "01000000", [NodeUse("10.0.0.1", "노드", 1, 0, 0, 0)]

    head = FolderBoard(ProjectPaths(tmp_path / "head", tmp_path / "head"))
    monkeypatch.setattr(cluster_board.ClusterBoard, "joined", lambda: head)
    monkeypatch.setattr(cluster_board, "job_and_nodes", ask)
    view, paths = Log(), ProjectPaths(tmp_path, tmp_path)
    view.log = Path("a.log")  # type: ignore[attr-defined]
    with publishing.Publisher(paths, "head:6379", "") as others:
        others.show(view)  # type: ignore[arg-type]
        with others.heeding(Interrupts(threading.Event(), print, lambda: None)):
            wait_for(lambda: len(asked) > 1)
        left = time.monotonic()
        time.sleep(0.2)
    assert max(asked) < left
    (there,), (here,) = head.seen(), FolderBoard(paths).seen()
    assert there.notice == here.notice
    assert (there.notice.job, there.notice.nodes[0].host, there.notice.state) == ("01000000", "노드", "ended")


# -- whether it lives


def killed_at(state: str) -> Notice:
    return Notice("1234abcd", "python -m orchestrator run-all", "/out", "elsewhere", 1, 0.0, time.time(), state)  # type: ignore[arg-type]


def test_a_lock_says_whether_a_run_lives_and_its_last_words_where_no_lock_is_seen(tmp_path: Path) -> None:
    board = FolderBoard(ProjectPaths(tmp_path, tmp_path))
    assert board.seen() == []
    board.publish(killed_at("running"))
    with only_one(board.paths):
        assert board.seen()[0].alive is True
    (fresh,) = board.seen()  # another machine's lock may not be seen here
    assert (fresh.alive, fresh.goes_on) == (None, True)
    board.publish(Notice(**{**killed_at("running").__dict__, "written": time.time() - 60}))
    assert not board.seen()[0].goes_on


def test_notices_of_another_version_are_refused(tmp_path: Path) -> None:
    board = FolderBoard(ProjectPaths(tmp_path, tmp_path))
    board.publish(Notice(**{**killed_at("running").__dict__, "version": 0}))
    with pytest.raises(ConfigError, match="another version"):
        board.seen()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"run": 3}'])
def test_a_wish_that_is_none_is_ignored(text: str, tmp_path: Path) -> None:
    board = FolderBoard(ProjectPaths(tmp_path, tmp_path))
    board.paths.internal.mkdir()
    board.paths.wish.write_text(text, encoding="utf-8")
    assert board.asked("1234abcd") is None


# -- at once, and before the run is under way, in a process of its own

ALONE = """
import sys, threading, time
from contextlib import ExitStack
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_local_runs import Log
from orchestrator.execution import cluster_board, publishing
from orchestrator.execution.interrupts import graceful_interrupts
from orchestrator.planning.paths import ProjectPaths

publishing.PERIOD_SECONDS = 0.02
view, output = Log(), Path(sys.argv[1])
view.log = Path("a.log")
with publishing.Publisher(ProjectPaths(output, output), None, "command") as others:
    others.show(view)
    leave = others.leaving(lambda: print("left", flush=True))
    with ExitStack() as stack:
        if sys.argv[2] == "running":
            interrupts = stack.enter_context(graceful_interrupts(threading.Event(), print, leave))
            stack.enter_context(others.heeding(interrupts))
        for _ in range(600):
            time.sleep(0.1)
"""


@contextmanager
def alone(output: Path, state: str) -> Iterator[subprocess.Popen[str]]:
    tests = Path(__file__).parent
    folders = [str(folder) for folder in (tests, tests.parent, tests.parents[1], tests.parents[1] / "trainable")]
    process = subprocess.Popen(
        [sys.executable, "-c", ALONE, str(output), state, *folders],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )  # fmt: skip
    board = FolderBoard(ProjectPaths(output, output))
    try:
        wait_for(lambda: board.seen() and board.seen()[0].notice.state == state, 60)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("state", "wish", "words"), [("running", "now", "left"), ("starting", "stop", "")])
def test_a_run_that_is_asked_ends_at_once(state: str, wish: Wish, words: str, tmp_path: Path) -> None:
    """With `now`, as by a second Ctrl-C; before any epoch is in hand, as by a first one."""
    board = FolderBoard(ProjectPaths(tmp_path, tmp_path))
    with alone(tmp_path, state) as process:
        board.ask(board.seen()[0].notice.run, wish)
        out, err = process.communicate(timeout=60)
        assert out.split("\n")[0] == words
        assert process.returncode == (130 if state == "running" else -signal.SIGINT), err
    last = board.seen()[0].notice
    assert (last.state, last.exit_code) == ("ended", 130)
    assert board.asked(last.run) is None
