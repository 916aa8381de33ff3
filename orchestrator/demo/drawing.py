"""A drawing as data: filled polygons in face units, painted in their order onto a picture.

Face units: the brow line is y = 0, the chin of a neutral face is y = 1, x = 0 is the middle; y points down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]
"""Array (n, 2) of x, y."""

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""


@dataclass(frozen=True)
class Shape:
    """One filled polygon; `outline` is in face units."""

    outline: Points
    colour: Colour


@dataclass(frozen=True)
class Placement:
    """Where a head is in a picture: the pixel of the face point (0, 0.5), pixels a face unit, and its tilt."""

    x: float
    y: float
    scale: float
    roll: float  # radians, clockwise

    def pixels(self, points: Points) -> Points:
        """Pixels (n, 2) of face points (n, 2)."""
        cos, sin = math.cos(self.roll) * self.scale, math.sin(self.roll) * self.scale
        return (points - (0.0, 0.5)) @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)


def paint(scene: Image.Image, shapes: Iterable[Shape], place: Placement, enlarged: int) -> None:
    """Paint the shapes onto the RGB `scene`, which is `enlarged` times as large as the picture of `place`."""
    pen = ImageDraw.Draw(scene)
    for shape in shapes:
        pen.polygon((place.pixels(shape.outline) * enlarged).ravel().tolist(), fill=shape.colour)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way to black."""
    return mix(colour, (0, 0, 0), share)


def mirrored(points: Points) -> Points:
    """The points on the other side of the face."""
    return points * (-1, 1)


def curve(control: ArrayLike, steps: int = 8) -> Points:
    """A smooth (Catmull-Rom) curve (n, 2) through the control points, `steps` points a segment."""
    points = np.asarray(control, dtype=np.float64)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = (np.arange(steps) / steps)[:, None]
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    line = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    return np.concatenate([line.reshape(-1, 2), points[-1:]])


def between(first: Points, second: Points) -> Points:
    """The outline of the area between two lines that run the same way."""
    return np.concatenate([first, second[::-1]])


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Points:
    """The outline of an ellipse, 28 points."""
    angle = np.arange(28) * (2 * np.pi / 28)
    return np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)


def ribbon(line: Points, width: float) -> Points:
    """The outline of a stroke along `line`, `width` high in the middle and thin at both ends."""
    half = width / 2 * (0.2 + 0.8 * np.sin(np.linspace(0, np.pi, len(line))))
    thickness = np.stack([np.zeros_like(half), half], axis=1)
    return between(line - thickness, line + thickness)
