"""Eyes, brows, nose, mouth and the lines of the skin: what an expression moves."""

from __future__ import annotations

import numpy as np

from orchestrator.demo.expressions import Expression
from orchestrator.demo.geometry import Points, between, ellipse, lowered, spline
from orchestrator.demo.painter import Painter, darker, mix
from orchestrator.demo.people import Colour, Person

EYE_Y = 0.15
NOSE_Y = 0.47
MOUTH_Y = 0.69
SIDES = (-1, 1)

Point = tuple[float, float]


def _mirror(points: Points, side: int) -> Points:
    return points * (side, 1)


def draw_skin_tone(painter: Painter, person: Person, expression: Expression) -> None:
    """Warmth in the cheeks and nose, shade in the eye sockets: no skin has one colour."""
    warm, dark = mix(person.skin, (206, 84, 72), 0.5), darker(person.skin, 0.42)
    cheek_y = 0.40 - 0.04 * expression.cheek
    blush = 0.22 + 0.16 * expression.cheek
    painter.soft([(ellipse(side * 0.33, cheek_y, 0.12, 0.1), blush) for side in SIDES], warm, 0.055)
    painter.soft([(ellipse(0, 0.44, 0.07, 0.05), 0.25)], warm, 0.03)
    sockets = [(ellipse(side * 0.245 * person.eye_gap, 0.115, 0.13, 0.065), 0.42) for side in SIDES]
    painter.soft(sockets, dark, 0.035)


def mouth_half_width(person: Person, expression: Expression) -> float:
    """From the middle of the mouth to its corner."""
    return 0.215 * person.mouth_width * expression.mouth_width


def _fold(start: Point, bend: Point, end: Point, width: float) -> Points:
    """A thin lens-shaped polygon along a curve: a line that fades towards both ends."""
    line = spline([start, bend, end])
    half = width / 2 * np.sin(np.linspace(0, np.pi, len(line)))[:, None]
    return between(line + half, line - half)


def draw_lines(painter: Painter, person: Person, expression: Expression) -> None:
    """Wrinkles: those of the expression, and the faint ones that age leaves."""
    mouth_x = mouth_half_width(person, expression)
    corner_y = MOUTH_Y + expression.jaw_drop * 0.4 - expression.mouth_corner
    brow_y = -expression.brow_inner
    fold = min(1.0, 0.12 + 0.3 * person.age + 0.75 * expression.fold)
    shapes: list[tuple[Points, float]] = []
    for side in SIDES:
        nasolabial = _fold((0.115, 0.44), (mouth_x * 0.55 + 0.12, 0.535), (mouth_x + 0.055, corner_y), 0.028)
        shapes.append((_mirror(nasolabial, side), fold * 0.75))
        bag = _fold((0.15, 0.215), (0.24, 0.25), (0.34, 0.22), 0.02)
        shapes.append((_mirror(bag, side), 0.18 + 0.4 * person.age + 0.25 * expression.cheek))
        if expression.frown > 0.1:
            frown = _fold((0.04, brow_y - 0.07), (0.032, brow_y), (0.045, brow_y + 0.06), 0.026)
            shapes.append((_mirror(frown, side), 0.75 * expression.frown))
        if expression.nose_wrinkle > 0.1:
            for step in range(3):
                y = 0.1 + 0.055 * step
                crease = _fold((0.015, y - 0.01), (0.06, y + 0.005), (0.1, y + 0.04), 0.02)
                shapes.append((_mirror(crease, side), 0.6 * expression.nose_wrinkle))
    lines = expression.forehead + 0.35 * max(0.0, person.age - 0.4)
    if lines > 0.1:
        for step in range(3):
            y = -0.16 - 0.085 * step - 0.3 * expression.brow_middle
            shapes.append((_fold((-0.3, y + 0.02), (0, y), (0.3, y + 0.02), 0.02), 0.5 * lines))
    painter.soft(shapes, darker(mix(person.skin, (120, 50, 40), 0.25), 0.45), 0.009)


