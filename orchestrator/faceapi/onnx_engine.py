"""The FaceAPI baseline in this process: photos in, result rows out, by ONNX Runtime (no Node, no Ray)."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from orchestrator.faceapi.boxes import Face, best_face, faces_of
from orchestrator.faceapi.graphs import FACE_SIZE
from orchestrator.faceapi.networks import Networks
from orchestrator.faceapi.node import ShardResult
from orchestrator.faceapi.photos import Photo, read_photo
from orchestrator.faceapi.resize import square_input
from orchestrator.faceapi.setup import LabelledRow
from trainable.tables import Box

CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""In the order of FaceExpressionNet's outputs."""


@dataclass(frozen=True)
class Found:
    """The face that a row means. `crop` is its expression net's input, 3 x 112 x 112 float32."""

    face: Face
    iou: float
    crop: NDArray[np.float32]


class FaceFinder:
    """Both networks on one thread each call."""

    def __init__(self, networks: Networks) -> None:
        self.input_size = networks.input_size
        self._detector, self._expression = (_session(m) for m in (networks.detector, networks.expression))

    def faces(self, photo: Photo, threshold: float) -> list[Face]:
        """The photo's faces, surest first; without those that lie outside of it altogether."""
        height, width = photo.pixels.shape[:2]
        source = square_input(photo.pixels, self.input_size, centred=False)
        (head,) = self._detector.run(None, {"pixels": source[None]})
        found = faces_of(head[0], width, height, self.input_size, threshold)
        return [face for face in found if face.has_crop(width, height)]

    def find(self, box: Box, photo: Photo, threshold: float) -> Found | None:
        """The face nearest a box in stored pixels."""
        best = best_face(self.faces(photo, threshold), box, photo.scale)
        if best is None:
            return None
        face, overlap = best
        height, width = photo.pixels.shape[:2]
        crop = photo.pixels[face.crop(width, height)]
        return Found(face, overlap, square_input(crop, FACE_SIZE, centred=True))

    def expressions(self, crops: Sequence[NDArray[np.float32]]) -> list[str]:
        """The likeliest class of each crop."""
        if not crops:
            return []
        (probabilities,) = self._expression.run(None, {"pixels": np.stack(crops)})
        return [CLASSES[index] for index in probabilities.argmax(axis=1)]


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """On one thread: Ray runs a task per CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


_loaded: dict[str, FaceFinder] = {}


def _finder(networks: Networks) -> FaceFinder:
    """This process' finder for these networks; loading them takes as long as several photos."""
    if networks.key not in _loaded:
        _loaded.clear()
        _loaded[networks.key] = FaceFinder(networks)
    return _loaded[networks.key]


def evaluate_rows(rows: Sequence[LabelledRow], threshold: float, networks: Networks) -> ShardResult:
    """Evaluate some rows of a split; the networks stay loaded for the process' next rows.

    An unreadable photo is a row without a face and a remark.
    """
    began = time.perf_counter()
    finder = _finder(networks)
    found: list[Found | None] = []
    remarks = []
    for row in rows:
        photo = read_photo(row.file)
        if isinstance(photo, str):
            remarks.append(f"unreadable: {row.path}: {photo}\n")
            found.append(None)
        else:
            found.append(finder.find(row.box, photo, threshold))
    expressions = iter(finder.expressions([face.crop for face in found if face]))
    lines = [_result(row, face, next(expressions) if face else "") for row, face in zip(rows, found, strict=True)]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return ShardResult(text.getvalue(), "".join(remarks), round(time.perf_counter() - began, 3))


def _result(row: LabelledRow, found: Found | None, expression: str) -> tuple[object, ...]:
    """One line, in the columns of runbook section 6."""
    if found is None:
        return row.path, row.label, "", 0, 0, 0, 0
    correct = int(expression == row.label)
    return row.path, row.label, expression, f"{found.face.score:.6f}", 1, f"{found.iou:.6f}", correct
