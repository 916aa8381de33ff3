"""One photo of the demo data: the same (seed, split, index) gives the same bytes, whatever else is made."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from orchestrator.demo.camera import background, expose, frame
from orchestrator.demo.domains import Domain
from orchestrator.demo.expressions import pose_expression
from orchestrator.demo.faces import draw_face
from orchestrator.demo.geometry import Box
from orchestrator.demo.painter import OVERSAMPLING
from orchestrator.demo.people import draw_person

CROP_SIDE = 160
CROP_MARGIN = 0.22
"""Skin and hair around the box on every side, as a share of the box's longer side."""

CROP_QUALITY = 92
EXIF_MODEL, EXIF_DATE = 0x0110, 0x0132


@dataclass(frozen=True)
class Photo:
    """A finished photo and the crop of its face, both as JPEG bytes; boxes in pixels of each."""

    jpeg: bytes
    box: Box
    crop_jpeg: bytes
    crop_box: Box


def photo_generator(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one photo, independent of those of every other photo."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(split.encode()), index)))


def crop_square(box: Box, size: tuple[int, int]) -> Box:
    """The square around the box with its margin, moved inside a picture of `size` (width, height)."""
    min_x, min_y, max_x, max_y = box
    side = min(max(max_x - min_x, max_y - min_y) * (1 + 2 * CROP_MARGIN), *size)
    left = min(max((min_x + max_x - side) / 2, 0.0), size[0] - side)
    top = min(max((min_y + max_y - side) / 2, 0.0), size[1] - side)
    return left, top, left + side, top + side


def _jpeg(image: Image.Image, quality: int, exif: Image.Exif | None = None) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif or Image.Exif())
    return buffer.getvalue()


def _exif(domain: Domain, rng: np.random.Generator) -> Image.Exif:
    """Camera and time of the photo, within the years of its collection."""
    year = rng.integers(domain.collected[0], domain.collected[1] + 1)
    month, day, hour, minute, second = (int(rng.integers(low, high)) for low, high in
                                        ((1, 13), (1, 29), (8, 20), (0, 60), (0, 60)))  # fmt: skip
    exif = Image.Exif()
    exif[EXIF_MODEL] = domain.camera
    exif[EXIF_DATE] = f"{year}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02}"
    return exif


def take_photo(label: str, domain: Domain, rng: np.random.Generator) -> Photo:
    """Draw one person showing `label` (English) as a camera of `domain` would record it."""
    shot = frame(domain, rng)
    person = draw_person(rng, domain.glasses, domain.beard)
    expression = pose_expression(label, rng, domain.intensity)
    enlarged = (shot.size[0] * OVERSAMPLING, shot.size[1] * OVERSAMPLING)
    scene = background(domain, enlarged, rng)
    face = draw_face(scene, shot.pose, person, expression, shot.light, rng)
    picture = expose(scene.reduce(OVERSAMPLING), face.light, domain, rng)
    quality = int(rng.integers(domain.quality[0], domain.quality[1] + 1))
    square = crop_square(face.box, shot.size)
    crop = picture.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR, box=square)
    zoom = CROP_SIDE / (square[2] - square[0])
    min_x, min_y, max_x, max_y = face.box
    crop_box = ((min_x - square[0]) * zoom, (min_y - square[1]) * zoom,
                (max_x - square[0]) * zoom, (max_y - square[1]) * zoom)  # fmt: skip
    jpeg = _jpeg(picture, quality, _exif(domain, rng))
    return Photo(jpeg, face.box, _jpeg(crop, CROP_QUALITY), crop_box)
