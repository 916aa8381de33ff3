"""face-api's seven probabilities for each row of a split, in a file beside the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceapi.contract.labels import class_names
from trainable.base.files import replacing

if TYPE_CHECKING:
    import numpy as np

PREFIX = "probability_"
"""In front of a class's name: the column with its probabilities."""


def write_probabilities(path: Path, images: Sequence[str], rows: Sequence[Sequence[float] | None]) -> None:
    """Write a Parquet file: image (str) as the CSV has it, and a float32 column for each class.

    Args:
        rows: a row's probabilities in the order of `class_names`; None without a face, which gives empty cells.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"image": pa.array(images, pa.string())}
    for k, name in enumerate(class_names()):
        columns[PREFIX + name] = pa.array([row[k] if row else None for row in rows], pa.float32())
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), str(temporary))


def read_probabilities(path: Path, images: Sequence[str]) -> np.ndarray | None:
    """float32 (n, 7), NaN in the rows without a face; None where the file is missing, broken or of other images."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(str(path))
        found = np.stack([table[PREFIX + name].to_numpy() for name in class_names()], 1)
        return found if table["image"].to_pylist() == list(images) else None
    except (OSError, pa.ArrowException, KeyError):
        return None
