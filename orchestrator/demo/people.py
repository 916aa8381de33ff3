"""Who is drawn: the proportions, colours and style of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

SKINS: tuple[Colour, ...] = (
    (246, 214, 192), (240, 203, 176), (232, 190, 160), (224, 178, 145),
    (208, 160, 126), (186, 136, 102), (158, 110, 80), (128, 88, 64),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (26, 22, 22), (38, 30, 27), (58, 40, 30), (86, 58, 38), (120, 82, 50), (176, 136, 84), (142, 140, 138),
)  # fmt: skip
IRISES: tuple[Colour, ...] = ((52, 34, 24), (72, 48, 30), (96, 70, 40), (86, 108, 92), (84, 112, 138))
CLOTHES: tuple[Colour, ...] = (
    (44, 52, 74), (92, 36, 44), (60, 84, 70), (206, 202, 194), (120, 124, 132), (36, 36, 40),
    (148, 112, 66), (96, 120, 156), (176, 148, 160),
)  # fmt: skip
STYLES = ("cropped", "side_part", "swept", "bob", "long", "bun", "curly", "receding")


@dataclass(frozen=True)
class Person:
    """One drawn identity; factors are relative to the average face."""

    skin: Colour
    hair: Colour
    iris: Colour
    clothes: Colour
    style: str
    hair_side: int  # -1 or 1: the side of the parting
    face_width: float
    jaw_width: float
    chin_width: float
    ear: float
    eye_gap: float
    eye_size: float
    eye_tilt: float  # face units that the outer corner stands above the inner one
    brow_weight: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lips: float
    age: float  # 0 = young, 1 = old: lines at rest
    glasses: bool
    beard: str  # "", "stubble", "full" or "moustache"
    makeup: float  # 0..1, strength of the lip colour


def _blend(colours: tuple[Colour, ...], rng: np.random.Generator, weights: tuple[float, ...]) -> Colour:
    """One of the colours, shifted a little so that no two people share it."""
    share = np.asarray(weights) / np.sum(weights)
    base = np.asarray(colours[int(rng.choice(len(colours), p=share))])
    red, green, blue = np.clip(base + rng.normal(0, 5) + rng.normal(0, 3, 3), 8, 250).astype(int).tolist()
    return red, green, blue


def draw_person(rng: np.random.Generator, glasses: float, beard: float) -> Person:
    """A random person; `glasses` and `beard` are the shares of people who wear one."""
    style = STYLES[int(rng.integers(len(STYLES)))]
    masculine = style in ("cropped", "swept", "receding") or (style == "side_part" and rng.random() < 0.7)
    bearded = masculine and rng.random() < min(1.0, 2 * beard)
    age = float(rng.beta(1.3, 2.2))
    grey = 0.6 if age > 0.6 else 0.05
    return Person(
        skin=_blend(SKINS, rng, (3, 4, 4, 3, 2, 1.5, 1, 1)),
        hair=_blend(HAIRS, rng, (4, 4, 3, 2, 1, 0.7, grey * 6)),
        iris=_blend(IRISES, rng, (4, 4, 2, 1, 1)),
        clothes=_blend(CLOTHES, rng, (1,) * len(CLOTHES)),
        style=style,
        hair_side=int(rng.choice((-1, 1))),
        face_width=float(rng.normal(1.0, 0.03)),
        jaw_width=float(rng.normal(1.04 if masculine else 0.97, 0.035)),
        chin_width=float(rng.normal(1.08 if masculine else 0.95, 0.06)),
        ear=float(rng.normal(1.0, 0.08)),
        eye_gap=float(rng.normal(1.0, 0.03)),
        eye_size=float(rng.normal(1.0, 0.06)),
        eye_tilt=float(rng.normal(0.012, 0.01)),
        brow_weight=float(np.clip(rng.normal(1.1 if masculine else 0.85, 0.15), 0.6, 1.5)),
        brow_arch=float(rng.normal(0.03, 0.008)),
        nose_width=float(rng.normal(1.0, 0.08)),
        nose_length=float(rng.normal(1.0, 0.04)),
        mouth_width=float(rng.normal(1.0, 0.05)),
        lips=float(np.clip(rng.normal(0.95 if masculine else 1.1, 0.14), 0.65, 1.5)),
        age=age,
        glasses=bool(rng.random() < glasses),
        beard=("stubble", "full", "moustache")[int(rng.integers(3))] if bearded else "",
        makeup=0.0 if masculine else float(rng.uniform(0.1, 0.8)),
    )
