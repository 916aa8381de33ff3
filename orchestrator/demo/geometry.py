"""Points of a face: smooth curves, and where a slightly turned head puts them in the photo.

Face units: the brow line is y = 0, the chin of a neutral face is y = 1, x = 0 is the middle; y points down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
"""Array (n, 2) of x, y."""

Box = tuple[float, float, float, float]
"""minX, minY, maxX, maxY."""

HEAD_CENTRE_Y = 0.25
HEAD_AXES = (0.62, 1.0, 0.55)
"""Half axes of the ellipsoid that stands for the head: across, down, towards the camera."""


_CATMULL_ROM = 0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]], dtype=np.float64)


@lru_cache
def _spline_weights(steps: int) -> NDArray[np.float64]:
    """What each of four neighbouring control points adds at every step between the middle two: (steps, 4)."""
    return np.vander(np.arange(steps) / steps, 4, increasing=True) @ _CATMULL_ROM


def spline(control: ArrayLike, closed: bool = False, steps: int = 8) -> Points:
    """A Catmull-Rom curve through the control points (n, 2), `steps` points a segment."""
    points = np.asarray(control, dtype=np.float64)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    neighbours = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)
    curve = (_spline_weights(steps) @ neighbours).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def lowered(line: Points, by: float) -> Points:
    """The line moved down by `by` (up if negative)."""
    return line + np.array((0.0, by))


def between(first: Points, second: Points) -> Points:
    """The closed area between two lines that run the same way."""
    return np.concatenate([first, second[::-1]])


def ellipse(x: float, y: float, radius_x: float, radius_y: float, count: int = 28) -> Points:
    """The outline of an ellipse as (count, 2) points."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)


def head_depth(x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """How far the head's ellipsoid stands out towards the camera at x, y; 0 outside of it."""
    across, down, out = HEAD_AXES
    inside = 1.0 - (np.asarray(x) / across) ** 2 - ((np.asarray(y) - HEAD_CENTRE_Y) / down) ** 2
    depth: NDArray[np.float64] = out * np.sqrt(np.maximum(inside, 0.0))
    return depth


@dataclass(frozen=True)
class Pose:
    """Where the head is in the picture, and how it is turned.

    `x`, `y` are the pixel of the face point (0, 0.5); `scale` is pixels a face unit; angles are radians.
    """

    x: float
    y: float
    scale: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def enlarged(self, factor: float) -> Pose:
        """The same pose in a picture `factor` times as large."""
        return Pose(self.x * factor, self.y * factor, self.scale * factor, self.roll, self.yaw, self.pitch)

    def project(self, points: ArrayLike, on_skin: bool = True) -> Points:
        """Pixels (n, 2) of face points (n, 2); turning moves only points `on_skin`, not the outline."""
        face = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        x, y = face[:, 0], face[:, 1] - 0.5
        if on_skin:
            depth = head_depth(face[:, 0], face[:, 1])
            x = x * math.cos(self.yaw) + depth * math.sin(self.yaw)
            y = y + depth * math.sin(self.pitch)
        cos, sin = math.cos(self.roll) * self.scale, math.sin(self.roll) * self.scale
        return np.stack([self.x + cos * x - sin * y, self.y + sin * x + cos * y], axis=1)

    def affine_to_grid(self, left: float, top: float, cells: float) -> tuple[float, ...]:
        """Pillow's six AFFINE numbers from a pixel to the cell of a grid in face units.

        The grid begins at (left, top) and has `cells` cells a face unit.
        """
        cos, sin = math.cos(self.roll) / self.scale, math.sin(self.roll) / self.scale
        to_x = (cos, sin, -cos * self.x - sin * self.y)
        to_y = (-sin, cos, sin * self.x - cos * self.y + 0.5)
        return (
            cells * to_x[0], cells * to_x[1], cells * (to_x[2] - left),
            cells * to_y[0], cells * to_y[1], cells * (to_y[2] - top),
        )  # fmt: skip
