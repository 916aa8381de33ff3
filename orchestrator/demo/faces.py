"""One face: a person, an expression, a pose and a light become a picture with a known box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.demo.expressions import Expression
from orchestrator.demo.features import (
    SIDES,
    draw_brow,
    draw_eye,
    draw_lines,
    draw_mouth,
    draw_nose,
    draw_skin_tone,
)
from orchestrator.demo.geometry import Box, Points, Pose, between, ellipse, spline
from orchestrator.demo.hair import draw_beard, draw_glasses, draw_hair_behind, draw_hair_front
from orchestrator.demo.painter import OVERSAMPLING, Painter, darker
from orchestrator.demo.people import Person
from orchestrator.demo.relief import Light, shading

# The right half of the head from the crown to the chin; the jaw (y > 0.5) is scaled for every person.
HEAD = (
    (0.0, -0.74), (0.24, -0.70), (0.43, -0.55), (0.54, -0.30), (0.575, -0.02), (0.572, 0.22), (0.548, 0.45),
    (0.475, 0.68), (0.335, 0.87), (0.165, 0.975), (0.0, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Face:
    """What is known of a drawn face: its light (see `relief.shading`) and its box."""

    light: NDArray[np.float32]
    box: Box  # pixels of the photo: brow line to chin, cheek to cheek


def head_outline(person: Person, expression: Expression) -> Points:
    """The closed outline of the head in face units."""
    right = np.asarray(HEAD) * (person.face_width, 1)
    jaw = np.clip((right[:, 1] - 0.5) / 0.5, 0, 1)
    right[:, 0] *= 1 + (person.jaw_width - 1) * np.minimum(1, 2 * jaw)
    right[8:10, 0] *= person.chin_width
    right[:, 1] += expression.jaw_drop * jaw
    left = right[1:-1][::-1] * (-1, 1)
    return spline(np.concatenate([right, left]), closed=True)


def face_box(outline: Points, expression: Expression, pose: Pose) -> Box:
    """The box a face detector draws: from the brows to the chin and from cheek to cheek (pixels)."""
    brow = -max(expression.brow_inner, expression.brow_middle, expression.brow_outer, 0.0)
    face = pose.project(outline[outline[:, 1] >= 0.0], on_skin=False)
    brows = pose.project([(-0.3, brow - 0.02), (0.3, brow - 0.02)])
    low, high = face.min(axis=0), face.max(axis=0)
    return float(low[0]), float(min(low[1], brows[:, 1].min())), float(high[0]), float(high[1])


def _draw_body(painter: Painter, person: Person, rng: np.random.Generator) -> None:
    """Neck, shoulders and a collar."""
    cloth, skin = person.clothes, darker(person.skin, 0.1)
    neck = 0.33 * person.jaw_width
    slope = rng.uniform(0.02, 0.1)
    shoulder = np.array([(1.7, 3.2), (1.35, 1.75 + slope), (0.75, 1.46), (0.36, 1.33)])
    painter.fill(spline(between(shoulder * (-1, 1), shoulder)), cloth, False)
    nape = np.array([(neck, 0.6), (neck * 1.02, 1.2), (neck * 1.25, 1.36)])
    throat = between(nape * (-1, 1), nape)
    painter.fill(throat, skin, False)
    depth = float(rng.choice((1.46, 1.56, 1.85)))
    painter.fill(spline([(-neck * 1.25, 1.34), (0, depth), (neck * 1.25, 1.34)]), skin, False)
    with painter.clip(throat, on_skin=False) as shaded:
        chin = spline([(-0.42, 0.85), (0, 1.22), (0.42, 0.85), (0, 0.7)], closed=True)
        shaded.soft([(chin, 0.55)], darker(person.skin, 0.55), 0.05, False)
    edge = spline([(-neck * 1.27, 1.33), (0, depth), (neck * 1.27, 1.33)])
    painter.stroke(edge, 0.05, darker(cloth, 0.2), False)


def _draw_head(painter: Painter, person: Person, expression: Expression, outline: Points) -> None:
    for side in SIDES:
        ear = ellipse(side * 0.585 * person.face_width, 0.2, 0.075 * person.ear, 0.16 * person.ear)
        painter.fill(ear, darker(person.skin, 0.1), False)
        inner = ellipse(side * 0.605 * person.face_width, 0.19, 0.03 * person.ear, 0.09 * person.ear)
        painter.fill(inner, darker(person.skin, 0.25), False)
    painter.fill(outline, person.skin, False)
    draw_skin_tone(painter, person, expression)


def draw_face(
    scene: Image.Image,
    pose: Pose,
    person: Person,
    expression: Expression,
    light: Light,
    rng: np.random.Generator,
) -> Face:
    """Draw one person on the RGB `scene`, which is `OVERSAMPLING` times as large as the photo of the pose."""
    painter = Painter(scene, pose.enlarged(OVERSAMPLING))
    outline = head_outline(person, expression)
    draw_hair_behind(painter, person, rng)
    _draw_body(painter, person, rng)
    _draw_head(painter, person, expression, outline)
    with painter.clip(outline, on_skin=False) as skin:
        draw_beard(skin, person, expression, jaw=outline[outline[:, 1] > 0.45])
    draw_lines(painter, person, expression)
    gaze = float(rng.normal(0.0, 0.008))
    for side in SIDES:
        draw_eye(painter, person, expression, side, gaze)
        draw_brow(painter, person, expression, side)
    draw_nose(painter, person, expression)
    draw_mouth(painter, person, expression)
    draw_hair_front(painter, person, rng)
    if person.glasses:
        draw_glasses(painter, person, rng)
    size = (scene.width // OVERSAMPLING, scene.height // OVERSAMPLING)
    lit = shading(size, pose, person, expression, light, outline)
    return Face(lit, face_box(outline, expression, pose))
