"""Every error this project raises on purpose, in one small tree.

A message says what is wrong, where (file:row, column) and what to do about it. `exit_code` is what the command
line returns: 1 an experiment failed, 2 bad input or configuration, 130 interrupted.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from trainable.base.text import one_line

SHOWN = 60
"""Problems that are shown, of each file as many; a wrong project root makes one of every row."""

_FRAME = re.compile(r'^([ \t]+)File ".*", line \d+.*$', re.MULTILINE)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input. `row` counts from 1, the header line being row 1."""

    message: str
    file: str = ""
    row: int | None = None
    column: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        place = self.file + (f":{self.row}" if self.row is not None else "")
        if self.column is not None:
            place += f", column '{self.column}'" if place else f"column '{self.column}'"
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} ({self.hint})" if self.hint else text


class EmosweepError(Exception):
    """Base of all errors that are reported without a traceback.

    `final` says that the same again would end in the same error.
    """

    exit_code = 1
    final = False


class ConfigError(EmosweepError):
    """An option or a configuration value is not usable."""

    exit_code = 2
    final = True


class InputError(EmosweepError):
    """Input files are not usable. Holds every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(p) for p in self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[Problem]]]:
        return InputError, (self.problems,)  # an exception is pickled with its message otherwise

    def summary(self) -> str:
        """What a terminal shows: of each file the first problems and how many more, so that none hides another."""
        lines = []
        files = dict.fromkeys(p.file for p in self.problems)
        shown = max(1, SHOWN // len(files))
        for file in files:
            own = [p for p in self.problems if p.file == file]
            lines += [str(p) for p in own[:shown]]
            if len(own) > shown:
                lines.append(f"{file + ': ' if file else ''}... and {len(own) - shown} more")
        count = len(self.problems)
        heading = f"{count} problem{'s' if count > 1 else ''} with the input; nothing was started:"
        return "\n  ".join([heading, *lines])


class ExperimentError(EmosweepError):
    """One experiment failed; the others are not concerned."""


class Diverged(ExperimentError):
    """A training's loss is no number any more."""

    final = True


class TooManyCorrupt(ExperimentError):
    """So many images cannot be decoded that a result would mean nothing."""

    final = True


class CacheFull(EmosweepError):
    """What is computed once has no room on the disk; the run computes it every time instead."""


class InterruptedRun(EmosweepError):
    """The user stopped the run; what was done is kept."""

    exit_code = 130


class NodeLeaves(ExperimentError):
    """The node is about to be taken away; the training goes on elsewhere."""


NODE_LEAVES = "its node is about to be taken away"
_LOST_NODE = ("its node has died", NODE_LEAVES, "ActorUnavailableError")


@dataclass(frozen=True)
class Failure:
    """An error as a value, which travels between processes and stays with a result.

    Args:
        message: one line that says why, of at most 300 characters.
        details: the traceback, or the rest of a long message, for the log.
        final: whether trying again is useless.
    """

    message: str
    details: str = ""
    final: bool = False

    @property
    def lost_node(self) -> bool:
        """Whether a cluster has lost the node, or the way to it, as far as Ray's words tell: the work itself has done
        nothing wrong."""
        return any(words in f"{self.message} {self.details}" for words in _LOST_NODE)

    @classmethod
    def of(cls, error: BaseException | None) -> Self:
        """The failure that an exception stands for. Ray wraps a worker's own exception, which its `cause` holds."""
        if error is None:
            return cls("its process ended without a word")
        cause = getattr(error, "cause", None) or error
        text = str(cause).strip()
        if isinstance(cause, EmosweepError):
            message = one_line(_beginning(text) or type(cause).__name__)
            return cls(message, "" if message == text else text, cause.final)
        return cls(one_line(_message(cause, text)), "".join(traceback.format_exception(error)))


def _message(error: BaseException, text: str) -> str:
    """What a foreign error says. Its text may hold the traceback of another process, which ends with what happened."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return _end_of_traceback(text) or f"{type(error).__name__}: {_beginning(text)}".removesuffix(": ")


def _beginning(text: str) -> str:
    """The first line, and the second where the first announces it; a C++ stack, hints or details follow."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])


def _end_of_traceback(text: str) -> str | None:
    """The line below the last frame of a traceback of Python's; None without one."""
    frames = list(_FRAME.finditer(text))
    if not frames:
        return None
    indent = len(frames[-1][1])
    rest = text[frames[-1].end() :].splitlines()
    return next((line.strip() for line in rest if line.strip() and len(line) - len(line.lstrip()) < indent), None)
