"""The seven expressions, as movements of brows, eyelids and mouth.

Lengths are in face units (see `drawing`). A positive brow or mouth-corner value moves the point up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

KOREAN = {
    "happy": "기쁨",
    "surprised": "당황",
    "angry": "분노",
    "fearful": "불안",
    "disgusted": "상처",
    "sad": "슬픔",
    "neutral": "중립",
}
"""English label to the Korean label of the same class."""

LABELS = tuple(KOREAN)


@dataclass(frozen=True)
class Expression:
    """How far every feature is from rest; the defaults are the neutral face."""

    brow_inner: float = 0.0
    brow_outer: float = 0.0
    lid_upper: float = 1.0  # height of the upper lid, 1 = at rest
    lid_lower: float = 1.0
    lid_slant: float = 0.0  # positive: the inner half of the upper lid is pressed down; negative: the outer half
    mouth_width: float = 1.0  # 1 = at rest
    mouth_corner: float = 0.0
    open_upper: float = 0.0  # how far the upper lip leaves the mouth line
    open_lower: float = 0.0
    teeth: float = 0.0  # 0..1: share of the opening


NEUTRAL = Expression()

FULL: dict[str, Expression] = {
    "neutral": NEUTRAL,
    "happy": Expression(brow_outer=0.015, lid_upper=0.8, lid_lower=0.4, mouth_width=1.36, mouth_corner=0.09,
                        open_upper=0.015, open_lower=0.1, teeth=0.6),
    "surprised": Expression(brow_inner=0.095, brow_outer=0.09, lid_upper=1.6, lid_lower=1.2, mouth_width=0.66,
                            open_upper=0.065, open_lower=0.125),
    "angry": Expression(brow_inner=-0.075, brow_outer=0.045, lid_upper=0.9, lid_lower=0.7, lid_slant=0.9,
                        mouth_width=0.95, mouth_corner=-0.03),
    "fearful": Expression(brow_inner=0.105, brow_outer=0.01, lid_upper=1.55, mouth_width=1.15, mouth_corner=-0.05,
                          open_upper=0.025, open_lower=0.06),
    "disgusted": Expression(brow_inner=-0.055, brow_outer=-0.03, lid_upper=0.5, lid_lower=0.4, mouth_corner=-0.06,
                            open_upper=0.075, open_lower=0.02, teeth=0.6),
    "sad": Expression(brow_inner=0.085, brow_outer=-0.045, lid_upper=0.68, lid_lower=0.9, lid_slant=-0.8,
                      mouth_width=0.92, mouth_corner=-0.075),
}  # fmt: skip
"""The fully played face of every label."""

INTENSITY = (0.75, 1.05)
"""How strongly people play their expression, 1 = fully."""


def pose_expression(label: str, rng: np.random.Generator) -> Expression:
    """One person's way to show `label`; no two movements are equally strong."""
    strength = rng.uniform(*INTENSITY)
    values = {}
    for field in fields(Expression):
        rest, full = getattr(NEUTRAL, field.name), getattr(FULL[label], field.name)
        values[field.name] = float(rest + (full - rest) * strength * rng.uniform(0.88, 1.12))
    # People differ at rest too: without this, all neutral faces would be alike.
    for name in ("brow_inner", "brow_outer", "mouth_corner"):
        values[name] += float(rng.normal(0.0, 0.006))
    return Expression(**values)
