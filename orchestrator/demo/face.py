"""One face as shapes: a person and an expression become a drawing, from the back to the front."""

from __future__ import annotations

import numpy as np

from orchestrator.demo.drawing import Points, Shape, between, curve, darker, ellipse, mirrored, mix, ribbon
from orchestrator.demo.expressions import Expression
from orchestrator.demo.people import Person

EYE_X, EYE_Y = 0.25, 0.15
NOSE_Y = 0.48
MOUTH_Y = 0.69

JAW_PER_OPENING = 0.7
"""How far the chin sinks when the lower lip does."""

# The right half of the head from the crown to the chin.
HEAD = (
    (0.0, -0.74), (0.24, -0.70), (0.43, -0.55), (0.54, -0.30), (0.575, -0.02), (0.572, 0.22), (0.548, 0.45),
    (0.475, 0.68), (0.335, 0.87), (0.165, 0.975), (0.0, 1.0),
)  # fmt: skip

# The outline of the hair from the left ear over the crown to the right ear.
CAP = (
    (-0.60, 0.10), (-0.645, -0.18), (-0.61, -0.45), (-0.47, -0.69), (-0.24, -0.83), (0.0, -0.87),
    (0.24, -0.83), (0.47, -0.69), (0.61, -0.45), (0.645, -0.18), (0.60, 0.10),
)  # fmt: skip


def face_shapes(person: Person, expression: Expression) -> list[Shape]:
    """The drawing of one person down to the shoulders."""
    right = [_eye(person, expression), _brow(person, expression)]
    sides = [half for pair in right for shape in pair for half in (shape, Shape(mirrored(shape.outline), shape.colour))]
    return [*_behind(person), *_head(person, expression), *sides, *_mouth(person, expression), *_hair(person)]


def head_outline(person: Person, expression: Expression) -> Points:
    """The closed outline of the head; an open mouth lowers its chin."""
    right = np.asarray(HEAD) * (person.face_width, 1)
    right[:, 1] += JAW_PER_OPENING * expression.open_lower * np.clip(2 * right[:, 1] - 1, 0, 1)
    return curve(np.concatenate([right, mirrored(right[-2::-1])]))


def face_corners(person: Person, expression: Expression) -> Points:
    """Points (n, 2) whose bounding box is the face's, as detectors see it: from brows to chin, from cheek to cheek."""
    outline = head_outline(person, expression)
    brow = -max(expression.brow_inner, expression.brow_outer, 0.0) - 0.02
    return np.concatenate([outline[outline[:, 1] >= 0], [(-0.3, brow), (0.3, brow)]])


def _behind(person: Person) -> list[Shape]:
    """Long hair, shoulders and neck."""
    hair = np.concatenate([CAP, [(0.7, 0.6), (0.68, 1.2), (-0.68, 1.2), (-0.7, 0.6)], CAP[:1]])
    shoulder = curve([(0.36, 1.33), (0.75, 1.46), (1.35, 1.8), (1.7, 3.2)])
    neck = curve([(0.33, 0.6), (0.34, 1.2), (0.42, 1.36), (0.0, 1.55)])
    return [
        *([Shape(curve(hair), darker(person.hair, 0.3))] if person.long_hair else []),
        Shape(between(shoulder, mirrored(shoulder)), person.clothes),
        Shape(between(neck, mirrored(neck)), darker(person.skin, 0.25)),
    ]


def _head(person: Person, expression: Expression) -> list[Shape]:
    """Ears, skin and nose."""
    ear = ellipse(0.585 * person.face_width, 0.2, 0.075, 0.16)
    nose = curve([(-0.11, NOSE_Y - 0.03), (-0.06, NOSE_Y + 0.01), (0, NOSE_Y + 0.02),
                  (0.06, NOSE_Y + 0.01), (0.11, NOSE_Y - 0.03)])  # fmt: skip
    return [
        *(Shape(outline, darker(person.skin, 0.15)) for outline in (ear, mirrored(ear))),
        Shape(head_outline(person, expression), person.skin),
        Shape(ribbon(nose, 0.035), darker(person.skin, 0.45)),
    ]


def _eye(person: Person, expression: Expression) -> list[Shape]:
    """White, iris and pupil between the lids of the right eye, and the edge of the upper lid."""
    across = np.linspace(-1, 1, 21)  # from the inner to the outer corner
    x, arch = EYE_X + 0.118 * person.eye_size * across, (1 - across**2) ** 0.72
    press = 1 - 0.42 * abs(expression.lid_slant) * np.clip(-across * np.sign(expression.lid_slant), -0.2, 1)
    upper = EYE_Y - 0.062 * person.eye_size * max(0.12, expression.lid_upper) * arch * press
    lower = EYE_Y + 0.042 * person.eye_size * expression.lid_lower * arch
    iris, pupil = (ellipse(EYE_X, EYE_Y - 0.012, radius, radius) for radius in (0.056, 0.026))
    for disc in (iris, pupil):  # the lids cover a part
        disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], x, upper), np.interp(disc[:, 0], x, lower))
    top, bottom = np.stack([x, upper], 1), np.stack([x, lower], 1)
    return [
        Shape(between(top, bottom), (232, 226, 220)),
        Shape(iris, (84, 58, 34)),
        Shape(pupil, (14, 12, 12)),
        Shape(ribbon(top, 0.026), darker(person.skin, 0.8)),
    ]


def _brow(person: Person, expression: Expression) -> list[Shape]:
    """The right brow."""
    inner, outer = expression.brow_inner, expression.brow_outer
    line = curve([
        (0.1, 0.02 - inner),
        (0.20, -0.02 - (2 * inner + outer) / 3),
        (0.31, -0.03 - (inner + 2 * outer) / 3),
        (0.42, 0.025 - outer),
    ])  # fmt: skip
    return [Shape(ribbon(line, 0.06 * person.brow_weight), mix(person.hair, person.skin, 0.1))]


def _mouth(person: Person, expression: Expression) -> list[Shape]:
    """Both lips, and the dark and the teeth between them."""
    across = np.linspace(-1, 1, 33)
    x, arch = 0.215 * person.mouth_width * expression.mouth_width * across, 1 - across**2
    middle = MOUTH_Y + 0.35 * JAW_PER_OPENING * expression.open_lower
    line = middle - expression.mouth_corner * (np.abs(across) ** 1.7 - 0.35)
    upper, lower = line - expression.open_upper * arch, line + expression.open_lower * arch
    heights = (upper - 0.05 * arch, upper, upper + expression.teeth * (lower - upper), lower, lower + 0.065 * arch)
    top, inner, teeth, under, bottom = (np.stack([x, y], 1) for y in heights)
    lip = mix(person.skin, (164, 50, 60), 0.5)
    return [
        Shape(between(top, bottom), lip),
        Shape(between(inner, under), (58, 22, 24)),
        Shape(between(inner, teeth), (226, 219, 206)),
        Shape(ribbon(inner, 0.014), darker(lip, 0.68)),
    ]


def _hair(person: Person) -> list[Shape]:
    """The hair over the forehead, down to the hairline."""
    right = curve([(0.575, 0.08), (0.535, -0.18), (0.42, 0.04 - person.hairline), (0.0, -person.hairline)])
    outline = np.concatenate([curve(CAP), right, mirrored(right[::-1])]) * (person.face_width, 1)
    return [Shape(outline, person.hair)]
