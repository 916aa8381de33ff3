"""The seven expressions, as movements of brows, eyes, nose and mouth.

Lengths are in face units: the distance from the brow line to the chin of a neutral face is 1.
A positive brow or mouth-corner value moves the point up.
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

    brow_inner: float = 0.0  # lift of the inner end
    brow_middle: float = 0.0
    brow_outer: float = 0.0
    brow_squeeze: float = 0.0  # inner ends pulled towards the nose
    lid_upper: float = 1.0  # height of the upper lid, 1 = at rest
    lid_lower: float = 1.0
    lid_slant: float = 0.0  # positive: the inner part of the upper lid is pressed down
    gaze_down: float = 0.0
    cheek: float = 0.0  # 0 = at rest, 1 = fully raised
    fold: float = 0.0  # depth of the fold from nose to mouth corner, 0..1
    nose_wrinkle: float = 0.0  # 0..1
    frown: float = 0.0  # vertical lines between the brows, 0..1
    forehead: float = 0.0  # horizontal lines, 0..1
    jaw_drop: float = 0.0
    mouth_width: float = 1.0  # 1 = at rest
    mouth_corner: float = 0.0
    mouth_skew: float = 0.0  # lifts one side of the upper lip
    mouth_square: float = 2.0  # exponent of the opening: 2 = oval, 4 = almost a box
    open_upper: float = 0.0  # how far the upper lip leaves the mouth line
    open_lower: float = 0.0
    lip_thickness: float = 1.0
    teeth_upper: float = 0.0  # part of the opening, 0..1
    teeth_lower: float = 0.0


NEUTRAL = Expression()

VARIANTS: dict[str, tuple[Expression, ...]] = {
    "neutral": (NEUTRAL,),
    "happy": (
        Expression(brow_middle=0.012, lid_upper=0.82, lid_lower=0.45, cheek=1.0, fold=0.8, jaw_drop=0.03,
                   mouth_width=1.36, mouth_corner=0.088, mouth_square=2.2, open_upper=0.015,
                   open_lower=0.115, lip_thickness=0.8, teeth_upper=0.62),
        Expression(brow_middle=0.008, lid_upper=0.85, lid_lower=0.55, cheek=0.9, fold=0.7,
                   mouth_width=1.34, mouth_corner=0.095, open_lower=0.045, lip_thickness=0.8,
                   teeth_upper=1.0),
    ),
    "surprised": (
        Expression(brow_inner=0.095, brow_middle=0.115, brow_outer=0.08, lid_upper=1.6, lid_lower=1.2,
                   forehead=0.8, jaw_drop=0.10, mouth_width=0.66, mouth_corner=-0.01, mouth_square=2.1,
                   open_upper=0.065, open_lower=0.125, lip_thickness=0.85, teeth_upper=0.12),
    ),
    "angry": (
        Expression(brow_inner=-0.075, brow_middle=-0.025, brow_outer=0.045, brow_squeeze=0.045,
                   lid_upper=0.86, lid_lower=0.7, lid_slant=0.9, frown=1.0, fold=0.35,
                   mouth_width=0.95, mouth_corner=-0.03, lip_thickness=0.6),
        Expression(brow_inner=-0.075, brow_middle=-0.02, brow_outer=0.045, brow_squeeze=0.045,
                   lid_upper=0.95, lid_lower=0.7, lid_slant=0.9, frown=1.0, fold=0.6, jaw_drop=0.03,
                   mouth_width=1.08, mouth_corner=-0.02, mouth_square=4.0, open_upper=0.035,
                   open_lower=0.06, lip_thickness=0.7, teeth_upper=0.48, teeth_lower=0.48),
    ),
    "fearful": (
        Expression(brow_inner=0.105, brow_middle=0.055, brow_outer=0.005, brow_squeeze=0.035,
                   lid_upper=1.55, lid_lower=1.05, forehead=0.7, frown=0.3, jaw_drop=0.045,
                   mouth_width=1.15, mouth_corner=-0.05, mouth_square=3.2, open_upper=0.025,
                   open_lower=0.06, lip_thickness=0.75, teeth_lower=0.4),
    ),
    "disgusted": (
        Expression(brow_inner=-0.055, brow_middle=-0.045, brow_outer=-0.02, brow_squeeze=0.03,
                   lid_upper=0.55, lid_lower=0.4, lid_slant=0.2, cheek=0.6, fold=1.0, nose_wrinkle=1.0,
                   frown=0.3, mouth_width=1.0, mouth_corner=-0.06, mouth_skew=0.03, mouth_square=2.6,
                   open_upper=0.075, open_lower=0.02, lip_thickness=0.9, teeth_upper=0.6),
    ),
    "sad": (
        Expression(brow_inner=0.085, brow_middle=0.015, brow_outer=-0.045, brow_squeeze=0.03,
                   lid_upper=0.68, lid_lower=0.9, lid_slant=-0.8, gaze_down=0.018, frown=0.25,
                   forehead=0.2, fold=0.3, mouth_width=0.92, mouth_corner=-0.075, lip_thickness=1.05),
    ),
}  # fmt: skip
"""The fully played faces of every label; several where people show it in several ways."""


def pose_expression(label: str, rng: np.random.Generator, intensity: tuple[float, float]) -> Expression:
    """One person's way to show `label`: a variant at a drawn intensity, no two movements equally strong."""
    variants = VARIANTS[label]
    target = variants[int(rng.integers(len(variants)))]
    strength = rng.uniform(*intensity)
    values = {}
    for field in fields(Expression):
        rest, full = getattr(NEUTRAL, field.name), getattr(target, field.name)
        values[field.name] = float(rest + (full - rest) * strength * rng.uniform(0.88, 1.12))
    # A face at rest is not symmetric to the millimetre either: without this, every neutral face is the same.
    for name in ("brow_inner", "brow_middle", "brow_outer", "mouth_corner"):
        values[name] += float(rng.normal(0.0, 0.006))
    values["lid_upper"] += float(rng.normal(0.0, 0.05))
    return Expression(**values)
