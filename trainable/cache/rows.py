"""Rows of one shape by key, in memory-mapped Arrow IPC files that several processes may fill at once.

A segment is a file that never changes: it is written beside its place and moved in. Work is divided by the first hex
digit of the keys, with a lock per digit: processes that miss the same rows share the work and compute none twice.

Arrow is imported by what reads or writes a file; rows in memory do without.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from trainable.base.errors import CacheFull
from trainable.base.files import replacing, write_json
from trainable.cache.claims import Claims, Patience
from trainable.cache.folder import ABOUT, SEGMENT, cache_limit, make_room
from trainable.cache.index import KeyIndex, unpacked
from trainable.cache.segments import Segment, open_segment, row_bytes, write_segment

BLOCK = 512
"""Rows computed, and kept in memory, at a time."""

PATIENCE = Patience()

ComputeRows = Callable[[list[str]], tuple[Tensor, list[bool]]]
"""From keys to their rows, (n, *shape) on the CPU, and a flag for each."""


class Rows:
    """Some rows of a store, in a chosen order; their storage is shared with every process that has it mapped.

    While they live, this process makes no room at the cost of the segments they lie in.

    Args:
        chunks: tensors of shape (n_i, *shape).
        paths: where these lie.
        places: int32 or int64 (n, 2): chunk and row in it.
        flags: the stored flags, one a row.
    """

    def __init__(self, chunks: list[Tensor], paths: list[Path], places: Tensor, flags: list[bool]) -> None:
        self.chunks, self.paths, self.places, self.flags = chunks, paths, places, flags
        _ROWS.add(self)

    @classmethod
    def of(cls, rows: Tensor) -> Rows:
        """Rows that lie in memory, (n, *shape): for measurements without a cache."""
        places = torch.stack([torch.zeros(len(rows), dtype=torch.int64), torch.arange(len(rows))], 1)
        return cls([rows], [], places, [False] * len(rows))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Tensor:
        """One row, not copied: never to be written to."""
        return next(self.each(torch.tensor([index])))

    def each(self, indices: Tensor) -> Iterator[Tensor]:
        """The rows `indices` (int64) one by one, not copied: never to be written to."""
        return (self.chunks[chunk][row] for chunk, row in self.places[indices].tolist())

    def gather(self, indices: Tensor, *, pin: bool = False) -> Tensor:
        """A copy of the rows `indices` (int64, on the CPU), of shape (len(indices), *shape); `pin` pins it."""
        places = self.places[indices]
        used = places[:, 0].unique().tolist()
        out = self.chunks[0].new_empty((len(indices), *self.chunks[0].shape[1:]), pin_memory=pin)
        words = words_of(out)
        if len(used) == 1:
            torch.index_select(words_of(self.chunks[used[0]]), 0, places[:, 1], out=words)
            return out
        for chunk in used:
            here = (places[:, 0] == chunk).nonzero().squeeze(1)
            words.index_copy_(0, here, words_of(self.chunks[chunk]).index_select(0, places[here, 1]))
        return out

    @property
    def nbytes(self) -> int:
        return len(self) * math.prod(self.chunks[0].shape[1:]) * self.chunks[0].element_size() if len(self) else 0


def words_of(rows: Tensor) -> Tensor:
    """The same bytes as (n, k) int64, copied faster than uint8 (`benchmarks.gather`), which it is where it must be."""
    flat = rows.flatten(1).view(torch.uint8)
    return flat if flat.shape[1] % 8 else flat.view(torch.int64)


class RowStore:
    """The rows in one folder of the cache.

    Args:
        root: the cache, for its size limit.
        folder: where the segments lie; inside `root`.
        shape, dtype: of a row.
        about: what the rows are, for readers; goes into the folder.
        patience: how long to wait for other processes.
    """

    def __init__(
        self, root: Path, folder: Path, shape: tuple[int, ...], dtype: torch.dtype, *,
        about: dict[str, Any] | None = None, patience: Patience = PATIENCE,
    ) -> None:  # fmt: skip
        self.root, self.folder, self.shape, self.dtype, self.about = root, folder, shape, dtype, about
        self.patience = patience
        self.row_bytes = row_bytes(shape, dtype)
        self._paths: list[Path] = []
        self._chunks: list[Tensor] = []
        self._index = KeyIndex()
        _STORES.add(self)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """The distinct ones of `keys` that no segment has."""
        wanted = list(dict.fromkeys(keys))
        found = self._index.find(wanted)
        if (found < 0).any():
            self._refresh()
            found = self._index.find(wanted)
        return [wanted[place] for place in np.flatnonzero(found < 0).tolist()]

    def fill(self, keys: Iterable[str], compute: ComputeRows, advance: Callable[[int], None] = lambda n: None) -> int:
        """Compute what is missing of `keys`, together with other processes that do the same.

        Args:
            advance: called with the number of rows that are there now and were missing before; with 0 again and again
                while another process is waited for.

        Returns:
            The number of rows computed here.

        Raises:
            CacheFull: they do not fit into the cache's size limit, or on its disk, or the cache cannot be written to.
        """
        wanted = list(keys)
        todo = self.missing(wanted)
        computed = 0
        if todo:
            self._make_room(wanted, len(todo) * self.row_bytes)
        while todo:
            with Claims(self.folder, self.patience) as claims:
                mine = self._claim(todo, claims, lambda: advance(0))
                left = self.missing(todo)  # some were another process' until now
                advance(len(todo) - len(left))
                work = [key for key in left if key[0] in mine]
                for start in range(0, len(work), BLOCK):
                    block = work[start : start + BLOCK]
                    self._write(block, *compute(block))
                    claims.beat()
                    advance(len(block))
                computed += len(work)
            todo = [key for key in left if key[0] not in mine]
        return computed

    def rows(self, keys: Sequence[str]) -> Rows:
        """The rows of `keys`, in this order; all must be there (see `fill`)."""
        if absent := self.missing(keys):
            raise KeyError(f"{len(absent)} rows are not in {self.folder}")
        self._index.settle()
        chunks, rows, flags = unpacked(self._index.find(keys))
        used, chunks = np.unique(chunks, return_inverse=True)
        paths = [self._paths[chunk] for chunk in used]
        for path in paths:
            with suppress(OSError):  # deleted, or another user's: then it counts as old
                os.utime(path)
        places = torch.from_numpy(np.stack([chunks.reshape(-1), rows], 1).astype(np.int32))
        return Rows([self._chunks[chunk] for chunk in used], paths, places, flags.tolist())

    def _make_room(self, wanted: Sequence[str], need: int) -> None:
        """Old segments go; what is `wanted` or in use stays. What went is let go of, or its disk space would stay."""
        keep = {path for rows in list(_ROWS) for path in rows.paths}
        found = self._index.find(wanted)
        keep |= {self._paths[chunk] for chunk in np.unique(unpacked(found[found >= 0])[0])}
        with self._usable():
            fits = make_room(self.root, need, cache_limit(), keep)
        for store in list(_STORES):
            store._let_go(keep)
        if not fits:
            raise CacheFull(f"{need / 1e9:.2f} GB do not fit into the cache {self.root}")

    def _let_go(self, keep: Collection[Path]) -> None:
        gone = {chunk for chunk, path in enumerate(self._paths) if path not in keep and not path.exists()}
        if gone:
            self._index.drop(gone)
            for chunk in gone:
                self._chunks[chunk] = torch.empty(0)

    def _claim(self, todo: list[str], claims: Claims, waiting: Callable[[], None]) -> set[str]:
        """Lock digits that nobody else works on, enough for a block; wait for one where all are taken."""
        digits = sorted({key[0] for key in todo})
        turn = os.getpid() % len(digits)
        mine: set[str] = set()
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.about and not (self.folder / ABOUT).exists():
                write_json(self.folder / ABOUT, self.about)
            for digit in digits[turn:] + digits[:turn]:
                if claims.take(digit):
                    mine.add(digit)
                if sum(key[0] in mine for key in todo) >= BLOCK // 2:
                    break
            if not mine:
                claims.wait(digits[turn], waiting)
                mine.add(digits[turn])
        return mine

    def _write(self, keys: list[str], rows: Tensor, flags: list[bool]) -> None:
        assert rows.shape == (len(keys), *self.shape) and rows.dtype == self.dtype, (rows.shape, rows.dtype)
        path = self.folder / f"{uuid.uuid4().hex}{SEGMENT}"
        with self._usable(), replacing(path, lambda: len(keys) * self.row_bytes) as temporary:
            write_segment(temporary, keys, flags, rows)
            segment = open_segment(temporary, self.shape, self.dtype)  # once it is in place, others may delete it
            if segment is None:
                raise OSError("what was written cannot be read")
        self._add(path, segment)

    def _refresh(self) -> None:
        """Map the segments that have come since the last look."""
        known = set(self._paths)
        with self._usable(), suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted(Path(entry.path) for entry in os.scandir(self.folder) if entry.name.endswith(SEGMENT)):
                segment = open_segment(path, self.shape, self.dtype) if path not in known else None
                if segment is not None:
                    self._add(path, segment)

    def _add(self, path: Path, segment: Segment) -> None:
        chunk = len(self._chunks)
        self._paths.append(path)
        self._chunks.append(segment.rows)
        self._index.add(segment.keys, chunk, segment.flags)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            why = getattr(error, "strerror", None) or error
            raise CacheFull(f"the cache {self.folder} cannot be used: {why}") from error


_ROWS: WeakSet[Rows] = WeakSet()
_STORES: WeakSet[RowStore] = WeakSet()
