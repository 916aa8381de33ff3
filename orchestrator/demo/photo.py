"""One photo of the demo data: the same (seed, split, index) gives the same bytes, whatever else is made."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from orchestrator.demo.drawing import Colour, Placement, paint
from orchestrator.demo.expressions import pose_expression
from orchestrator.demo.face import face_corners, face_shapes
from orchestrator.demo.people import draw_person

Box = tuple[float, float, float, float]
"""minX, minY, maxX, maxY in pixels."""

Range = tuple[float, float]
"""Least and greatest value; every photo draws its own."""

CROP_SIDE = 160
CROP_MARGIN = 0.22
"""Skin and hair around the box on every side, as a share of the box's longer side."""

JPEG_QUALITY = 90
OVERSAMPLING = 2
"""Photos are painted this many times as large and averaged down, which smooths the edges."""

BACKGROUND_REDUCTION = 8
"""Backgrounds are out of focus, so they are drawn this many times smaller than the photo."""

NOISE_OFFSET = 128
"""Bytes have no sign: noise is kept as this much more."""


@dataclass(frozen=True)
class Domain:
    """The place and the camera that set the photos of one data set apart from those of another."""

    roll: float  # standard deviation of the head's tilt in radians
    exposure: Range
    warmth: float  # red times (1 + warmth), blue times (1 - warmth)
    noise: Range  # grey levels, standard deviation
    clutter: int  # things in the background


STUDIO = Domain(roll=0.04, exposure=(0.95, 1.05), warmth=0.0, noise=(1.0, 3.0), clutter=0)
STREET = Domain(roll=0.08, exposure=(0.70, 0.92), warmth=0.08, noise=(4.0, 7.0), clutter=15)


@dataclass(frozen=True)
class Photo:
    """A finished photo and the crop of its face, both as JPEG bytes; the box is in pixels of the photo."""

    jpeg: bytes
    box: Box
    crop_jpeg: bytes


def photo_generator(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one photo, independent of those of every other photo."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(split.encode()), index)))


def take_photo(label: str, domain: Domain, rng: np.random.Generator) -> Photo:
    """Draw one person showing `label` (English) as a camera of `domain` would record it."""
    width, height = rng.integers(400, 501, 2).tolist()
    place = _place(width, height, domain, rng)
    person, expression = draw_person(rng), pose_expression(label, rng)
    scene = _background((width, height), domain, rng)
    # Nothing in a background is sharp, so it needs no smooth enlarging.
    scene = scene.resize((width * OVERSAMPLING, height * OVERSAMPLING), Image.Resampling.NEAREST)
    paint(scene, face_shapes(person, expression), place, OVERSAMPLING)
    picture = _expose(scene.reduce(OVERSAMPLING), domain, rng)
    corners = place.pixels(face_corners(person, expression))
    left, top = corners.min(axis=0).tolist()
    right, bottom = corners.max(axis=0).tolist()
    box = (left, top, right, bottom)
    crop = picture.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR, box=_crop_square(box, picture.size))
    return Photo(_jpeg(picture), box, _jpeg(crop))


def _place(width: int, height: int, domain: Domain, rng: np.random.Generator) -> Placement:
    """Put the head about the middle of the photo, with room for the whole crop."""
    scale = min(width, height) * rng.uniform(0.30, 0.42)
    return Placement(
        x=float(np.clip(width * rng.normal(0.5, 0.06), 0.9 * scale, width - 0.9 * scale)),
        y=float(np.clip(height * rng.normal(0.52, 0.04), 1.15 * scale, height - 0.95 * scale)),
        scale=scale,
        roll=float(np.clip(rng.normal(0, domain.roll), -0.2, 0.2)),
    )


def _background(size: tuple[int, int], domain: Domain, rng: np.random.Generator) -> Image.Image:
    """An RGB picture of `size` (width, height) without a person: a wall, and the domain's clutter before it."""
    width, height = (math.ceil(side / BACKGROUND_REDUCTION) for side in size)
    scene = Image.new("RGB", (width, height), _grey(rng))
    pen = ImageDraw.Draw(scene)
    for _ in range(domain.clutter):
        left, top, across, down = rng.uniform((-0.1, -0.1, 0.05, 0.05), (1.0, 1.0, 0.35, 0.6)).tolist()
        corners = (left * width, top * height, (left + across) * width, (top + down) * height)
        pen.rectangle(corners, fill=_grey(rng))
    return scene.filter(ImageFilter.GaussianBlur(1.5)).resize(size, Image.Resampling.BILINEAR)


def _grey(rng: np.random.Generator) -> Colour:
    """A grey with a tinge of some colour."""
    red, green, blue = np.clip(rng.uniform(40, 220) + rng.normal(0, 18, 3), 0, 255).astype(int).tolist()
    return red, green, blue


def _expose(scene: Image.Image, domain: Domain, rng: np.random.Generator) -> Image.Image:
    """The painted RGB `scene` as the domain's camera records it: exposure, colour of the light, noise."""
    exposure = rng.uniform(*domain.exposure)
    gains = exposure * np.array((1 + domain.warmth, 1.0, 1 - domain.warmth))
    lit = scene.point(np.clip(np.outer(gains, np.arange(256)), 0, 255).astype(int).ravel().tolist())
    noise = rng.standard_normal((scene.height, scene.width), dtype=np.float32) * np.float32(rng.uniform(*domain.noise))
    # Numpy takes several times as long for such sums of bytes as Pillow.
    grain = Image.fromarray((noise + NOISE_OFFSET).clip(0, 255).astype(np.uint8))
    return ImageChops.add(lit, Image.merge("RGB", (grain, grain, grain)), offset=-NOISE_OFFSET)


def _crop_square(box: Box, size: tuple[int, int]) -> Box:
    """The square around the box with its margin, moved inside a picture of `size` (width, height)."""
    min_x, min_y, max_x, max_y = box
    side = min(max(max_x - min_x, max_y - min_y) * (1 + 2 * CROP_MARGIN), *size)
    left = min(max((min_x + max_x - side) / 2, 0.0), size[0] - side)
    top = min(max((min_y + max_y - side) / 2, 0.0), size[1] - side)
    return left, top, left + side, top + side


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
