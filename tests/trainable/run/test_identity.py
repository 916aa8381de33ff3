"""What makes two runs the same, and how fast that is found out."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from projects import BOX, write_csv
from small_runs import csvs_of, finetune, tables_of

from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.cache.hashes import ImageHashes, digest, file_digest
from trainable.data.tables import ImageTable, load_table, read_table
from trainable.run.identity import (
    Identity,
    data_identity,
    differences,
    table_digests,
    training_identity,
    weights_identity,
)

IMAGE = "data_shared/cropped_faces_160/M1/val_03.jpg"


def identity(root: Path, config: TrainConfig | None = None) -> Identity:
    return training_identity(config or finetune(), tables_of(root), ImageHashes())


def overwrite(path: Path, content: bytes) -> None:
    """Other content of the same size at the same time: what only reading could tell apart."""
    before = path.stat()
    assert before.st_size == len(content)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# -- what counts


def test_the_same_project_elsewhere_is_the_same(project: Path, tmp_path: Path) -> None:
    """Another folder, other times, other line ends of the CSVs."""
    other = tmp_path / "moved/here"
    shutil.copytree(project, other, copy_function=shutil.copyfile)
    for path in other.rglob("*.jpg"):
        os.utime(path, (1, 1))
    for path in csvs_of(other).values():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert identity(project) == identity(other)


def test_one_changed_pixel_is_another_run(project: Path) -> None:
    before = identity(project)
    with Image.open(project / IMAGE) as image:
        changed = image.copy()
    red, green, blue = changed.getpixel((80, 80))
    changed.putpixel((80, 80), ((red + 128) % 256, green, blue))
    changed.save(project / IMAGE, quality=90)
    assert differences(before, identity(project)) == ["data.val.images changed"]


def test_one_changed_label_is_another_run(project: Path) -> None:
    before = identity(project)
    path = csvs_of(project)["train"]
    path.write_text(path.read_text().replace("train_00.jpg,angry", "train_00.jpg,sad"))
    assert differences(before, identity(project)) == ["data.train.rows changed"]


def test_the_order_of_the_rows_counts(project: Path) -> None:
    """It decides which image the shuffle puts where."""
    before = identity(project)
    path = csvs_of(project)["train"]
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]))
    assert differences(before, identity(project)) == ["data.train.rows changed", "data.train.images changed"]


def test_a_changed_rate_is_another_run_and_is_told_in_numbers(shared_project: Path) -> None:
    config = finetune(lr_head=5e-4)
    before, after = identity(shared_project, config), identity(shared_project, replace(config, lr_head=7e-4))
    assert differences(before, after) == ["config.lr_head 0.0005 -> 0.0007"]


def test_other_stages_are_told(shared_project: Path) -> None:
    after = identity(shared_project, finetune(stage3_epoch=3))
    assert differences(identity(shared_project), after) == ["config.stage_starts [0, 1, 2] -> [0, 1, 3]"]


def test_another_split_is_another_run(shared_project: Path) -> None:
    one, other = (training_identity(finetune(), tables_of(shared_project, s), ImageHashes()) for s in ("M1", "M2"))
    assert len(differences(one, other)) == 6


def test_equal_identities_differ_in_nothing_and_a_lost_value_is_told() -> None:
    one = {"a": {"b": 1}, "c": "x"}
    assert differences(one, {"a": {"b": 1}, "c": "x"}) == []
    assert differences(one, {"a": {}, "c": "x"}) == ["a.b 1 -> None"]
    assert differences({}, one) == ["a None -> {'b': 1}", "c None -> x"]


def test_weights_count_by_content_not_by_name(tmp_path: Path) -> None:
    for name, content in (("a.pt", b"one"), ("b.pt", b"one"), ("c.pt", b"two")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (weights_identity(str(tmp_path / name)) for name in ("a.pt", "b.pt", "c.pt"))
    assert a == b != c
    assert len({a, weights_identity("none"), weights_identity("imagenet")}) == 3


@pytest.mark.parametrize(("name", "told"), [("gone.pt", "no such file"), (".", "is a folder")])
def test_weights_that_are_no_file_are_told(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        weights_identity(str(tmp_path / name))


def test_the_digests_of_a_small_project_are_those_of_the_first_version(tmp_path: Path) -> None:
    """Literal, since results that users have would be stale if these changed."""
    for name in ("a.jpg", "기쁨.jpg"):
        (tmp_path / name).write_text(name)
    rows = [("a.jpg", "기쁨"), ("기쁨.jpg", 'sad "so"'), ("a.jpg", "기쁨")]
    write_csv(tmp_path / "t.csv", ("path", "label"), rows)
    write_csv(tmp_path / "b.csv", ("path", "label", *BOX), [(*row, 1, 2.5, 3e2, 4) for row in rows])
    plain = load_table(tmp_path / "t.csv", tmp_path)
    boxed, _ = read_table(tmp_path / "b.csv", tmp_path, boxes=True)
    images = "84e8c87fe7febd7a3e5a77505dd0e8ecb7127d6a20861ecf9258dd4bc2085d14"
    assert data_identity({"train": plain}, ImageHashes()) == {
        "train": {"rows": "a606ad9a25e9d478609d7bb7118895bd2745147e23d37a86e26bb087ed3c1b24", "images": images}
    }
    ImageHashes().fill([boxed])
    assert table_digests(boxed) == {
        "rows": "bdc4aaffe495073fadf39cc798ec85656712e3571da6919dfd537740987dfddc",
        "images": images,
    }


def test_the_frame_of_a_box_is_part_of_the_data(tmp_path: Path) -> None:
    """That of stored pixels, the only one there was at first, leaves no trace."""
    (tmp_path / "a.jpg").write_text("a")
    found = {}
    for frame in ("", "stored", "upright"):
        write_csv(tmp_path / "b.csv", ("path", "label", *BOX, "frame"), [("a.jpg", "x", 1, 2, 3, 4, frame)])
        table, _ = read_table(tmp_path / "b.csv", tmp_path, boxes=True)
        ImageHashes().fill([table])
        found[frame] = table_digests(table)["rows"]
    assert found[""] == found["stored"] == digest([["a.jpg", "x", 1.0, 2.0, 3.0, 4.0]])
    assert found["upright"] == digest([["a.jpg", "x", 1.0, 2.0, 3.0, 4.0, "upright"]])


def test_a_table_longer_than_a_block_has_the_digest_of_the_whole_list(tmp_path: Path) -> None:
    """Texts are made block by block, and their digest is that of the JSON list of all rows."""
    (tmp_path / "a.jpg").write_text("a")
    write_csv(tmp_path / "t.csv", ("path", "label"), [("a.jpg", str(number)) for number in range(20_000)])
    table = load_table(tmp_path / "t.csv", tmp_path)
    found = data_identity({"val": table}, ImageHashes())["val"]
    assert found["rows"] == digest([["a.jpg", str(number)] for number in range(20_000)])
    assert found["images"] == digest([file_digest(tmp_path / "a.jpg")] * 20_000)


# -- the cache


def table_of(*images: Path) -> ImageTable:
    csv = images[0].with_name("images.csv")
    write_csv(csv, ("path", "label"), [(image.name, "x") for image in images])
    return load_table(csv, csv.parent)


def digests(cache: Path | None, *images: Path) -> list[str]:
    table = table_of(*images)
    ImageHashes(cache).fill([table])
    return table.digests("missing")


def test_the_images_of_a_table_are_hashed_once_and_again_when_one_changes(tmp_path: Path) -> None:
    """A change that leaves size and second as they are is noticed by the nanoseconds."""
    cache, images = tmp_path / "hashes.sqlite", [tmp_path / f"{number}.jpg" for number in range(3)]
    for image in images:
        image.write_text(image.name)
        os.utime(image, ns=(10**18, 10**18))
    first = digests(cache, *images)
    assert first == [file_digest(image) for image in images]
    for image in images:
        overwrite(image, b"other")
    assert digests(cache, *images) == first, "a list that is as it was is hashed again"
    assert digests(cache, *images[::-1]) == first[::-1], "a file that is as it was is hashed again"
    os.utime(images[1], ns=(10**18, 10**18 + 1))
    assert digests(cache, *images) == [first[0], file_digest(images[1]), first[2]]
    ImageHashes(cache).forget(images[0])
    assert digests(cache, *images) == [file_digest(images[0]), file_digest(images[1]), first[2]]


def test_a_file_that_has_gone_since_the_check_stays_unknown_and_is_not_remembered_so(tmp_path: Path) -> None:
    cache, images = tmp_path / "hashes.sqlite", [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for image in images:
        image.write_text(image.name)
    table = table_of(*images)
    images[0].unlink()
    ImageHashes(cache).fill([table])
    assert (table.hashed, table.digests("missing")) == (False, ["missing", file_digest(images[1])])
    images[0].write_text("again")
    assert digests(cache, *images) == [file_digest(image) for image in images]


def test_hashing_says_how_far_it_is_and_what_was_hashed_survives_an_interrupt(tmp_path: Path) -> None:
    """After Ctrl-C only the rest is read again."""
    cache, images = tmp_path / "hashes.sqlite", [tmp_path / f"{number}.jpg" for number in range(1000)]
    for image in images:
        image.write_text(image.name)
    told: list[tuple[int, int]] = []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if done > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ImageHashes(cache, block=300).fill([table_of(*images)], interrupt)
    assert sorted(told) == told and {total for _, total in told} == {1000} and len(told) > 4
    first = [file_digest(image) for image in images]
    for image in images:
        overwrite(image, bytes(image.stat().st_size))
    now, hashed = digests(cache, *images), told[-1][0]
    assert now[:hashed] == first[:hashed]
    assert not set(now[hashed:]) & set(first)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.jpg"
    path.write_bytes(b"first")
    return path


def test_a_cached_file_is_not_read_again(tmp_path: Path, image: Path) -> None:
    cache = tmp_path / "new/folder/hashes.sqlite"
    first = ImageHashes(cache).of([image])
    assert first == {image: file_digest(image)}
    overwrite(image, b"other")
    assert ImageHashes(cache).of([image]) == first
    assert ImageHashes().of([image]) == {image: file_digest(image)} != first


def test_a_file_is_known_by_every_name_that_leads_to_it(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan may name it from the working folder, a trial in full, and the project may be a link."""
    hashes = ImageHashes(tmp_path / "hashes.sqlite")
    first = hashes.of([image])[image]
    overwrite(image, b"other")
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in (Path("image.jpg"), Path("link/image.jpg"), tmp_path / "link" / "image.jpg"):
        assert hashes.of([name]) == {name: first}
    hashes.forget(Path("link/image.jpg"))
    assert hashes.of([image]) == {image: file_digest(image)} != {image: first}


