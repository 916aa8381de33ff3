"""Reading photos for the onnx engine."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from faceapi.python.photo import Photo, read_photo


def test_a_photo_beyond_pillows_own_limit_is_read(tmp_path: Path) -> None:
    """Node's sharp reads it too. Pillow's limit belongs to the whole process and stays as it is."""
    file, limit = tmp_path / "large.png", Image.MAX_IMAGE_PIXELS
    assert limit is not None
    width, height = 13_500, 13_500
    assert width * height > 2 * limit, "Image.open would refuse it"
    Image.new("1", (width, height), 1).save(file)
    photo = read_photo(file)
    assert isinstance(photo, Photo), photo
    assert (photo.pixels.shape, photo.scale, photo.pixels.min()) == ((4500, 4500, 3), 3, 255)
    assert limit == Image.MAX_IMAGE_PIXELS
