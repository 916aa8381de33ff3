"""Rows of one shape by key, in memory-mapped Arrow IPC files that several processes may fill at once.

A segment is a file that never changes: it is written beside its place and moved in. Work is divided by the first hex
digit of the keys, with a lock per digit: processes that miss the same rows share the work and compute none twice.

Arrow is imported by what reads or writes a file; rows in memory do without.
"""

from __future__ import annotations

import math
import os
import uuid
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from trainable.atomic import replacing
from trainable.cache import SEGMENT, cache_limit, make_room
from trainable.errors import CacheFull

if TYPE_CHECKING:
    import pyarrow as pa

DIGITS = "0123456789abcdef"
BLOCK = 512
"""Rows computed, and kept in memory, at a time."""

Compute = Callable[[list[str]], tuple[Tensor, list[bool]]]
"""Keys to their rows, (n, *shape) on the CPU, and a flag for each."""


class Rows:
    """Some rows of a store, in a chosen order; their storage is shared with every process that has it mapped.

    Args:
        chunks: tensors of shape (n_i, *shape).
        places: int64 (n, 2): chunk and row in it.
        flags: the stored flags, one a row.
    """

    def __init__(self, chunks: Sequence[Tensor], places: Tensor, flags: Sequence[bool]) -> None:
        self.chunks, self.places, self.flags = list(chunks), places, list(flags)
        self._where = [(chunk, row) for chunk, row in places.tolist()]

    @classmethod
    def of(cls, rows: Tensor) -> Rows:
        """Rows that lie in memory, (n, *shape)."""
        n = len(rows)
        return cls([rows], torch.stack([torch.zeros(n, dtype=torch.int64), torch.arange(n)], 1), [False] * n)

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: int) -> Tensor:
        """One row, not copied: never to be written to."""
        chunk, row = self._where[index]
        return self.chunks[chunk][row]

    def gather(self, indices: Tensor, *, pin: bool = False) -> Tensor:
        """A copy of the rows `indices` (int64, on the CPU), of shape (len(indices), *shape); `pin` pins it."""
        places = self.places[indices]
        used = places[:, 0].unique().tolist()
        out = self.chunks[0].new_empty((len(indices), *self.chunks[0].shape[1:]), pin_memory=pin)
        if len(used) == 1:
            return torch.index_select(self.chunks[used[0]], 0, places[:, 1], out=out)
        for chunk in used:
            here = (places[:, 0] == chunk).nonzero().squeeze(1)
            out[here] = self.chunks[chunk].index_select(0, places[here, 1])
        return out

    @property
    def nbytes(self) -> int:
        return len(self) * math.prod(self.chunks[0].shape[1:]) * self.chunks[0].element_size() if len(self) else 0


