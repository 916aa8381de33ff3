"""face-api's seven expression classes, and which label of a split means which class.

Both evaluators read labels.json: the classes in the order of FaceExpressionNet's outputs, and other names for them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceapi.contract.settings import FaceApiSettings
from trainable.base.errors import ConfigError, Problem
from trainable.base.files import read_json
from trainable.data.checks import unknown_labels
from trainable.data.tables import Box, ImageTable, nfc

LABELS = Path(__file__).with_name("labels.json")


@dataclass(frozen=True)
class LabelledRow:
    """A row of a split for the onnx engine.

    `path` is the photo's path as the CSV has it, `file` its absolute path, `label` one of face-api's classes, `box` the
    face's box in stored pixels of the photo, or in those of the `upright` one, its EXIF rotation applied.
    """

    path: str
    file: Path
    label: str
    box: Box
    upright: bool = False


@functools.cache
def _labels_json() -> dict[str, Any]:
    """The content of labels.json.

    Raises:
        ConfigError: the file is missing or broken.
    """
    content = read_json(LABELS)
    if not content:
        raise ConfigError(f"{LABELS}: missing or not JSON; is the installation whole?")
    return content


def class_names() -> tuple[str, ...]:
    """face-api's classes in the order of FaceExpressionNet's seven outputs."""
    return tuple(_labels_json()["classes"])


def check_label_options(settings: FaceApiSettings) -> None:
    """Check the classes that `--faceapi-label NAME=CLASS` names.

    Raises:
        ConfigError: face-api has no such class.
    """
    for name, target in settings.labels.items():
        if target not in class_names():
            classes = ", ".join(sorted(class_names()))
            raise ConfigError(f"--faceapi-label {name}={target}: face-api has the classes {classes}")


def label_problems(table: ImageTable, settings: FaceApiSettings) -> list[Problem]:
    """One problem for each row whose label means none of face-api's classes."""
    known = _class_by_label(settings)
    return unknown_labels(
        table,
        lambda label: _comparable(label) in known,
        "is none of face-api's",
        lambda label: f"name it with --faceapi-label '{label}=CLASS'",
    )


def labelled(table: ImageTable, settings: FaceApiSettings) -> list[LabelledRow]:
    """Translate a split's labels for the onnx engine; `label_problems` must have found none."""
    known = _class_by_label(settings)
    return [
        LabelledRow(row.path, row.file.absolute(), known[_comparable(row.label)], row.box, row.upright)
        for row in table.rows
        if row.box
    ]


def class_of(label: str, settings: FaceApiSettings) -> str | None:
    """The face-api class that a label of a split means; None where it means none."""
    return _class_by_label(settings).get(_comparable(label))


def _class_by_label(settings: FaceApiSettings) -> dict[str, str]:
    """Map every label that is understood to its class. The user's names win; node/lib/labels.mjs does the same."""
    names = {name: name for name in class_names()} | _labels_json()["aliases"] | dict(settings.labels)
    return {_comparable(name): target for name, target in names.items()}


def _comparable(label: str) -> str:
    """Labels are compared in Unicode NFC, without regard to case and to spaces around them."""
    return nfc(label).strip().lower()
