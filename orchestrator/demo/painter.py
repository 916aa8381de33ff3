"""A drawing surface in face units: filled shapes, tapered strokes, soft shadows and clipping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

from orchestrator.demo.geometry import Points, Pose
from orchestrator.demo.people import Colour

OVERSAMPLING = 2
"""Everything is drawn this many times as large and averaged down, which smooths the edges."""

SOFT_REDUCTION = 4
"""Soft shadows are drawn and blurred this many times smaller: they have no detail to lose."""


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float) -> Colour:
    """The colour `share` of the way to black; a negative share lightens."""
    return mix(colour, (255, 255, 255), -share) if share < 0 else mix(colour, (0, 0, 0), share)


class Painter:
    """Draws shapes given in face units on an RGB picture, `OVERSAMPLING` times the photo's size."""

    def __init__(self, image: Image.Image, pose: Pose, offset: tuple[int, int] = (0, 0)) -> None:
        self.image = image
        self.pose = pose  # in pixels of the oversampled picture
        self._offset = np.asarray(offset, dtype=np.float64)
        self._draw = ImageDraw.Draw(image)

    def pixels(self, points: ArrayLike, on_skin: bool = True) -> Points:
        """Where face points (n, 2) are on this surface."""
        return self.pose.project(points, on_skin) - self._offset

    def fill(self, points: ArrayLike, colour: Colour, on_skin: bool = True) -> None:
        """A filled polygon."""
        self._draw.polygon(self.pixels(points, on_skin).ravel().tolist(), fill=colour)

    def stroke(
        self,
        points: ArrayLike,
        widths: float | Sequence[float],
        colour: Colour,
        on_skin: bool = True,
    ) -> None:
        """A line whose width (face units) runs through `widths`, evenly spaced from its start to its end."""
        line = self.pixels(points, on_skin)
        profile = np.atleast_1d(np.asarray(widths, dtype=np.float64))
        along = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(profile)), profile)
        direction = np.empty_like(line)
        direction[1:-1] = line[2:] - line[:-2]
        direction[0], direction[-1] = line[1] - line[0], line[-1] - line[-2]
        direction /= np.maximum(np.hypot(direction[:, 0], direction[:, 1])[:, None], 1e-6)
        side = direction[:, ::-1] * (-1, 1) * (along * self.pose.scale / 2)[:, None]
        outline = np.concatenate([line + side, (line - side)[::-1]])
        self._draw.polygon(outline.ravel().tolist(), fill=colour)

    def soft(
        self,
        shapes: Sequence[tuple[ArrayLike, float]],
        colour: Colour,
        blur: float,
        on_skin: bool = True,
    ) -> None:
        """Blurred polygons of one colour: each with its opacity 0..1; `blur` is in face units."""
        outlines = [self.pixels(points, on_skin) for points, _ in shapes]
        every = np.concatenate(outlines)
        pad = 3 * blur * self.pose.scale
        left, top = np.floor(every.min(axis=0) - pad).astype(int)
        width, height = (np.ceil(every.max(axis=0) + pad).astype(int) - (left, top)) // SOFT_REDUCTION + 1
        mask = Image.new("L", (int(width), int(height)))
        pen = ImageDraw.Draw(mask)
        for outline, (_, opacity) in zip(outlines, shapes, strict=True):
            shape = (outline - (left, top)) / SOFT_REDUCTION
            pen.polygon(shape.ravel().tolist(), fill=round(255 * min(1.0, max(0.0, opacity))))
        # A box is a third of the work of a Gaussian, and at this softness nobody sees the difference.
        mask = mask.filter(ImageFilter.BoxBlur(1.7 * blur * self.pose.scale / SOFT_REDUCTION))
        size = (mask.width * SOFT_REDUCTION, mask.height * SOFT_REDUCTION)
        mask = mask.resize(size, Image.Resampling.BILINEAR)
        box = (int(left), int(top), int(left) + size[0], int(top) + size[1])
        self.image.paste(colour, box, mask)

    @contextmanager
    def clip(self, outline: ArrayLike, on_skin: bool = True) -> Iterator[Painter]:
        """A painter whose marks stay inside the outline."""
        shape = self.pixels(outline, on_skin)
        low = np.floor(shape.min(axis=0)).astype(int)
        high = np.ceil(shape.max(axis=0)).astype(int) + 1
        corner, size = (int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1]))
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon((shape - low).ravel().tolist(), fill=255)
        part = self.image.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
        offset = (int(self._offset[0]) + corner[0], int(self._offset[1]) + corner[1])
        yield Painter(part, self.pose, offset)
        self.image.paste(part, corner, mask)
