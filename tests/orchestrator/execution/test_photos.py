"""Photos of a FaceAPI task on a node without the project, without a Ray: the driver's disk is an object here."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from projects import make_project, write_csv

from orchestrator.execution.photos import Photos
from trainable.cache.hashes import ImageHashes
from trainable.data.tables import ImageTable, read_table
from trainable.remote.disk import DriverDisk
from trainable.remote.landmarks import Landmarks

NAMES = ("data_raw/photos/M1/0.jpg", "data_raw/photos/M1/기쁨.jpg", "data_raw/photos/M1/0.jpg", "data_raw/gone.jpg")


class Disk(DriverDisk):
    """The driver's disk, of which this "node" sees nothing."""

    landmarks = Landmarks(Path("/nowhere"), "word", {})


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    """Four rows: one photo twice, one with a Korean name, and one that goes before it is hashed."""
    root = make_project(tmp_path / "project")
    for name in NAMES[1::2]:
        (root / name).write_bytes(name.encode())
    csv = root / "data_shared/splits_csv/test_M1.csv"
    write_csv(csv, ("path", "label_en", "minX", "minY", "maxX", "maxY"), [(n, "happy", 1, 1, 9, 9) for n in NAMES])
    found, problems = read_table(csv, root, boxes=True)
    assert not problems
    (root / NAMES[3]).unlink()
    ImageHashes().fill([found])
    return found


def photos(table: ImageTable, disk: Disk) -> Photos:
    """As they arrive at a task."""
    names = Photos.of(table, table.files.root, disk)
    return Photos(disk, *pickle.loads(pickle.dumps((Path("/nowhere"), names.names, names.digests))))


def test_they_come_once_under_their_names_and_go_with_the_task(table: ImageTable) -> None:
    disk = Disk([table], Path("/"))
    with photos(table, disk).here() as root:
        for name in NAMES[:3]:
            assert (root / name).read_bytes() == (table.files.root / name).read_bytes()
        assert not (root / NAMES[3]).exists(), "what cannot be read there cannot be read here either"
    assert not root.exists()
    assert disk.traffic()["images"][0] == 2


def test_a_part_of_the_rows_has_its_own_photos_only(table: ImageTable) -> None:
    with photos(table.take([1]), Disk([table], Path("/"))).here() as root:
        assert [file.name for file in root.rglob("*.jpg")] == ["기쁨.jpg"]


def test_where_the_project_is_nothing_is_copied(table: ImageTable, tmp_path: Path) -> None:
    disk = Disk([table], Path("/"))
    disk.landmarks = Landmarks.leave(tmp_path / "out", [table.csv])
    found = Photos.of(table, table.files.root, disk)
    with found.here() as root:
        assert root == table.files.root
    assert disk.traffic() == {}
