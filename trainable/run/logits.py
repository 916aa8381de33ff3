"""The logits of a part of a split, row by row, for calibration and for what else is computed from a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainable.base.files import replacing
from trainable.data.tables import ImageTable

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "logit_"
"""In front of a class's name: the column with its logits."""


def write_logits(path: Path, table: ImageTable, classes: Sequence[str], logits: Tensor) -> None:
    """Write a Parquet file: path and label (str) as the CSV has them, and a float32 column for each class.

    Args:
        logits: float32 (n, classes), in the order of the table's rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "path": pa.array(table.paths, pa.string()),
        "label": pa.array(table.labels, pa.string()),
        **{f"{PREFIX}{name}": pa.array(column) for name, column in zip(classes, logits.t().numpy(), strict=True)},
    }
    with replacing(path, lambda: logits.numel() * logits.element_size()) as temporary:
        pq.write_table(pa.table(columns), str(temporary))


def read_logits(path: Path, classes: Sequence[str]) -> np.ndarray | None:
    """float32 (n, classes); None where the file is missing, broken or of other classes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(str(path))
        return np.stack([table[f"{PREFIX}{name}"].to_numpy() for name in classes], 1)
    except (OSError, pa.ArrowException, KeyError):
        return None
