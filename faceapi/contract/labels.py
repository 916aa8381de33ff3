"""face-api's class names and the other names they go by (labels.json, which both evaluators read)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from faceapi.contract.settings import FaceApiSettings
from trainable.base.errors import ConfigError, Problem
from trainable.base.files import read_json
from trainable.data.tables import Box, ImageTable, nfc

LABELS = Path(__file__).with_name("labels.json")


@dataclass(frozen=True)
class LabelledRow:
    """A row of a split as the onnx engine wants it: `file` is absolute, `label` one of face-api's classes."""

    path: str
    file: Path
    label: str
    box: Box


@functools.cache
def label_names() -> dict[str, str]:
    """face-api's classes and the other names they go by, to the class."""
    known = read_json(LABELS)
    if not known:
        raise ConfigError(f"{LABELS}: missing or not JSON; is the installation whole?")
    return {**{name: name for name in known["classes"]}, **{nfc(k): v for k, v in known["aliases"].items()}}


def check_label_options(settings: FaceApiSettings) -> None:
    """Raises ConfigError where `--faceapi-label NAME=CLASS` names a class that face-api does not have."""
    classes = sorted(set(label_names().values()))
    for name, target in settings.labels.items():
        if target not in classes:
            raise ConfigError(f"--faceapi-label {name}={target}: face-api has the classes {', '.join(classes)}")


def label_problems(table: ImageTable, settings: FaceApiSettings) -> list[Problem]:
    """Rows whose label has no face-api class."""
    known = _known_labels(settings)
    unknown = {code for code, label in enumerate(table.classes) if _key(label) not in known}
    if not unknown:
        return []
    return [
        Problem(
            f"label {table.classes[code]!r} is none of face-api's",
            str(table.csv),
            line,
            table.label_column,
            f"name it with --faceapi-label '{table.classes[code]}=CLASS'",
        )
        for line, code in zip(table.lines, table.codes, strict=True)
        if code in unknown
    ]


def labelled(table: ImageTable, settings: FaceApiSettings) -> list[LabelledRow]:
    """The rows for the onnx engine, wherever it runs; all labels must be known (see `label_problems`)."""
    known = _known_labels(settings)
    return [
        LabelledRow(row.path, row.file.absolute(), known[_key(row.label)], row.box) for row in table.rows if row.box
    ]


def _known_labels(settings: FaceApiSettings) -> dict[str, str]:
    """Label to class, as faceapi/lib/labels.mjs reads them: the user's names win, case does not matter."""
    return {_key(name): target for name, target in (*label_names().items(), *settings.labels.items())}


def _key(label: str) -> str:
    return nfc(label).strip().lower()
