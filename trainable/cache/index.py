"""Where the row of each key lies: sorted arrays, so that a key takes its own bytes and eight more."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np


class KeyIndex:
    """From keys (ASCII) to places: the number of a segment, a row in it and the row's flag.

    Args:
        pending: keys that may wait in a dict, at the least, until they are sorted in among the others.
    """

    def __init__(self, pending: int = 4096) -> None:
        self._most_pending = pending
        self._keys, self._places = np.empty(0, "S1"), np.empty(0, np.int64)
        self._pending: dict[bytes, int] = {}

    def add(self, keys: Sequence[str], chunk: int, flags: Sequence[bool]) -> None:
        """The rows of a segment; a key that is there already keeps its place."""
        for row, (key, flag) in enumerate(zip(keys, flags, strict=True)):
            self._pending.setdefault(key.encode(), _packed(chunk, row, flag))
        if len(self._pending) > max(self._most_pending, len(self._keys) // 4):
            self._sort_in()

    def find(self, keys: Sequence[str]) -> np.ndarray:
        """Places of `keys` as int64 for `unpacked`, -1 for a key that is not there."""
        wanted = np.array(keys, "S") if len(keys) else np.empty(0, "S1")
        found = np.full(len(wanted), -1, np.int64)
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
            found = np.where(self._keys[at] == wanted, self._places[at], -1)
        if self._pending:
            for place in np.flatnonzero(found < 0).tolist():
                found[place] = self._pending.get(bytes(wanted[place]), -1)
        return found

    def drop(self, chunks: Container[int]) -> None:
        """Forget the rows of these segments."""
        self._sort_in()
        kept = np.array([int(chunk) not in chunks for chunk in unpacked(self._places)[0]], bool)
        self._keys, self._places = self._keys[kept], self._places[kept]

    def settle(self) -> None:
        """Sort in what waits: a dict takes some three times the memory."""
        if self._pending:
            self._sort_in()

    def _sort_in(self) -> None:
        keys = np.concatenate([self._keys, np.array(list(self._pending), "S")]) if self._pending else self._keys
        places = np.concatenate([self._places, np.array(list(self._pending.values()), np.int64)])
        self._keys, first = np.unique(keys, return_index=True)  # of equal keys, the one that was there first
        self._places = places[first]
        self._pending.clear()


def _packed(chunk: int, row: int, flag: bool) -> int:
    return chunk << 32 | row << 1 | flag


def unpacked(places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segment (int64), row (int64) and flag (bool) of each place."""
    return places >> 32, (places & 0xFFFFFFFF) >> 1, (places & 1).astype(bool)
