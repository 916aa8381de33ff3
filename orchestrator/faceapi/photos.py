"""Photos as 8-bit RGB, pixel for pixel what the Node evaluator's sharp makes of them (faceapi/lib/photo.mjs).

On JPEG (all chroma samplings, progressive or not), PNG, WebP, GIF and TIFF, Pillow and sharp decode to the same bytes:
both use libjpeg-turbo's accurate IDCT and smooth chroma upsampling.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP")
MAX_SIDE = 6000
"""Larger photos are shrunk to it: Node's detector has no room for more."""
MAX_PIXELS = 0x3FFF**2
"""Larger ones are refused, as sharp does."""


@dataclass(frozen=True)
class Photo:
    """`pixels` (height x width x 3), each of which spans `scale` stored pixels. EXIF orientation is not applied: boxes
    are in stored pixels."""

    pixels: NDArray[np.uint8]
    scale: float


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
            stored = image.size
            if stored[0] * stored[1] > MAX_PIXELS:
                raise Image.DecompressionBombError
            _check_bitmap(image)
            image.load()
            # Inks are shrunk as inks, as sharp does: the table would take its time over 100 megapixels.
            image_rgb = _rgb(_fitting(image)) if image.mode == "CMYK" else _fitting(_rgb(image))
            pixels = np.asarray(image_rgb)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    return Photo(pixels, max(stored) / max(pixels.shape[:2]))


def _check_bitmap(image: Image.Image) -> None:
    """BMP comes in many kinds; both evaluators read the uncompressed ones of 1, 4, 8, 24 and 32 bits."""
    if image.format != "BMP" or not isinstance(image, ImageFile.ImageFile):
        return
    sixteen_bits = any("BGR;1" in str(tile.args) for tile in image.tile)
    if image.info.get("compression") not in (0, 3) or sixteen_bits:
        raise ValueError("unsupported kind of BMP")


def _fitting(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    if longest <= MAX_SIDE:
        return image
    width, height = (max(1, round(side * MAX_SIDE / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16-bit grey: the high byte
        high = np.asarray(image).astype(np.int32).clip(0, 65535) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK":
        from orchestrator.faceapi.cmyk import cmyk_to_rgb

        return cmyk_to_rgb(image)
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return (_without_hidden(opaque) if image.format == "GIF" else opaque).convert("RGB")
    return image.convert("RGB")


def _without_hidden(image: Image.Image) -> Image.Image:
    """What a GIF hides is black to libvips, whatever colour it has."""
    black = Image.new("RGBA", image.size)
    black.paste(image, mask=image.getchannel("A"))
    return black
