"""Photos as 8-bit RGB, with the same bytes that sharp decodes for the Node evaluator (faceapi/node/lib/photo.mjs).

JPEG, PNG, WebP and GIF are read. Pillow and sharp decode them to the same bytes: both use libjpeg-turbo's accurate IDCT
and smooth chroma upsampling. JPEGs in CMYK are refused by both evaluators, because Pillow and sharp convert their inks
to different colours.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from faceapi.contract.photo_limits import MAX_PIXELS, MAX_SIDE
from faceapi.python.orientation import STORED, Orientation, orientation_of

# Pillow's remarks on odd metadata. The filter is set once: changing it for each photo would not be safe with threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    `pixels` is uint8, height x width x 3, RGB; one of its pixels spans `scale` pixels of the file.
    """

    pixels: NDArray[np.uint8]
    scale: int


def read_photo(file: Path, *, upright: bool = False) -> Photo | str:
    """Decode a photo, or say in one line why it cannot be read. A photo that ends too early cannot be read.

    Args:
        upright: whether to apply the EXIF orientation; without it the pixels lie as they are stored.
    """
    try:
        with file.open("rb") as stream, _open(stream) as image:
            return _decode(image, orientation_of(image) if upright else STORED)
    except FileNotFoundError:
        return "no such file"
    except Exception as error:  # decoders raise errors of many kinds, and one photo must not stop its split
        return reason_of(error)


def reason_of(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _open(stream: BinaryIO) -> ImageFile.ImageFile:
    """Read the header with the decoder that the first bytes ask for.

    `Image.open` is not used because it applies `Image.MAX_IMAGE_PIXELS`, a limit for the whole process.

    Raises:
        ValueError: the file is of no supported format.
        SyntaxError: the header is damaged.
    """
    start = stream.read(12)
    stream.seek(0)
    if start.startswith(b"\xff\xd8\xff"):
        return JpegImageFile(stream)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile(stream)
    if start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        return WebPImageFile(stream)
    if start.startswith((b"GIF87a", b"GIF89a")):
        return GifImageFile(stream)
    raise ValueError("unsupported image format")


def _decode(image: ImageFile.ImageFile, orientation: Orientation) -> Photo:
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"more than {MAX_PIXELS} pixels")
    if image.mode == "CMYK":
        raise ValueError("unsupported colours: cmyk")
    _load(image)
    step = math.ceil(max(image.size) / MAX_SIDE)
    thinned = _thinned(image, step, orientation) if step > 1 else image
    pixels = np.asarray(_rgb(thinned, hidden_black=image.format == "GIF"))
    return Photo(pixels if orientation is STORED else orientation.upright(pixels), step)


def _load(image: ImageFile.ImageFile) -> None:
    """Decode the pixels.

    sharp accepts a sequential JPEG once all its rows are decoded, whatever follows them. Pillow reports damage behind
    the rows as a broken data stream, but keeps the rows.

    Raises:
        OSError: the file ends too early, or cannot be decoded.
    """
    try:
        image.load()
    except OSError as error:
        sequential = image.format == "JPEG" and "progressive" not in image.info
        if not sequential or not str(error).startswith("broken data stream"):
            raise


def _thinned(image: Image.Image, step: int, orientation: Orientation) -> Image.Image:
    """Keep every `step`-th pixel of every `step`-th row, from the first one of the photo as it will lie; a remainder at
    the ends is left out."""
    width, height = size = (image.width // step or 1, image.height // step or 1)
    left = image.width - 1 - (width - 1) * step if orientation.from_right else 0
    top = image.height - 1 - (height - 1) * step if orientation.from_bottom else 0
    middle = 0.5 - step / 2  # Pillow asks for the middle of a pixel
    map_back = (step, 0, left + middle, 0, step, top + middle)
    return image.transform(size, Image.Transform.AFFINE, map_back, Image.Resampling.NEAREST)


def _rgb(image: Image.Image, *, hidden_black: bool) -> Image.Image:
    """Convert to RGB. Transparency is dropped, not blended.

    libvips makes the transparent pixels of a GIF black, whatever their colour; `hidden_black` asks for the same.
    """
    if image.mode.startswith("I"):  # 16-bit grey: the high byte
        high = np.asarray(image).astype(np.int32).clip(0, 65535) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    if "transparency" in image.info:
        image = image.convert("RGBA")
        if hidden_black:
            black = Image.new("RGBA", image.size)
            black.paste(image, mask=image.getchannel("A"))
            image = black
    return image.convert("RGB")
