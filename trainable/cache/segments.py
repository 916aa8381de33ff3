"""One segment of the cache: an Arrow IPC file with rows of one shape, their keys and a flag for each.

Arrow is imported by what reads or writes a file, so that rows in memory need none.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Segment:
    """What a mapped file holds; `rows` (n, *shape) must never be written to."""

    keys: list[str]
    flags: list[bool]
    rows: Tensor


def row_bytes(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    return math.prod(shape) * torch.empty((), dtype=dtype).element_size()


def write_segment(path: Path, keys: list[str], flags: list[bool], rows: Tensor) -> None:
    """Write `rows`, (n, *shape) on the CPU.

    Raises:
        OSError: the folder cannot be written to, or its disk is full.
    """
    import pyarrow as pa

    schema = _schema(row_bytes(tuple(rows.shape[1:]), rows.dtype))
    raw = pa.py_buffer(rows.contiguous().view(-1).view(torch.uint8).numpy())
    columns = [
        pa.array(keys, pa.string()),
        pa.array(flags, pa.bool_()),
        pa.Array.from_buffers(schema.field("row").type, len(keys), [None, raw]),
    ]
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(pa.record_batch(columns, schema=schema))


def open_segment(path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Segment | None:
    """Map a file; it may be deleted then. None where it is not there or not whole, or holds other rows."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            batch = pa.ipc.open_file(file).get_batch(0)
            batch.validate(full=True)
    except (OSError, pa.ArrowException):  # deleted by another process, or cut short by a full disk
        return None
    size = row_bytes(shape, dtype)
    if batch.schema != _schema(size) or any(column.null_count for column in batch.columns):
        return None
    raw = np.frombuffer(batch.column("row").buffers()[1], np.uint8, batch.num_rows * size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        rows = torch.from_numpy(raw).view(dtype).view(-1, *shape)
    return Segment(batch.column("key").to_pylist(), batch.column("flag").to_pylist(), rows)


def _schema(size: int) -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"key": pa.string(), "flag": pa.bool_(), "row": pa.binary(size)})
