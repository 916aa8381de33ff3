"""What a result's probabilities say: how far its confidence can be believed, and where it was surest and wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from faceapi.contract.labels import class_names
from faceapi.contract.probabilities import read_probabilities
from faceapi.contract.results import probabilities_file
from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.figures import COLORS, FAINT, Figure, line
from orchestrator.reporting.material import Scored
from orchestrator.statistics.calibration import Calibration, fit_temperature, measure_calibration
from orchestrator.statistics.joining import Box
from orchestrator.statistics.scores import NO_CLASS, numbered
from trainable.run.logits import read_logits

MISTAKES = 12
"""Thumbnails of one experiment; some 3 kB each."""
SIDE, QUALITY = 96, 70
"""Pixels of a thumbnail's longer side, and the quality of its JPEG."""


@dataclass(frozen=True)
class Confidence:
    """Calibration of a result on its test rows; of FaceAPI on those that it matched.

    Attributes:
        temperature: fitted on the validation rows; None without their logits, so for FaceAPI.
        mended: with the temperature; None without one.
    """

    before: Calibration
    temperature: float | None
    mended: Calibration | None
    figure: Figure


@dataclass(frozen=True)
class Mistake:
    """A wrong answer. `image` is the source of an <img>, "" where the image is not readable."""

    path: str
    true: str
    predicted: str
    confidence: float
    image: str


@dataclass(frozen=True)
class _Outputs:
    """A network's answers.

    Attributes:
        rows: `path`, `true` and `pred`.
        logits: float32 (n, C) of these rows, or anything whose softmax is the probabilities.
        true: (n,) int, the column of each row's class.
    """

    rows: pd.DataFrame
    logits: np.ndarray
    true: np.ndarray


def _outputs(paths: ProjectPaths, item: Scored) -> _Outputs | None:
    """The network's answers to the test rows; None where they are not kept, or are of other rows."""
    if not item.result.present:
        return None
    outputs = _of_run(paths, item) if item.result.experiment.trains else _of_faceapi(paths, item)
    if outputs is None or not len(outputs.rows) or not np.isfinite(outputs.logits).all():
        return None
    return None if (outputs.true == NO_CLASS).any() else outputs


def _of_run(paths: ProjectPaths, item: Scored) -> _Outputs | None:
    logits = read_logits(paths.run(item.result.experiment).test_logits, item.classes)
    if logits is None or len(logits) != item.result.n:
        return None
    return _Outputs(item.result.rows, logits, numbered(item.result.rows["true"].tolist(), item.classes))


def _of_faceapi(paths: ProjectPaths, item: Scored) -> _Outputs | None:
    """Of the rows that it matched. Their logarithms stand for the logits, which face-api does not tell.

    None where the answers are another program's, such as the runbook's own script's, that has written over ours.
    """
    rows = item.result.rows
    file = probabilities_file(paths.faceapi_results(item.result.experiment))
    found = read_probabilities(file, rows["path"].tolist())
    if found is None:
        return None
    matched = rows["pred"].notna().to_numpy()
    answers = numbered(rows["pred"][matched].tolist(), class_names())
    if (answers != found[matched].argmax(1)).any():
        return None
    logarithms = np.log(np.maximum(found[matched], np.finfo(found.dtype).tiny))
    return _Outputs(rows[matched], logarithms, numbered(rows["true"][matched].tolist(), class_names()))


def measure_confidence(paths: ProjectPaths, item: Scored) -> Confidence | None:
    """How a network's confidence fits on its test rows; None without its probabilities."""
    outputs = _outputs(paths, item)
    if outputs is None:
        return None
    before = measure_calibration(outputs.logits, outputs.true)
    temperature = _temperature(paths, item) if item.result.experiment.trains else None
    mended = None if temperature is None else measure_calibration(outputs.logits, outputs.true, temperature)
    return Confidence(before, temperature, mended, _figure(item, before, mended))


def _temperature(paths: ProjectPaths, item: Scored) -> float | None:
    """Fitted on the validation rows, whose labels are beside their logits."""
    import pyarrow.parquet as pq

    file = paths.run(item.result.experiment).val_logits
    logits = read_logits(file, item.classes)
    if logits is None or not len(logits) or not np.isfinite(logits).all():
        return None
    true = numbered(pq.read_table(str(file), columns=["label"])["label"].to_pylist(), item.classes)
    return None if (true == NO_CLASS).any() else fit_temperature(logits, true)


def _figure(item: Scored, before: Calibration, mended: Calibration | None) -> Figure:
    traces = [{"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "perfect",
               "line": {"color": FAINT, "dash": "dot", "width": 1}, "hoverinfo": "skip"}]  # fmt: skip
    rows = []
    for name, found, color in (("as trained", before, COLORS[0]), ("with temperature", mended, COLORS[1])):
        bins = [each for each in found.bins if each.n] if found else []
        if bins:
            traces.append(line(name, [b.confidence for b in bins], [b.accuracy for b in bins], color))
        rows += [(name, b.low, b.high, b.n, b.confidence, b.accuracy) for b in bins]
    layout = {"xaxis": {"range": [0, 1.02], "title": {"text": "confidence"}},
              "yaxis": {"range": [0, 1.02], "title": {"text": "share that is right"}}}  # fmt: skip
    columns = ("logits", "low", "high", "rows", "confidence", "accuracy")
    title = f"{item.name}: is the confidence right? Below the dotted line it is too high"
    return Figure(f"{item.result.experiment.folder}-calibration", title, traces, columns, rows, layout, height=300)


def find_mistakes(paths: ProjectPaths, item: Scored) -> list[Mistake] | None:
    """The wrong answers of the highest confidence, MISTAKES at most; None without probabilities."""
    outputs = _outputs(paths, item)
    if outputs is None:
        return None
    shifted = np.exp(outputs.logits - outputs.logits.max(1, keepdims=True))
    confidence = shifted.max(1) / shifted.sum(1)
    rows = outputs.rows
    wrong = np.flatnonzero((rows["true"] != rows["pred"]).to_numpy())
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    found = rows.iloc[first]
    inputs = None if item.result.experiment.trains else item.inputs  # a crop is a face
    boxes, upright = (inputs.boxes, inputs.upright) if inputs else (None, [])
    pictures = [
        thumbnail(paths.root, path, boxes[row], upright=upright[row]) if boxes else thumbnail(paths.root, path)
        for row, path in found["path"].items()
    ]
    columns = zip(found["path"], found["true"], found["pred"], confidence[first].tolist(), pictures, strict=True)
    return list(starmap(Mistake, columns))


def thumbnail(root: Path, path: str, face: Box | None = None, *, upright: bool = False) -> str:
    """A small JPEG of an image below `root` as a data URI; "" where it lies elsewhere or cannot be decoded.

    Args:
        face: the part of a photo to show, in its pixels.
        upright: whether the photo's EXIF rotation is applied before.
    """
    try:
        file = (root / path.replace("\\", "/")).absolute()
        if not _inside(file, root.absolute()):
            return ""
        with Image.open(file) as image:
            whole = ImageOps.exif_transpose(image) if upright else image
            small = (whole.crop(face) if face else whole).convert("RGB")
            small = ImageOps.contain(small, (SIDE, SIDE))
        stream = io.BytesIO()
        small.save(stream, "JPEG", quality=QUALITY)
    except MemoryError:
        raise
    except Exception:  # whatever a decoder raises on a broken file
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _inside(file: Path, root: Path) -> bool:
    """Whether a path names something below `root` by its text; a symbolic link inside it may lead elsewhere."""
    parts: Sequence[str] = file.parts
    return ".." not in parts and file.is_relative_to(root)
