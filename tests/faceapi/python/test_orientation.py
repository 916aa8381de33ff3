"""The upright photo is the one that every viewer shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from faceapi.contract import photo_limits
from faceapi.python.photo import Photo, read_photo

VALUES = range(10)


def saved(file: Path, size: tuple[int, int], value: int) -> np.ndarray:
    """A photo of random pixels with an orientation; returns the pixels that a viewer shows."""
    width, height = size
    pixels = np.random.default_rng(value).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(pixels).save(file, exif=exif)
    with Image.open(file) as image:
        return np.asarray(ImageOps.exif_transpose(image))


def read(file: Path, *, upright: bool) -> Photo:
    photo = read_photo(file, upright=upright)
    assert isinstance(photo, Photo), photo
    return photo


@pytest.mark.parametrize("value", VALUES)
def test_it_is_turned_as_its_exif_data_say(value: int, tmp_path: Path) -> None:
    shown = saved(tmp_path / "a.png", (7, 4), value)
    assert np.array_equal(read(tmp_path / "a.png", upright=True).pixels, shown)
    with Image.open(tmp_path / "a.png") as stored:
        assert np.array_equal(read(tmp_path / "a.png", upright=False).pixels, np.asarray(stored))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("size", [(20, 13), (19, 2), (1, 16)])
def test_a_large_one_is_turned_before_its_pixels_are_chosen(
    size: tuple[int, int], value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pixel of every three, counted from the corner that is the upper left one then."""
    monkeypatch.setattr("faceapi.python.photo.MAX_SIDE", 7)  # instead of photos of 6,000 pixels
    shown = saved(tmp_path / "a.png", size, value)
    photo = read(tmp_path / "a.png", upright=True)
    step = photo.scale
    assert step == -(-max(size) // 7) < photo_limits.MAX_SIDE
    height, width = (max(1, side // step) for side in shown.shape[:2])
    assert np.array_equal(photo.pixels, shown[::step, ::step][:height, :width])
