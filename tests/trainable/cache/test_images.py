"""Decoded images: what is stored is what `decode` gives, for every content once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from projects import draw
from twins import cache_at, segments_of

from trainable.base.errors import ExperimentError
from trainable.cache.images import ImageStore
from trainable.data.images import decode

KINDS = [
    ("L", "png"), ("L", "jpg"), ("1", "png"), ("LA", "png"), ("P", "png"), ("P", "gif"), ("RGB", "bmp"),
    ("RGB", "webp"), ("RGBA", "png"), ("CMYK", "jpg"), ("YCbCr", "jpg"), ("I;16", "png"),
]  # fmt: skip
SIZES = [(160, 160), (320, 200), (16, 16), (160, 161)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    with cache_at(tmp_path / "cache") as folder:
        yield folder


def drawn(folder: Path, count: int, first: int = 0) -> list[Path]:
    files = [folder / f"{number}.jpg" for number in range(first, first + count)]
    for number, file in enumerate(files):
        draw(file, number, first + number, size=40)
    return files


def decoded(files: list[Path], **options: int) -> int:
    """Fill a store that has just been opened; the number of images that it lacked."""
    counted: list[int] = []
    digests = ImageStore().fill(files, advance=counted.append, **options)
    assert digests == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return sum(counted)


def assert_decoded(files: list[Path]) -> None:
    """By a store that has just been opened."""
    rows, _ = ImageStore().rows(files)
    for file, pixels, flag in zip(files, rows.gather(torch.arange(len(files))), rows.flags, strict=True):
        expected = decode(file.read_bytes())
        assert flag == (expected is None), file
        assert np.array_equal(pixels.numpy(), np.zeros((160, 160, 3)) if expected is None else expected), file


def test_stored_pixels_are_decoded_pixels_for_every_kind_of_image(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = []
    for mode, suffix in KINDS:
        for size in SIZES:
            file = tmp_path / f"{mode.replace(';', '')} {size[0]}x{size[1]}.{suffix}"
            if mode == "I;16":
                Image.fromarray(random.integers(0, 65536, size[::-1], np.uint16)).save(file)
            else:
                Image.fromarray(random.integers(0, 256, (*size[::-1], 3), np.uint8)).convert(mode).save(file)
            files.append(file)
    for name, how in {"cut": lambda d: d[: len(d) // 2], "empty": lambda d: b"", "text": lambda d: b"<html>"}.items():
        files.append(tmp_path / f"{name}.jpg")
        files[-1].write_bytes(how(files[4].read_bytes()))
    assert decoded(files, threads=2) == len(files)
    assert_decoded(files)
    assert sum(ImageStore().rows(files)[0].flags) == 3


def test_an_image_in_two_splits_is_decoded_once(tmp_path: Path) -> None:
    """Under other names and in other folders, and twice in one call."""
    m1 = drawn(tmp_path / "M1", 6)
    k7 = [tmp_path / "K7" / f"copy of {file.name}" for file in m1[:4]]
    k7[0].parent.mkdir()
    for old, new in zip(m1, k7, strict=False):
        shutil.copy(old, new)
    assert decoded(m1[:2] + m1) == 6
    assert decoded(k7 + drawn(tmp_path / "K7", 3, first=10)) == 3
    assert_decoded(m1 + k7)


def test_a_changed_file_is_decoded_anew_and_a_renamed_one_is_not(tmp_path: Path, cache: Path) -> None:
    files = drawn(tmp_path, 4)
    ImageStore().fill(files)
    files[0] = files[0].rename(tmp_path / "renamed.jpg")
    assert decoded(files) == 0
    draw(files[1], 1, 99)
    assert decoded(files) == 1
    assert_decoded(files)
    assert len(segments_of(cache, "images")) >= 2


def test_progress_counts_images(tmp_path: Path) -> None:
    counted: list[int] = []
    ImageStore().fill(drawn(tmp_path, 5), advance=counted.append)
    assert sum(counted) == 5


def test_another_version_of_pillow_decodes_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, since only one is installed."""
    files = drawn(tmp_path, 2)
    ImageStore().fill(files)
    monkeypatch.setattr("PIL.__version__", "0.0")
    assert decoded(files) == 2


# -- files that do not keep still


def test_a_file_that_has_gone_is_an_error_and_not_a_black_patch(tmp_path: Path) -> None:
    files = drawn(tmp_path, 3)
    images = ImageStore()
    images.fill(files[:2])
    files[1].unlink()
    for call in (images.fill, images.rows):
        with pytest.raises(ExperimentError, match=r"1\.jpg: has gone since the inputs were checked$"):
            call(files[:2])


def test_a_file_the_system_cannot_read_says_so(tmp_path: Path) -> None:
    """A folder stands for all that the system refuses: root may read any file."""
    (tmp_path / "face.jpg").mkdir()
    with pytest.raises(ExperimentError, match=r"face\.jpg: cannot be read: Is a directory$"):
        ImageStore().fill([tmp_path / "face.jpg"])


def test_a_file_that_changes_between_the_filling_and_the_use_is_an_error(tmp_path: Path) -> None:
    files = drawn(tmp_path, 3)
    images = ImageStore()
    images.fill(files)
    draw(files[2], 0, 77)
    with pytest.raises(ExperimentError, match=r"2\.jpg: changed while it was being used; try again$"):
        images.rows(files)
    images.fill(files)
    assert_decoded(files)


def test_a_file_that_is_not_what_was_remembered_is_an_error_once(tmp_path: Path, cache: Path) -> None:
    """Written over with the size and the time of before, as some ways of copying do."""
    files = drawn(tmp_path, 2)
    ImageStore().fill(files)
    shutil.rmtree(cache / "images")
    before = files[0].stat()
    files[0].write_bytes(files[0].read_bytes()[:-2] + b"xx")
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ExperimentError, match=r"0\.jpg: changed while it was being used; try again$"):
        ImageStore().fill(files)
    ImageStore().fill(files)
    assert_decoded(files)


@pytest.mark.parametrize("content", [b"", b"no database", bytes(10_000)])
def test_a_broken_memory_of_hashes_costs_time_only(content: bytes, tmp_path: Path, cache: Path) -> None:
    files = drawn(tmp_path, 2)
    cache.mkdir()
    (cache / "image_hashes.sqlite").write_bytes(content)
    assert decoded(files) == 2
    assert_decoded(files)


def test_a_cache_that_makes_room_keeps_the_hashes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are small, and hashing again what was hashed takes the time of reading it."""
    first, second = drawn(tmp_path / "a", 3), drawn(tmp_path / "b", 3, first=10)
    ImageStore().fill(first)
    before = segments_of(cache, "images")
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", str(1.5 * sum(path.stat().st_size for path in before) / 1e9))
    ImageStore().fill(second)
    assert not before & segments_of(cache, "images"), "the limit did not bite"
    monkeypatch.setattr(
        "trainable.cache.digests.file_digest", lambda file, size: pytest.fail(f"{file} is hashed again")
    )
    assert len(ImageStore().digests(first + second)) == 6