def _eyelids(person: Person, expression: Expression, side: int) -> tuple[Points, Points]:
    """The edges of the upper and the lower lid, each from the inner to the outer corner."""
    across = np.linspace(-1, 1, 21)  # -1 = the inner corner
    half = 0.118 * person.eye_size
    x = 0.25 * person.eye_gap + half * across
    tilt = -person.eye_tilt * across
    arch = (1 - across**2) ** 0.72
    # An angry brow presses the inner half of the lid down, a sad one lets the outer half hang.
    pressed = -across if expression.lid_slant > 0 else across
    press = 1 - 0.42 * abs(expression.lid_slant) * np.clip(pressed, -0.2, 1)
    upper = EYE_Y + tilt - 0.062 * person.eye_size * max(0.12, expression.lid_upper) * arch * press
    lower = EYE_Y + tilt + 0.042 * person.eye_size * expression.lid_lower * arch
    return _mirror(np.stack([x, upper], 1), side), _mirror(np.stack([x, lower], 1), side)


def draw_eye(painter: Painter, person: Person, expression: Expression, side: int, gaze: float) -> None:
    """One eye; `gaze` moves both irises sideways (face units)."""
    upper, lower = _eyelids(person, expression, side)
    outline = between(upper, lower)
    x, y = side * 0.25 * person.eye_gap + gaze, EYE_Y - 0.012 + expression.gaze_down
    radius = 0.058 * person.eye_size
    painter.fill(outline, (232, 226, 220))
    with painter.clip(outline) as eye:
        eye.fill(ellipse(x, y, radius, radius), darker(person.iris, 0.45))
        eye.fill(ellipse(x, y, radius * 0.84, radius * 0.84), person.iris)
        eye.fill(ellipse(x, y, radius * 0.45, radius * 0.45), (14, 12, 12))
        # The upper lid throws a shadow on the eyeball.
        eye.soft([(between(upper, lowered(upper, 0.022)), 0.75)], (70, 56, 52), 0.008)
        eye.fill(ellipse(x - 0.018, y - 0.022, 0.013, 0.013), (250, 250, 250))
    lash = mix(darker(person.skin, 0.75), (20, 14, 14), 0.6)
    painter.stroke(lowered(upper, -0.004), (0.008, 0.022, 0.024), lash)
    painter.stroke(lower, (0.004, 0.008, 0.011), darker(person.skin, 0.42))
    painter.stroke(lowered(upper[3:], -0.034), (0.004, 0.009, 0.004), darker(person.skin, 0.38))


def draw_brow(painter: Painter, person: Person, expression: Expression, side: int) -> None:
    """One brow, thick at the nose and thin at the temple."""
    inner_x = 0.105 - expression.brow_squeeze
    control = (
        (inner_x, 0.02 - expression.brow_inner),
        (0.20, -0.005 - person.brow_arch * 0.5 - (expression.brow_inner + expression.brow_middle) / 2),
        (0.31, -person.brow_arch - expression.brow_middle),
        (0.42, 0.025 - expression.brow_outer),
    )
    line = _mirror(spline(control), side)
    width = 0.055 * person.brow_weight
    colour = mix(person.hair, person.skin, 0.12)
    painter.soft([(between(lowered(line, width / 2), lowered(line, -width / 2)), 0.55)], colour, 0.012)
    painter.stroke(line, (width * 0.75, width, width * 0.8, width * 0.25), darker(colour, 0.1))


def draw_nose(painter: Painter, person: Person, expression: Expression) -> None:
    """Nostrils and wings; the bridge comes from the light."""
    y = NOSE_Y * person.nose_length - 0.02 * expression.nose_wrinkle + 0.012
    wide = person.nose_width * (1 + 0.12 * expression.nose_wrinkle)
    shade = darker(mix(person.skin, (120, 50, 40), 0.3), 0.4)
    under = np.array([(-0.12, -0.01), (0, 0.045), (0.12, -0.01), (0, 0.012)])
    painter.soft([(spline(lowered(under * (wide, 1), y), closed=True), 0.55)], shade, 0.014)
    edge = np.array([(0.105, -0.07), (0.132, -0.025), (0.118, 0.012), (0.085, 0.008)])
    wing = spline(lowered(edge * (wide, 1), y))
    for side in SIDES:
        painter.soft([(_mirror(between(wing, wing * (0.93, 1)), side), 0.8)], shade, 0.007)
        painter.fill(_mirror(ellipse(0.055 * wide, y + 0.006, 0.027 * wide, 0.012), side), darker(shade, 0.5))