def test_the_same_name_from_another_working_folder_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large and as old, as what comes out of two archives may be."""
    name, found = Path("face.jpg"), []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / name).write_text(folder.name)
        os.utime(folder / name, (1, 1))
        monkeypatch.chdir(folder)
        found.append(ImageHashes(tmp_path / "hashes.sqlite").of([name])[name])
    assert found[0] != found[1]


def test_many_files_are_remembered(tmp_path: Path) -> None:
    """More than SQLite takes in one query."""
    files = [tmp_path / f"{number}.jpg" for number in range(1201)]
    for file in files:
        file.write_text(file.name)
    hashes = ImageHashes(tmp_path / "hashes.sqlite")
    first = hashes.of(files)
    for file in files:
        overwrite(file, bytes(file.stat().st_size))
    assert hashes.of(files) == first


def test_a_cache_that_others_hold_is_left_to_them(tmp_path: Path, image: Path) -> None:
    cache = tmp_path / "hashes.sqlite"
    first = ImageHashes(cache).of([image])
    overwrite(image, b"other")
    with closing(sqlite3.connect(cache, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert ImageHashes(cache, busy_seconds=0.05).of([image]) == {image: file_digest(image)}
        other.execute("ROLLBACK")
    assert ImageHashes(cache).of([image]) == first, "what was remembered is lost"


@pytest.mark.parametrize("size", [-1, 0, 1, 999, 1000, 1001, 10**7])
@pytest.mark.parametrize("length", [0, 1, 1000, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_a_file_has_the_digest_of_its_content_whatever_its_size_was(tmp_path: Path, length: int, size: int) -> None:
    """It may have grown or shrunk since it was looked up, and takes more than one read where it is large."""
    content = bytes(range(256)) * (length // 256) + bytes(length % 256)
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a", size) == hashlib.sha256(content).hexdigest()


def test_another_time_or_size_is_read_again(tmp_path: Path, image: Path) -> None:
    hashes = ImageHashes(tmp_path / "hashes.sqlite")
    hashes.of([image])
    overwrite(image, b"other")
    os.utime(image, ns=(1, 1))
    assert hashes.of([image]) == {image: file_digest(image)}
    image.write_bytes(b"longer than before")
    os.utime(image, ns=(1, 1))
    assert hashes.of([image]) == {image: file_digest(image)}


def test_a_file_that_is_gone_is_missing_and_is_not_remembered_so(tmp_path: Path, image: Path) -> None:
    hashes = ImageHashes(tmp_path / "hashes.sqlite")
    gone = tmp_path / "later.jpg"
    assert hashes.of([image, gone]) == {image: file_digest(image), gone: "missing"}
    gone.write_bytes(b"here")
    assert hashes.of([gone]) == {gone: file_digest(gone)}
    gone.unlink()
    assert hashes.of([gone]) == {gone: "missing"}


def test_a_broken_cache_costs_time_only(tmp_path: Path, image: Path) -> None:
    cache = tmp_path / "hashes.sqlite"
    cache.write_bytes(b"this is not a database" * 100)
    assert ImageHashes(cache).of([image]) == {image: file_digest(image)}
    first = file_digest(image)
    overwrite(image, b"other")
    assert ImageHashes(cache).of([image]) == {image: first}, "the broken cache was not replaced by a working one"


@pytest.mark.parametrize("where", ["file/hashes.sqlite", "folder"])
def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, image: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    hashes = ImageHashes(tmp_path / where)
    for _ in range(2):
        assert hashes.of([image]) == {image: file_digest(image)}


def test_a_cache_that_may_not_be_changed_costs_time_only(image: Path) -> None:
    """A folder that is read-only even for root: files of /proc may be opened and never created or replaced."""
    folder = Path("/proc/self")
    if not folder.is_dir():
        pytest.skip("no /proc here, which is what root cannot write to")
    assert ImageHashes(folder / "hashes.sqlite").of([image]) == {image: file_digest(image)}
    assert ImageHashes(folder / "status").of([image]) == {image: file_digest(image)}
    table = table_of(image)
    ImageHashes(folder / "status").fill([table])
    assert table.digests() == [file_digest(image)]
