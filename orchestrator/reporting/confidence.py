"""What the logits of a run say: how far its confidence can be believed, and where it was surest and wrong."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.figures import COLORS, FAINT, Figure, line
from orchestrator.reporting.material import Scored
from orchestrator.statistics.calibration import Calibration, fit_temperature, measure_calibration
from orchestrator.statistics.scores import NO_CLASS, numbered
from trainable.run.logits import read_logits

MISTAKES = 12
"""Thumbnails of one experiment; some 3 kB each."""
SIDE, QUALITY = 96, 70
"""Pixels of a thumbnail's longer side, and the quality of its JPEG."""


@dataclass(frozen=True)
class Confidence:
    """Calibration of a run on its test rows.

    Attributes:
        temperature: fitted on the validation rows; None without their logits.
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


def _logits(paths: ProjectPaths, item: Scored) -> np.ndarray | None:
    """The test logits (n, C) in the order of the result's rows; None where there are none, or of other rows."""
    experiment = item.result.experiment
    if not experiment.trains or not item.result.present:
        return None
    logits = read_logits(paths.run(experiment).test_logits, item.classes)
    return logits if logits is not None and len(logits) == item.result.n and np.isfinite(logits).all() else None


def measure_confidence(paths: ProjectPaths, item: Scored) -> Confidence | None:
    """How a run's confidence fits on its test rows; None without logits."""
    logits = _logits(paths, item)
    if logits is None or not len(logits):
        return None
    true = numbered(item.result.rows["true"].tolist(), item.classes)
    before = measure_calibration(logits, true)
    temperature = _temperature(paths, item)
    mended = None if temperature is None else measure_calibration(logits, true, temperature)
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
    """The wrong answers of the highest confidence, MISTAKES at most; None without logits."""
    logits = _logits(paths, item)
    if logits is None:
        return None
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    confidence = shifted.max(1) / shifted.sum(1)
    rows = item.result.rows
    wrong = np.flatnonzero((rows["true"] != rows["pred"]).to_numpy())
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    found = rows.iloc[first]
    labels = zip(found["path"], found["true"], found["pred"], confidence[first].tolist(), strict=True)
    return [Mistake(path, label, answer, sure, thumbnail(paths.root, path)) for path, label, answer, sure in labels]


def thumbnail(root: Path, path: str) -> str:
    """A small JPEG of an image below `root` as a data URI; "" where it lies elsewhere or cannot be decoded."""
    try:
        file = (root / path.replace("\\", "/")).absolute()
        if not _inside(file, root.absolute()):
            return ""
        with Image.open(file) as image:
            small = image.convert("RGB")
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
