"""Light on the face: a height map of head, nose, cheeks and lips, shaded by one lamp."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from orchestrator.demo.expressions import Expression
from orchestrator.demo.geometry import HEAD_AXES, HEAD_CENTRE_Y, Points, Pose, head_depth
from orchestrator.demo.people import Person

Field = NDArray[np.float32]
"""Array (rows, columns) over the grid below."""

LEFT, TOP, WIDTH, HEIGHT = -0.9, -0.95, 1.8, 2.3  # face units
CELLS = 52  # grid cells a face unit: the shading is smooth, so it needs far fewer than the photo's pixels


@dataclass(frozen=True)
class Light:
    """One lamp far away, and the light that comes from everywhere."""

    azimuth: float  # radians, positive from the right of the photo
    elevation: float  # radians, positive from above
    ambient: float  # 0..1, the share that reaches a place in full shadow

    def direction(self) -> tuple[float, float, float]:
        """The unit vector to the lamp: right, down, towards the camera."""
        across = math.cos(self.elevation)
        return (
            across * math.sin(self.azimuth),
            -math.sin(self.elevation),
            across * math.cos(self.azimuth),
        )


def _bump(x: Field, y: Field, at: tuple[float, float], spread: tuple[float, float]) -> Field:
    return np.exp(-(((x - at[0]) / spread[0]) ** 2 + ((y - at[1]) / spread[1]) ** 2) / 2)


def _step(values: Field, start: float, end: float) -> Field:
    share = np.clip((values - start) / (end - start), 0, 1)
    return share * share * (3 - 2 * share)


def height_map(x: Field, y: Field, person: Person, expression: Expression) -> Field:
    """How far the features stand out of the head's ellipsoid at face points x, y (face units)."""
    side = np.abs(x)  # the face is symmetric
    tip = 0.47 * person.nose_length
    drop, cheek = expression.jaw_drop, expression.cheek
    ridge = 0.13 * _step(y, 0.02, tip - 0.03) * (1 - _step(y, tip, tip + 0.07))
    ridge += 0.02 * _step(y, -0.2, 0.05) * (1 - _step(y, tip - 0.1, tip))  # its root between the brows
    nose_spread = (0.05 + 0.02 * _step(y, 0.1, tip)) * person.nose_width
    height = ridge * np.exp(-((x / nose_spread) ** 2) / 2)
    eye_x, wing_x = 0.25 * person.eye_gap, 0.085 * person.nose_width
    bumps = (
        (wing_x, tip - 0.02, 0.032, 0.032, 0.05),  # wings of the nose
        (eye_x, 0.12, 0.13, 0.07, -0.07),  # eye sockets
        (eye_x, 0.15, 0.075, 0.05, 0.03),  # eyeballs
        (0.17, -0.02, 0.16, 0.045, 0.022),  # brow ridge
        (0.33, 0.36 - 0.05 * cheek, 0.12, 0.11, 0.045 + 0.03 * cheek),  # cheeks
        (0.5, -0.08, 0.08, 0.14, -0.02),  # temples
        (0.0, 0.66 + drop / 2, 0.19, 0.1, 0.045),  # the teeth under the lips
        (0.0, 0.81 + drop, 0.11, 0.028, -0.022),  # the groove above the chin
        (0.0, 0.92 + drop, 0.11, 0.07, 0.045),  # chin
        (0.0, 0.56, 0.018, 0.04, -0.008),  # groove under the nose
    )
    for at_x, at_y, spread_x, spread_y, out in bumps:
        height = height + out * _bump(side, y, (at_x, at_y), (spread_x, spread_y))
    return height.astype(np.float32)


def _shade(surface: Field, light: Light) -> Field:
    """Brightness of every cell relative to a surface that looks straight into the camera."""
    slope_y, slope_x = np.gradient(surface, 1.0 / CELLS)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    to_x, to_y, to_z = light.direction()
    lit = np.maximum(0, (-slope_x * to_x - slope_y * to_y + to_z) / length)
    # The half-way vector between lamp and camera gives the sheen of the skin.
    half = np.array([to_x, to_y, to_z + 1.0])
    half /= np.sqrt((half**2).sum())
    sheen = np.maximum(0, (-slope_x * half[0] - slope_y * half[1] + half[2]) / length) ** 24
    shade: Field = (light.ambient + (1 - light.ambient) * lit / max(to_z, 0.8)) * (0.97 + 0.09 * sheen)
    return shade


def shading(
    size: tuple[int, int],
    pose: Pose,
    person: Person,
    expression: Expression,
    light: Light,
    outline: Points,
) -> Field:
    """The light on the head as an array (height, width) of `size` (width, height): 0 = leave as it is.

    A photo times (1 + this) is the lit photo. `outline` is the head's, in face units.
    """
    columns, rows = round(WIDTH * CELLS), round(HEIGHT * CELLS)
    x, y = np.meshgrid(
        LEFT + (np.arange(columns, dtype=np.float32) + 0.5) / CELLS,
        TOP + (np.arange(rows, dtype=np.float32) + 0.5) / CELLS,
    )
    # Near its edge an ellipsoid is infinitely steep; a floor keeps the rim of the face from going black.
    across, down, out = HEAD_AXES
    rim = 1.0 - (x / (across * 1.12)) ** 2 - ((y - HEAD_CENTRE_Y) / (down * 1.1)) ** 2
    surface: Field = np.float32(out) * np.sqrt(np.maximum(rim, np.float32(0.02)), dtype=np.float32)
    depth = head_depth(x, y).astype(np.float32)
    turned_x, turned_y = x - depth * math.sin(pose.yaw), y - depth * math.sin(pose.pitch)
    shade = _shade(surface + height_map(turned_x, turned_y, person, expression), light)
    cover = Image.new("L", (columns, rows))
    cells = (outline - (LEFT, TOP)) * CELLS
    ImageDraw.Draw(cover).polygon(cells.ravel().tolist(), fill=255)
    cover = cover.filter(ImageFilter.GaussianBlur(1.2))
    change = ((shade - 1) * np.asarray(cover, dtype=np.float32) / 255).astype(np.float32)
    # Turned into place at a third of the photo's size and then enlarged: a quarter of the time.
    small = (math.ceil(size[0] / 3), math.ceil(size[1] / 3))
    affine = pose.enlarged(1 / 3).affine_to_grid(LEFT, TOP, CELLS)
    lit = Image.fromarray(change).transform(small, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    lit = lit.resize((3 * small[0], 3 * small[1]), Image.Resampling.BILINEAR)
    return np.asarray(lit)[: size[1], : size[0]]
