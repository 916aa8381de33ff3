"""Image files to pixels: reading, and decoding with Pillow (no torch)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from trainable.base.config import IMAGE_SIZE
from trainable.base.errors import ExperimentError


def read_image(file: Path) -> bytes:
    """The content of an image file.

    Raises:
        ExperimentError: the system cannot read the file, or it has gone since the inputs were checked. That is no
            corrupt image, and a black patch would hide it.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ExperimentError(f"{file}: has gone since the inputs were checked") from error
    except OSError as error:
        raise ExperimentError(f"{file}: cannot be read: {error.strerror}") from error


def decode(content: bytes) -> np.ndarray | None:
    """Pixels of an image file's content: uint8, (160, 160, 3), RGB; None where it is corrupt."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            rgb = _eight_bits(image).convert("RGB")
            if rgb.size != (IMAGE_SIZE, IMAGE_SIZE):
                rgb = rgb.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)
            return np.array(rgb)
    except MemoryError:
        raise
    except Exception:  # whatever a decoder raises on a broken file, Pillow's documentation sets no limit
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled down; Pillow's own conversion would clip it to white."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