def mouth_curves(person: Person, expression: Expression) -> dict[str, Points]:
    """The four curves of the mouth from the left to the right corner: lips outside and inside."""
    across = np.linspace(-1, 1, 33)
    half = mouth_half_width(person, expression)
    y = MOUTH_Y + 0.35 * expression.jaw_drop
    line = y - expression.mouth_corner * (np.abs(across) ** 1.7 - 0.35)
    opening = 1 - np.abs(across) ** expression.mouth_square
    skew = expression.mouth_skew * across * opening
    thick = 0.052 * person.lips * expression.lip_thickness
    # The cupid's bow: the upper lip dips in the middle and is highest beside it.
    bow = np.clip(1 - np.abs(across) ** 1.6, 0, 1) * (1 - 0.28 * np.exp(-((across / 0.16) ** 2)))
    inner_upper = line - expression.open_upper * opening - skew
    inner_lower = line + expression.open_lower * opening
    outer_upper = inner_upper - thick * bow
    outer_lower = inner_lower + 1.3 * thick * (1 - across**2) ** 0.75
    x = half * across
    names = ("outer_upper", "inner_upper", "inner_lower", "outer_lower")
    curves = (outer_upper, inner_upper, inner_lower, outer_lower)
    return {name: np.stack([x, curve], 1) for name, curve in zip(names, curves, strict=True)}


def _teeth(mouth: Painter, inner: Points, reach: Points, share: float, direction: int) -> None:
    """A row of teeth from the lip `inner` over `share` of the way to the lip `reach`."""
    edge = inner + (reach - inner) * min(1.0, share)
    mouth.fill(between(lowered(inner, -0.02 * direction), edge), (226, 219, 206))
    for index in range(6, len(inner) - 6, 4):
        gap = np.stack([inner[index], edge[index]])
        mouth.stroke(gap, 0.004, (188, 178, 164))


def draw_mouth(painter: Painter, person: Person, expression: Expression) -> None:
    """Lips, and what is seen between them."""
    curves = mouth_curves(person, expression)
    upper, lower = curves["inner_upper"], curves["inner_lower"]
    lip: Colour = mix(mix(person.skin, (164, 66, 70), 0.42), (176, 40, 58), 0.4 * person.makeup)
    edge = curves["outer_lower"]
    painter.soft([(between(edge, lowered(edge, 0.03)), 0.3)], darker(person.skin, 0.45), 0.016)
    painter.fill(between(curves["outer_upper"], upper), darker(lip, 0.14))
    painter.fill(between(lower, edge), lip)
    shine = ((lower + edge) / 2)[10:23]
    painter.soft([(between(lowered(shine, -0.008), lowered(shine, 0.008)), 0.35)], darker(lip, -0.4), 0.01)
    dark = darker(lip, 0.68)
    if expression.open_upper + expression.open_lower > 0.012:
        hole = between(upper, lower)
        with painter.clip(hole) as mouth:
            mouth.fill(hole, (58, 22, 24))
            tongue = ellipse(0, float(lower[16, 1]), 0.11, 0.35 * float(lower[16, 1] - upper[16, 1]))
            mouth.fill(tongue, (150, 74, 76))
            if expression.teeth_lower > 0.05:
                _teeth(mouth, lower, upper, expression.teeth_lower, -1)
            if expression.teeth_upper > 0.05:
                _teeth(mouth, upper, lower, expression.teeth_upper, 1)
            mouth.soft([(between(upper, lowered(upper, 0.02)), 0.6)], (50, 20, 20), 0.01)
        painter.stroke(upper, (0.006, 0.009, 0.006), dark)
    else:
        painter.stroke((upper + lower) / 2, (0.008, 0.015, 0.015, 0.008), dark)
    corners = [(ellipse(float(upper[i, 0]), float(upper[i, 1]), 0.016, 0.012), 0.8) for i in (0, -1)]
    painter.soft(corners, dark, 0.008)
