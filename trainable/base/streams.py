"""Standard streams that cannot end a program: what nobody can read is lost, and nothing else happens."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast


class _Unbreakable:
    """See `unbreakable`. Everything besides writing is the stream's own.

    Attributes:
        lost: the first error for which text was lost; None while all of it was written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except RuntimeError:  # a signal handler prints in the middle of a print
            pass
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            if isinstance(error, OSError) and self.lost is None:
                self.lost = error
            self._to_null_device()

    def _to_null_device(self) -> None:
        """Python writes what its buffer still holds when it ends, and must not fail there either."""
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self._stream.fileno())
            finally:
                os.close(null)
            self._stream.flush()


def unbreakable(stream: TextIO | None) -> TextIO:
    """A stream that takes any text at any time and never raises.

    Once its file refuses text (its reader has ended, its disk is full, its terminal is gone), all that follows goes to
    the null device. A character that the encoding lacks becomes a question mark.

    Args:
        stream: None where the process was started without one.
    """
    if stream is None:
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
    if isinstance(stream, _Unbreakable):
        return stream
    with suppress(OSError, ValueError):  # a closed stream, or one without a file
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a Korean console (CP949) lacks the tables' dash
        if sys.platform != "win32":
            os.set_blocking(stream.fileno(), True)  # a pipe of Node's may refuse text when it is full
    return cast("TextIO", _Unbreakable(stream))


@contextmanager
def unbreakable_streams() -> Iterator[None]:
    """Until the block ends, stdout and stderr are `unbreakable`, and descriptors 0 to 2 are open.

    Were one of them closed, the next file to be opened would get its number, and with it what is printed.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(unbreakable, before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def lost_output() -> OSError | None:
    """Why text for stdout was lost, where a file of it is not whole; a reader that had seen enough is no loss."""
    lost: OSError | None = getattr(sys.stdout, "lost", None)
    return None if isinstance(lost, BrokenPipeError) else lost
