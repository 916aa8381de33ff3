"""Photos as 8-bit RGB, pixel for pixel what the Node evaluator's sharp makes of them (faceapi/lib/photo.mjs).

On JPEG (all chroma samplings, progressive or not), PNG, WebP, GIF and TIFF, Pillow and sharp decode to the same bytes:
both use libjpeg-turbo's accurate IDCT and smooth chroma upsampling.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP")
MAX_SIDE = 6000
"""Of larger photos every second, third, ... pixel is taken: Node's detector has no room for more."""
MAX_PIXELS = 0x3FFF**2
"""Larger ones are refused, as sharp does."""


@dataclass(frozen=True)
class Photo:
    """`pixels` (height x width x 3), each of which spans `scale` stored pixels. EXIF orientation is not applied: boxes
    are in stored pixels."""

    pixels: NDArray[np.uint8]
    scale: int


def read_photo(file: Path) -> Photo | str:
    """The decoded photo, or in one line why it cannot be read. A photo that ends too early is not read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # Pillow's remarks on odd metadata
            return _decode(file)
    except FileNotFoundError:
        return "no such file"
    except Image.DecompressionBombError:
        return f"more than {MAX_PIXELS} pixels"
    except UnidentifiedImageError:
        return "unsupported image format"
    except Exception as error:  # decoders have errors of many kinds
        return " ".join(str(error).split()) or type(error).__name__


def _decode(file: Path) -> Photo:
    # Its own limit instead of Pillow's, which would refuse photos that sharp reads.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            _check_kind(image)
            _load(image)
            step = math.ceil(max(image.size) / MAX_SIDE)
            pixels = np.asarray(_rgb(_thinned(image, step) if step > 1 else image, image.format))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    return Photo(pixels, step)


def _load(image: ImageFile.ImageFile) -> None:
    """Decode; a sequential JPEG is whole to libvips once its rows are there, whatever is wrong with what follows.

    Raises:
        OSError: it ends too early, or cannot be decoded.
    """
    try:
        image.load()
    except OSError as error:
        sequential = image.format == "JPEG" and "progressive" not in image.info
        if not sequential or not str(error).startswith("broken data stream"):
            raise
        before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
        try:
            image.load()
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before


def _check_kind(image: ImageFile.ImageFile) -> None:
    """BMP and TIFF come in many kinds: both evaluators refuse what one of them cannot read.

    Of BMP they read the uncompressed ones of 1, 4, 8, 24 and 32 bits. Of TIFF they leave CIELAB, numbers of 32 bits and
    the compressions that sharp lacks.
    """
    if image.format == "BMP":
        sixteen_bits = any("BGR;1" in str(tile.args) for tile in image.tile)
        if image.info.get("compression") not in (0, 3) or sixteen_bits:
            raise ValueError("unsupported kind of BMP")
    elif image.format == "TIFF" and (
        image.mode in ("LAB", "I", "F") or image.info.get("compression") in ("lzma", "zstd", "webp")
    ):
        raise ValueError("unsupported kind of TIFF")


def _thinned(image: Image.Image, step: int) -> Image.Image:
    """Every `step`-th pixel of every `step`-th row, from the first on; a rest at the ends is left out."""
    size = (image.width // step or 1, image.height // step or 1)
    first = 0.5 - step / 2  # Pillow asks for the middle of a pixel
    return image.transform(size, Image.Transform.AFFINE, (step, 0, first, 0, step, first), Image.Resampling.NEAREST)


def _rgb(image: Image.Image, format_: str | None) -> Image.Image:
    """`image` of a file of some format as RGB; transparency is dropped, not blended."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16-bit grey: the high byte
        high = np.asarray(image).astype(np.int32).clip(0, 65535) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK":
        from faceapi.python.cmyk import cmyk_to_rgb

        return cmyk_to_rgb(image)
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return (_without_hidden(opaque) if format_ == "GIF" else opaque).convert("RGB")
    return image.convert("RGB")


def _without_hidden(image: Image.Image) -> Image.Image:
    """What a GIF hides is black to libvips, whatever colour it has."""
    black = Image.new("RGBA", image.size)
    black.paste(image, mask=image.getchannel("A"))
    return black
