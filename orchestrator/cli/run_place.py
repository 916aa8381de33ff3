"""Where a run is looked for from outside: an output folder or a cluster; the options that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from orchestrator.cli.options import RUN
from orchestrator.execution.folder_board import FolderBoard
from orchestrator.execution.notice import Board, Seen
from orchestrator.planning.paths import ProjectPaths
from trainable.base.command_line import option
from trainable.base.errors import ConfigError
from trainable.data.spelling import spelled


@Parameter(name="*", group=RUN)
@dataclass(frozen=True, kw_only=True)
class RunPlace:
    """The folder or the cluster of a run."""

    output_root: Annotated[Path | None, option("Output root of the run. Default: the project root.")] = None
    project_root: Annotated[Path | None, option("Project root of the run. Default: this folder.")] = None
    address: Annotated[
        str | None,
        option("Instead of a folder: the head of the run's Ray cluster, host:port or auto.", metavar="HOST:PORT"),
    ] = None
    run: Annotated[str | None, option("One of the runs of the cluster, by its word in `status`.", metavar="RUN")] = None

    @property
    def folder(self) -> Path:
        """The output root."""
        return spelled(self.output_root or self.project_root or Path())

    @property
    def named(self) -> str:
        """The place, for messages."""
        return str(self.folder.resolve()) if self.address is None else f"the cluster at {self.address}"

    def board(self) -> Board:
        """Where the run is looked for.

        Raises:
            ConfigError: two places are named, there is no such folder, or no cluster answers.
        """
        if self.address is None:
            if not self.folder.is_dir():
                raise ConfigError(f"{self.folder}: no such folder")
            return FolderBoard(ProjectPaths(self.folder, self.folder))
        if self.output_root is not None or self.project_root is not None:
            given = "--output-root" if self.output_root is not None else "--project-root"
            raise ConfigError(f"{given} and --address are two places to look for a run; leave one out")
        from orchestrator.execution.cluster_board import ClusterBoard  # and Ray

        return ClusterBoard.at(self.address)

    def chosen(self, board: Board) -> list[Seen]:
        """The runs that are meant.

        Raises:
            ConfigError: there is none.
        """
        found = board.seen()
        if self.run is not None:
            return [_one(found, self.run, self.named)]
        if not found:
            more = " (--output-root names the folder of the results)" if self.address is None else ""
            raise ConfigError(f"no run is known in {self.named}{more}")
        return found


def _one(found: Sequence[Seen], run: str, place: str) -> Seen:
    for seen in found:
        if seen.notice.run == run:
            return seen
    known = ", ".join(seen.notice.run for seen in found) or "none"
    raise ConfigError(f"--run {run}: no such run in {place} (there are: {known})")
