"""Hair, beard and glasses."""

from __future__ import annotations

import numpy as np

from orchestrator.demo.expressions import Expression
from orchestrator.demo.features import MOUTH_Y, SIDES, mouth_half_width
from orchestrator.demo.geometry import Points, between, ellipse, lowered, spline
from orchestrator.demo.painter import Painter, darker, mix
from orchestrator.demo.people import Person

# Upper half of the head with some volume of hair, from the left ear over the crown to the right ear.
CAP = (
    (-0.60, 0.10), (-0.635, -0.15), (-0.60, -0.42), (-0.46, -0.66), (-0.24, -0.80), (0.0, -0.84),
    (0.24, -0.80), (0.46, -0.66), (0.60, -0.42), (0.635, -0.15), (0.60, 0.10),
)  # fmt: skip

# The hairline from the right temple to the left one, for a parting on the right.
HAIRLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "cropped": ((0.565, 0.05), (0.53, -0.20), (0.42, -0.40), (0.2, -0.44), (-0.2, -0.44), (-0.42, -0.40),
                (-0.53, -0.20), (-0.565, 0.05)),
    "receding": ((0.575, 0.05), (0.555, -0.22), (0.47, -0.46), (0.30, -0.62), (0.0, -0.55), (-0.30, -0.62),
                 (-0.47, -0.46), (-0.555, -0.22), (-0.575, 0.05)),
    "side_part": ((0.57, 0.05), (0.54, -0.20), (0.44, -0.38), (0.30, -0.50), (0.02, -0.36), (-0.30, -0.27),
                  (-0.48, -0.20), (-0.55, 0.0), (-0.575, 0.08)),
    "swept": ((0.57, 0.05), (0.53, -0.22), (0.40, -0.42), (0.16, -0.52), (-0.12, -0.50), (-0.40, -0.40),
              (-0.53, -0.20), (-0.57, 0.05)),
    "bob": ((0.59, 0.45), (0.54, 0.10), (0.50, -0.10), (0.40, -0.16), (0.15, -0.20), (-0.15, -0.20),
            (-0.40, -0.16), (-0.50, -0.10), (-0.54, 0.10), (-0.59, 0.45)),
    "long": ((0.60, 0.45), (0.54, 0.10), (0.47, -0.18), (0.28, -0.42), (0.06, -0.58), (-0.14, -0.44),
             (-0.40, -0.22), (-0.54, 0.08), (-0.60, 0.45)),
    "bun": ((0.57, 0.05), (0.53, -0.20), (0.40, -0.40), (0.18, -0.47), (-0.18, -0.47), (-0.40, -0.40),
            (-0.53, -0.20), (-0.57, 0.05)),
    "curly": ((0.57, 0.08), (0.52, -0.18), (0.42, -0.32), (0.2, -0.36), (0.0, -0.34), (-0.2, -0.37),
              (-0.42, -0.31), (-0.52, -0.18), (-0.57, 0.08)),
}  # fmt: skip

# Where long hair falls, from below the right ear to its lower end.
LENGTHS = {"bob": ((0.66, 0.55), (0.56, 0.84)), "long": ((0.70, 0.6), (0.74, 1.15), (0.55, 1.6))}

# How far the hair stands off the head, where it is not the usual 1.02.
VOLUMES = {"cropped": 0.95, "receding": 0.93, "bun": 0.97, "swept": 1.05, "curly": 1.05}


def _cap(person: Person, volume: float) -> Points:
    grown = np.asarray(CAP) - (0, 0.1)
    return grown * (volume * person.face_width, volume) + (0, 0.1)


def _curls(painter: Painter, person: Person, rng: np.random.Generator, ring: Points) -> None:
    """Overlapping locks of different tones around every point of the ring."""
    places = spline(ring, steps=4)
    places = np.concatenate([places, places * 0.93])[rng.permutation(2 * len(places))]
    for x, y in places + rng.normal(0, 0.022, places.shape):
        radius = rng.uniform(0.045, 0.08)
        tone = darker(person.hair, rng.uniform(-0.07, 0.22))
        painter.fill(ellipse(x, y, radius, radius * 0.85, 12), tone, False)


def draw_hair_behind(painter: Painter, person: Person, rng: np.random.Generator) -> None:
    """The part of the hair behind neck and face."""
    dark = darker(person.hair, 0.3)
    if person.style in LENGTHS:
        right = np.asarray(LENGTHS[person.style])
        shape = np.concatenate([_cap(person, 1.05), right, right[::-1] * (-1, 1)])
        painter.fill(spline(shape, closed=True), dark, False)
    elif person.style == "bun":
        painter.fill(ellipse(0.04, -0.92, 0.22, 0.19), dark, False)
    elif person.style == "curly":
        _curls(painter, person, rng, _cap(person, 1.1))