class RowStore:
    """The rows in one folder of the cache.

    Args:
        root: the cache, for its size limit.
        folder: where the segments lie; inside `root`.
        shape, dtype: of a row.
    """

    def __init__(self, root: Path, folder: Path, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.root, self.folder, self.shape, self.dtype = root, folder, shape, dtype
        self.row_bytes = math.prod(shape) * torch.empty((), dtype=dtype).element_size()
        self._chunks: list[Tensor] = []
        self._index: dict[str, tuple[int, int, bool]] = {}
        self._open: set[Path] = set()

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The distinct ones of `keys` that no segment has."""
        wanted = dict.fromkeys(keys)
        if any(key not in self._index for key in wanted):
            self._refresh()
        return [key for key in wanted if key not in self._index]

    def fill(self, keys: Iterable[str], compute: Compute, advance: Callable[[int], None] = lambda n: None) -> int:
        """Compute what is missing of `keys`, together with other processes that do the same.

        Args:
            advance: called with the number of rows that are there now and were missing before.

        Returns:
            The number of rows computed here.

        Raises:
            CacheFull: they do not fit into the cache's size limit, or on its disk.
        """
        todo = self.missing(keys)
        computed = 0
        if todo and not make_room(self.root, len(todo) * self.row_bytes, cache_limit(), self._open):
            raise CacheFull(f"{len(todo) * self.row_bytes / 1e9:.2f} GB do not fit into the cache {self.root}")
        while todo:
            with ExitStack() as stack:
                mine = self._claim(todo, stack)
                before = len(todo)
                todo = self.missing(todo)  # some were another process' until now
                advance(before - len(todo))
                work = [key for key in todo if key[0] in mine]
                for start in range(0, len(work), BLOCK):
                    block = work[start : start + BLOCK]
                    self._write(block, *compute(block))
                    advance(len(block))
                computed += len(work)
            todo = [key for key in todo if key[0] not in mine]
        return computed

    def rows(self, keys: Sequence[str]) -> Rows:
        """The rows of `keys`, in this order; all must be there (see `fill`)."""
        self._refresh()
        found = [self._index[key] for key in keys]
        for path in self._open:
            with suppress(OSError):  # deleted, or another user's: then it counts as old
                os.utime(path)
        places = torch.tensor([place[:2] for place in found], dtype=torch.int64).view(-1, 2)
        return Rows(self._chunks, places, [place[2] for place in found])

    def _claim(self, todo: list[str], stack: ExitStack) -> set[str]:
        """Lock digits that nobody else works on, enough for a block; wait for one where all are taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digits = sorted({key[0] for key in todo})
        turn = os.getpid() % len(digits)
        mine: set[str] = set()
        for digit in digits[turn:] + digits[:turn]:
            with suppress(Timeout):
                stack.enter_context(FileLock(self.folder / f"{digit}.lock", timeout=0))
                mine.add(digit)
            if sum(key[0] in mine for key in todo) >= BLOCK // 2:
                break
        if not mine:
            stack.enter_context(FileLock(self.folder / f"{digits[turn]}.lock"))
            mine.add(digits[turn])
        return mine

    def _write(self, keys: list[str], rows: Tensor, flags: list[bool]) -> None:
        import pyarrow as pa

        assert rows.shape == (len(keys), *self.shape) and rows.dtype == self.dtype, (rows.shape, rows.dtype)
        raw = pa.py_buffer(rows.contiguous().view(-1).view(torch.uint8).numpy())
        columns = {
            "key": pa.array(keys, pa.string()),
            "flag": pa.array(flags, pa.bool_()),
            "row": pa.Array.from_buffers(pa.binary(self.row_bytes), len(keys), [None, raw]),
        }
        batch = pa.record_batch(columns)
        try:
            with (
                replacing(self.folder / f"{uuid.uuid4().hex}{SEGMENT}") as temporary,
                pa.OSFile(str(temporary), "wb") as file,
                pa.ipc.new_file(file, batch.schema) as writer,
            ):
                writer.write_batch(batch)
        except OSError as error:
            raise CacheFull(f"cannot write into the cache {self.folder}: {error}") from error

    def _refresh(self) -> None:
        """Map the segments that have come since the last look."""
        import pyarrow as pa

        for path in sorted(self.folder.glob(f"*{SEGMENT}")):
            if path in self._open:
                continue
            try:
                with pa.memory_map(str(path)) as file:
                    batch = pa.ipc.open_file(file).get_batch(0)
            except (OSError, pa.ArrowInvalid):  # deleted by another process, or cut short by a full disk
                continue
            self._open.add(path)
            chunk = len(self._chunks)
            self._chunks.append(self._tensor(batch.column("row")))
            flags = batch.column("flag").to_pylist()
            for row, key in enumerate(batch.column("key").to_pylist()):
                self._index.setdefault(key, (chunk, row, flags[row]))

    def _tensor(self, column: pa.Array) -> Tensor:
        raw = np.frombuffer(column.buffers()[1], np.uint8, len(column) * self.row_bytes)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(raw).view(self.dtype).view(-1, *self.shape)
