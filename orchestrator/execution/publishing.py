"""Tells others, in a thread of its own, what a run does, and listens whether they ask it to end."""

from __future__ import annotations

import _thread
import os
import platform
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from orchestrator.execution.folder_board import FolderBoard
from orchestrator.execution.interrupts import INTERRUPTED, Interrupts
from orchestrator.execution.notice import Board, Notice, State, Wish
from orchestrator.execution.view import RunView
from orchestrator.planning.paths import ProjectPaths
from trainable.base.errors import EmosweepError
from trainable.base.text import one_line

P = ParamSpec("P")
T = TypeVar("T")

PERIOD_SECONDS = 2.0
_PATIENCE_SECONDS = 30.0
"""How long the end of a run waits for a board that does not answer."""


class Publisher:
    """While the block runs, the output folder and, with an address, the cluster know what the run does.

    Nothing is said before there is a view, and nothing that goes wrong here ends the run; Ray's log has the traceback.

    Args:
        address: of the cluster that the run joins.
        command: as the user gave it.
    """

    def __init__(self, paths: ProjectPaths, address: str | None, command: str) -> None:
        self.address = address
        self.exit_code: int | None = None
        """Set where the run has come to its end."""
        now = time.time()
        self._notice = Notice(
            secrets.token_hex(4), command, str(paths.output.resolve()), platform.node(), os.getpid(), now, now
        )
        self._view: RunView | None = None
        self._interrupts: Interrupts | None = None
        self._boards: list[Board] = [FolderBoard(paths)]
        self._joined = self._heeded = self._complained = False
        self._at_cluster = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="publishing", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is None:
            return
        self._over.set()
        self._thread.join(_PATIENCE_SECONDS)
        self._look()
        if error is None:
            self._end(self.exit_code)
        else:
            code = error.exit_code if isinstance(error, EmosweepError) else 1
            interrupted = isinstance(error, KeyboardInterrupt)
            self._end(INTERRUPTED if interrupted else code, one_line(str(error)))

    def show(self, view: RunView) -> None:
        """There is a view, which knows how far the run is."""
        self._view, self._notice = view, replace(self._notice, log=str(view.log))
        self._thread.start()

    @contextmanager
    def heeding(self, interrupts: Interrupts) -> Iterator[None]:
        """The run is under way: its cluster is joined for the time of the block, and it ends on request."""
        if self.address is not None:
            self._try(self._join)
        self._interrupts = interrupts
        try:
            yield
        finally:
            with self._at_cluster:  # Ray would start anew where it is asked after it was left
                self._joined = False

    def leaving(self, leave: Callable[[], None]) -> Callable[[], None]:
        """What leaves the terminal usable where the process is about to end at once, and tells the others."""

        def both() -> None:
            leave()
            self._end(INTERRUPTED)

        return both

    def _join(self) -> None:
        from orchestrator.execution.cluster_board import ClusterBoard

        self._boards.append(ClusterBoard.joined())
        self._joined = True

    def _go_on(self) -> None:
        while True:
            self._look()
            self._publish()
            self._listen()
            if self._over.wait(PERIOD_SECONDS):
                return

    def _look(self) -> None:
        """Bring the notice up to date."""
        if self._view is not None and (progress := self._try(self._view.snapshot)) is not None:
            self._say(progress=progress)
        with self._at_cluster:
            if self._joined:
                self._try(self._look_at_cluster)

    def _look_at_cluster(self) -> None:
        from orchestrator.execution.cluster_board import job_and_nodes

        job, nodes = job_and_nodes()
        self._say(job=job, nodes=nodes)

    @property
    def _state(self) -> State:
        if self._interrupts is None:
            return "starting"
        return "stopping" if self._interrupts.stop.is_set() else "running"

    def _publish(self) -> None:
        self._say(state=self._state, written=time.time())
        for board in list(self._boards):
            if not self._over.is_set():
                self._try(board.publish, self._notice)

    def _end(self, exit_code: int | None, message: str = "") -> None:
        self._over.set()
        self._say(state="ended", written=time.time(), exit_code=exit_code, message=message)
        for board in self._boards:
            self._try(board.publish, self._notice)
            self._try(board.forget, self._notice.run)

    def _say(self, **values: Any) -> None:
        self._notice = replace(self._notice, **values)

    def _listen(self) -> None:
        for board in list(self._boards):
            wish = self._try(board.asked, self._notice.run)
            if wish is not None:
                self._obey(wish)

    def _obey(self, wish: Wish) -> None:
        """A wish counts once: to ask a second time to stop is no second Ctrl-C."""
        if self._interrupts is not None:
            (self._interrupts.end if wish == "now" else self._interrupts.ask)()
        elif not self._heeded:
            self._heeded = True
            _thread.interrupt_main()

    def _try(self, action: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T | None:
        """What the action returns; None where it fails: a full disk, a head that has gone, a view that raises."""
        try:
            return action(*arguments, **more)
        except Exception:  # whatever it is, it must not end the run
            if not self._complained:
                traceback.print_exc()
            self._complained = True
            return None
