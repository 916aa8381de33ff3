"""From a domain to the pixels: framing, background, lens and sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from orchestrator.demo.domains import Domain
from orchestrator.demo.geometry import Pose
from orchestrator.demo.relief import Light

Plane = NDArray[np.float32]
"""Array (height, width): one value a pixel."""

LONGEST_SIDE = 900  # pixels
SCENERY_REDUCTION = 16
"""Backgrounds are out of focus, so they are drawn this many times smaller than the scene."""

COLOUR_REDUCTION = 4
"""Noise of the colours, unlike that of the brightness, is a few pixels wide."""


@dataclass(frozen=True)
class Shot:
    """What is decided about a photo before anything is painted."""

    size: tuple[int, int]  # width, height in pixels
    pose: Pose
    light: Light


def frame(domain: Domain, rng: np.random.Generator) -> Shot:
    """Draw the photo's size, the pose of the head in it, and the lamp."""
    short = rng.uniform(*domain.side)
    long = min(LONGEST_SIDE, short * rng.uniform(1.0, 1.35))
    upright = rng.random() < 0.7
    width, height = (round(short), round(long)) if upright else (round(long), round(short))
    scale = short * rng.uniform(*domain.face)
    # Room for the whole head: a crop reaches about 0.9 face units from the middle of the face.
    room_x, room_up, room_down = 0.85 * scale, min(1.2 * scale, height / 2), 0.95 * scale
    pose = Pose(
        x=float(np.clip(width * rng.normal(0.5, 0.06), room_x, width - room_x)),
        y=float(np.clip(height * rng.normal(0.52, 0.04), room_up, height - room_down)),
        scale=scale,
        roll=float(np.clip(rng.normal(0, domain.roll), -0.22, 0.22)),
        yaw=float(np.clip(rng.normal(0, domain.yaw), -0.35, 0.35)),
        pitch=float(np.clip(rng.normal(0, domain.pitch), -0.18, 0.18)),
    )
    light = Light(
        azimuth=float(np.clip(rng.normal(0, domain.lamp_azimuth), -1.1, 1.1)),
        elevation=float(rng.uniform(*domain.lamp_elevation)),
        ambient=float(rng.uniform(*domain.ambient)),
    )
    return Shot((width, height), pose, light)


def background(domain: Domain, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The empty RGB scene, `size` (width, height): a lit wall, and the domain's clutter."""
    width, height = (math.ceil(side / SCENERY_REDUCTION) for side in size)
    wall = rng.uniform(70, 215) + rng.normal(0, 9, 3)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height)) / math.hypot(width, height)
    light = 1.12 - rng.uniform(0.2, 0.6) * distance
    scene = Image.fromarray(np.clip(light[..., None] * wall, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(domain.clutter[0], domain.clutter[1] + 1))):
        tone = tuple(int(level) for level in np.clip(rng.uniform(25, 230) + rng.normal(0, 20, 3), 0, 255))
        left, top = rng.uniform(-0.1, 1.0) * width, rng.uniform(-0.1, 1.0) * height
        across, down = rng.uniform(0.05, 0.35) * width, rng.uniform(0.05, 0.6) * height
        shape = pen.ellipse if rng.random() < 0.3 else pen.rectangle
        shape((left, top, left + across, top + down), fill=tone)
    if domain.clutter[1]:
        scene = scene.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.8, 3.0))))
    # Interpolating the last factor would take four times as long, and blur and noise hide it anyway.
    smooth = scene.resize((size[0] // 4, size[1] // 4), Image.Resampling.BILINEAR)
    return smooth.resize(size, Image.Resampling.NEAREST)


def _soften(plane: Plane, sigma: float) -> Plane:
    """Blur by `sigma` pixels (at most 1.1): twice the kernel (share, 1, share) both ways.

    Pillow's filters accept any radius and take several times as long for these small ones.
    """
    variance = sigma**2 / 2
    share = np.float32(variance / (2 - 2 * variance))
    for _ in range(2):
        for axis in (0, 1):
            source = np.moveaxis(plane, axis, 0)
            blurred = plane.copy()
            target = np.moveaxis(blurred, axis, 0)
            target[1:-1] += share * (source[:-2] + source[2:])
            target[[0, -1]] *= 1 + 2 * share
            plane = blurred / (1 + 2 * share)
    return plane


def _colour_noise(shape: tuple[int, int], strength: float, rng: np.random.Generator) -> list[Image.Image]:
    """Three planes around grey level 128 for a photo of `shape` (height, width)."""
    height, width = (math.ceil(side / COLOUR_REDUCTION) for side in shape)
    levels = 128 + strength * rng.standard_normal((height, width, 3), dtype=np.float32)
    coarse = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    # JPEG keeps colours at half the resolution, so more than that would be lost again.
    half = coarse.resize((math.ceil(shape[1] / 2), math.ceil(shape[0] / 2)), Image.Resampling.BILINEAR)
    return list(half.resize((shape[1], shape[0]), Image.Resampling.NEAREST).split())


def expose(scene: Image.Image, head_light: Plane, domain: Domain, rng: np.random.Generator) -> Image.Image:
    """What the camera makes of the painted RGB `scene`: light, exposure, blur and noise."""
    warmth = rng.uniform(*domain.warmth)
    exposure = rng.uniform(*domain.exposure)
    gain = np.array((1 + warmth, 1.0, 1 - warmth), dtype=np.float32) * np.float32(exposure)
    blur = rng.uniform(*domain.blur)
    grain = rng.standard_normal(head_light.shape, dtype=np.float32)
    grain = grain * np.float32(rng.uniform(*domain.noise)) + np.float32(0.5 - 128)
    blotches = _colour_noise(grain.shape, rng.uniform(*domain.colour_noise), rng)
    # Plane by plane: numpy is several times faster on contiguous rows than on triples.
    planes = []
    for level, blotch, factor in zip(scene.split(), blotches, gain, strict=True):
        plane = _soften(np.asarray(level, dtype=np.float32) * ((1 + head_light) * factor), blur)
        plane += grain
        plane += np.asarray(blotch)
        planes.append(Image.fromarray(np.clip(plane, 0, 255).astype(np.uint8)))
    return Image.merge("RGB", planes)
