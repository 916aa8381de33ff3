"""Drawn faces that the real detector finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

Box = tuple[float, float, float, float]


def draw_face(photo: Image.Image, x: float, y: float, r: float) -> Box:
    """A face the detector finds, with its eyes at (x, y) and about 2 r high; returns its box."""
    pen = ImageDraw.Draw(photo)

    def at(cx: float, cy: float, rx: float, ry: float) -> Box:
        return x + (cx - rx) * r, y + (cy - ry) * r, x + (cx + rx) * r, y + (cy + ry) * r

    def spot(cx: float, cy: float, rx: float, ry: float, colour: str) -> None:
        pen.ellipse(at(cx, cy, rx, ry), fill=colour)

    spot(0, 2.6, 1.7, 1.3, "#3c466e")  # shoulders
    pen.rectangle((x - 0.38 * r, y + 0.7 * r, x + 0.38 * r, y + 1.5 * r), fill="#be9178")  # neck
    spot(0, -0.22, 1.0, 1.2, "#32231c")  # hair
    spot(0, 0.08, 0.85, 1.12, "#deb296")  # head
    for side in (-0.36, 0.36):
        spot(side, -0.04, 0.24, 0.15, "#be8c76")
        spot(side, -0.02, 0.19, 0.095, "#f5f0ec")
        spot(side, -0.02, 0.09, 0.095, "#3c281e")
        pen.arc(at(side, 0, 0.21, 0.14), 190, 350, fill="#3c2822", width=round(0.045 * r))
        pen.arc(at(side, -0.14, 0.3, 0.2), 205, 335, fill="#3a2820", width=round(0.08 * r))
        spot(side / 3, 0.43, 0.05, 0.03, "#784b41")  # nostrils
    spot(0, 0.36, 0.12, 0.1, "#e8bea4")  # tip of the nose
    spot(0, 0.7, 0.3, 0.11, "#b05454")  # mouth
    return x - 0.85 * r, y - 0.7 * r, x + 0.85 * r, y + 1.2 * r


def portrait(path: Path, faces: Sequence[tuple[float, float, float]], **options: object) -> list[Box]:
    """Draws a 640 x 400 photo at three times its size; returns the boxes of its faces."""
    photo = Image.new("RGB", (1920, 1200), "#76848c")
    boxes = [draw_face(photo, 3 * x, 3 * y, 3 * r) for x, y, r in faces]
    path.parent.mkdir(parents=True, exist_ok=True)
    photo.filter(ImageFilter.GaussianBlur(2.5)).resize((640, 400), Image.Resampling.LANCZOS).save(path, **options)
    return [(a / 3, b / 3, c / 3, d / 3) for a, b, c, d in boxes]
