"""In a cluster: lets nodes that see neither project nor results get what they need from this one, and send it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ray.exceptions import RayError

from trainable.data.tables import ImageTable
from trainable.ray_disk import RayDisk
from trainable.remote.disk import Traffic
from trainable.remote.landmarks import Landmarks


@contextmanager
def driver_disk(tables: Sequence[ImageTable], folder: Path) -> Iterator[RayDisk]:
    """The driver's disk while the block runs; what has travelled is told on stdout, which is Ray's log then.

    Args:
        tables: whose images nodes may ask for.
        folder: somewhere among the outputs.
    """
    images = [table.images[0] for table in tables if len(table)]
    landmarks = Landmarks.leave(folder, [*(table.csv for table in tables), *images])
    disk = RayDisk.start(tables, landmarks)
    try:
        yield disk
    finally:
        with suppress(RayError):  # the cluster has gone
            print(traffic_line(disk.traffic()), flush=True)
            disk.stop()
        landmarks.remove()


def traffic_line(traffic: Traffic) -> str:
    """What has travelled, in one line."""
    parts = [f"{kind} {files} ({size} bytes)" for kind, (files, size) in traffic.items()]
    return f"between the driver's disk and nodes that do not see it: {', '.join(parts) or 'nothing'}"