def draw_hair_front(painter: Painter, person: Person, rng: np.random.Generator) -> None:
    """The hair over the forehead and the sides, with strands that run from the crown to the hairline."""
    side = person.hair_side
    line = np.asarray(HAIRLINES[person.style]) * (side * person.face_width, 1) + rng.normal(0, 0.008, 2)
    if side < 0:
        line = line[::-1]
    cap = _cap(person, VOLUMES.get(person.style, 1.02))
    outline, edge = spline(cap), spline(line)
    shape = np.concatenate([outline, edge])
    painter.soft([(between(lowered(edge, 0.05), edge), 0.4)], darker(person.skin, 0.55), 0.025, False)
    painter.fill(shape, person.hair, False)
    with painter.clip(shape, on_skin=False) as hair:
        _strands(hair, person, outline, edge, rng)
    if person.style == "curly":
        _curls(painter, person, rng, cap)
        _curls(painter, person, rng, _cap(person, 0.84)[2:9])


def _strands(
    painter: Painter,
    person: Person,
    outline: Points,
    edge: Points,
    rng: np.random.Generator,
) -> None:
    """Lines from the outline of the hair to the hairline, lighter and darker than the hair."""
    mirrored = edge[::-1]
    for share in np.sort(rng.uniform(0.0, 1.0, 28)):
        start = outline[int(share * (len(outline) - 1))]
        end = mirrored[int(np.clip(share + rng.normal(0, 0.03), 0, 1) * (len(mirrored) - 1))]
        middle = (start + end) / 2 + (rng.normal(0, 0.015) + 0.05 * person.hair_side, -0.02)
        tone = darker(person.hair, rng.choice((-0.14, -0.07, 0.2, 0.3)))
        widths = (0.006, float(rng.uniform(0.012, 0.03)), 0.006)
        painter.stroke(spline([start, middle, end], steps=5), widths, tone, False)


def draw_beard(painter: Painter, person: Person, expression: Expression, jaw: Points) -> None:
    """A beard on the lower part of the face; `jaw` is the head's outline below the ears."""
    if not person.beard:
        return
    colour = mix(person.hair, person.skin, 0.1)
    mouth_x, top = mouth_half_width(person, expression), MOUTH_Y - 0.115
    if person.beard in ("full", "stubble"):
        cheek = np.array([(0.50, 0.42), (0.42, 0.60), (mouth_x + 0.07, MOUTH_Y - 0.02), (0.13, top)])
        inner = spline(np.concatenate([cheek * (-1, 1), [(0, top + 0.02)], cheek[::-1]]))
        opacity = 0.85 if person.beard == "full" else 0.3
        painter.soft([(between(inner, jaw[np.argsort(jaw[:, 0])]), opacity)], colour, 0.022, False)
    else:
        half = mouth_x * 0.95
        y = MOUTH_Y - 0.03
        shape = spline([(-half, y + 0.035), (-half * 0.5, y - 0.055), (0, y - 0.045), (half * 0.5, y - 0.055),
                        (half, y + 0.035), (0, y + 0.005)], closed=True)  # fmt: skip
        painter.soft([(shape, 0.9)], colour, 0.01)
    if person.beard == "full":
        painter.soft([(ellipse(0, 0.86 + expression.jaw_drop, 0.1, 0.04), 0.5)], colour, 0.03)


def draw_glasses(painter: Painter, person: Person, rng: np.random.Generator) -> None:
    """Thin frames, round or angular, that leave brows and eyes visible."""
    colour = ((30, 28, 30), (70, 52, 40), (120, 120, 126))[int(rng.integers(3))]
    exponent = float(rng.choice((2.0, 3.2)))
    x, y, half_x, half_y = 0.255 * person.eye_gap, 0.175, 0.175, 0.135
    angle = np.linspace(0, 2 * np.pi, 41)
    for side in SIDES:
        cos, sin = np.cos(angle), np.sin(angle)
        rim = np.stack([
            side * x + half_x * np.sign(cos) * np.abs(cos) ** (2 / exponent),
            y + half_y * np.sign(sin) * np.abs(sin) ** (2 / exponent),
        ], 1)  # fmt: skip
        painter.stroke(rim, rng.uniform(0.014, 0.02), colour)
        arm = np.stack([(side * (x + half_x), y - 0.03), (side * 0.58 * person.face_width, y - 0.06)])
        painter.stroke(arm, 0.018, colour, False)
    bridge = spline([(-x + half_x, y - 0.02), (0, y - 0.055), (x - half_x, y - 0.02)])
    painter.stroke(bridge, 0.016, colour)
