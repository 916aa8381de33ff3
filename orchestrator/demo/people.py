"""Who is drawn: the colours and proportions of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.demo.drawing import Colour

SKINS: tuple[Colour, ...] = ((246, 214, 192), (236, 196, 168), (224, 178, 145), (200, 150, 116), (150, 104, 76))
HAIRS: tuple[Colour, ...] = ((26, 22, 22), (38, 30, 27), (70, 48, 34), (120, 82, 50), (142, 140, 138))
CLOTHES: tuple[Colour, ...] = ((44, 52, 74), (92, 36, 44), (60, 84, 70), (206, 202, 194), (120, 124, 132))


@dataclass(frozen=True)
class Person:
    """One drawn identity; factors are relative to the average face."""

    skin: Colour
    hair: Colour
    clothes: Colour
    long_hair: bool
    hairline: float  # height above the brows in face units
    face_width: float
    eye_size: float
    brow_weight: float
    mouth_width: float


def _one_of(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    """One of the colours, shifted a little so that no two people share it."""
    base = np.asarray(colours[int(rng.integers(len(colours)))])
    red, green, blue = np.clip(base + rng.normal(0, 5, 3), 0, 255).astype(int).tolist()
    return red, green, blue


def draw_person(rng: np.random.Generator) -> Person:
    """A random person."""
    return Person(
        skin=_one_of(SKINS, rng),
        hair=_one_of(HAIRS, rng),
        clothes=_one_of(CLOTHES, rng),
        long_hair=bool(rng.random() < 0.4),
        hairline=float(rng.uniform(0.34, 0.54)),
        face_width=float(rng.normal(1.0, 0.03)),
        eye_size=float(rng.normal(1.0, 0.06)),
        brow_weight=float(rng.uniform(0.75, 1.3)),
        mouth_width=float(rng.normal(1.0, 0.05)),
    )
