"""Files that appear whole or not at all: written beside their place, then moved in with `os.replace`."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_DISK_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE),
    *(errno.EROFS, errno.EACCES, errno.EPERM),
}
"""A full disk, a quota, a limit on file sizes, a disk that fails; a folder that may only be read."""


@contextmanager
def replacing(path: Path, need: Callable[[], int] | None = None) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder; move it to `path` when the block ends without an error.

    Args:
        need: gives the bytes of the whole file, for the message; called after a failure only.

    Raises:
        OSError: the disk is full or fails, or may not be written to; it names the folder. Libraries such as torch
            raise errors of their own then, which say nothing of the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 (the one call this module is about)
    except Exception as error:
        if reason := _disk_error(error):
            raise OSError(
                reason, f"{os.strerror(reason)} ({_how_far(path, temporary, need)})", str(path.parent)
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _disk_error(error: BaseException | None) -> int | None:
    """The number of the disk's error that `error` is, or that was raised before it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _how_far(path: Path, temporary: Path, need: Callable[[], int] | None) -> str:
    written = temporary.stat().st_size if temporary.exists() else 0
    return f"{path.name}: {written:,} {f'of {need():,} ' if need else ''}bytes were written"


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 without BOM, with the line ends of `text`."""
    data = text.encode("utf-8")
    with replacing(path, lambda: len(data)) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV with LF line ends; None becomes an empty field."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    write_text(path, buffer.getvalue())


def read_json(path: Path) -> Any | None:
    """The file's content, or None where it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8").lstrip("\ufeff"))  # an editor may have put a mark there
    except (OSError, ValueError):
        return None
