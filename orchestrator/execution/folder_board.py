"""The output folder as a place to look at its run and to end it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass

from orchestrator.execution.lock import is_held
from orchestrator.execution.notice import Notice, Seen, Wish
from orchestrator.planning.paths import ProjectPaths
from trainable.base.files import read_json, write_text


@dataclass(frozen=True)
class FolderBoard:
    """See `orchestrator.execution.notice.Board`. The run's lock says whether it lives."""

    paths: ProjectPaths

    def publish(self, notice: Notice) -> None:
        write_text(self.paths.notice, json.dumps(notice.to_json(), ensure_ascii=False))

    def seen(self) -> list[Seen]:
        found = read_json(self.paths.notice)
        if not isinstance(found, dict):
            return []
        notice, held = Notice.from_json(found), is_held(self.paths)
        # Some shared file systems show a lock to its own machine alone.
        elsewhere = not held and notice.host != platform.node()
        return [Seen(notice, None if elsewhere else held)]

    def ask(self, run: str, wish: Wish) -> None:
        write_text(self.paths.wish, json.dumps({"run": run, "wish": wish}))

    def asked(self, run: str) -> Wish | None:
        found = read_json(self.paths.wish)
        if not isinstance(found, dict) or found.get("run") != run:
            return None
        wish: Wish = "now" if found.get("wish") == "now" else "stop"
        return wish

    def forget(self, run: str) -> None:
        if self.asked(run) is not None:
            self.paths.wish.unlink(missing_ok=True)
