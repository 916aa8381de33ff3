"""The FaceAPI baseline in this process: photos in, result rows out, by ONNX Runtime (no Node, no Ray)."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime

from faceapi.contract.labels import LabelledRow
from faceapi.contract.results import ShardResult
from faceapi.python.boxes import Face, best_face, faces_of
from faceapi.python.networks import Networks
from faceapi.python.photos import Photo, read_photo
from faceapi.python.resize import square_input
from faceapi.python.weights import FACE_SIZE
from trainable.data.tables import Box

CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""In the order of FaceExpressionNet's outputs."""


@dataclass(frozen=True)
class Found:
    """The face that a row means."""

    face: Face
    iou: float
    expression: str


class FaceFinder:
    """Both networks, one photo or face at a time: on a CPU batches take longer per image (docs/faceapi.md)."""

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

    def expression(self, photo: Photo, face: Face) -> str:
        """The likeliest class; the first one of equals, as in face-api."""
        height, width = photo.pixels.shape[:2]
        source = square_input(photo.pixels[face.crop(width, height)], FACE_SIZE, centred=True)
        (probabilities,) = self._expression.run(None, {"pixels": source[None]})
        return CLASSES[int(probabilities[0].argmax())]

    def find(self, box: Box, photo: Photo, threshold: float) -> Found | None:
        """The face nearest a box in stored pixels. Only its expression is looked at."""
        best = best_face(self.faces(photo, threshold), box, photo.scale)
        return Found(*best, self.expression(photo, best[0])) if best else None


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
    remarks = []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        photo = read_photo(row.file)
        if isinstance(photo, str):
            remarks.append(f"unreadable: {row.path}: {photo}\n")
            writer.writerow(_result(row, None))
        else:
            writer.writerow(_result(row, finder.find(row.box, photo, threshold)))
    return ShardResult(text.getvalue(), "".join(remarks), round(time.perf_counter() - began, 3))


def _result(row: LabelledRow, found: Found | None) -> tuple[object, ...]:
    """One line, in the columns of runbook section 6."""
    if found is None:
        return row.path, row.label, "", 0, 0, 0, 0
    correct = int(found.expression == row.label)
    return row.path, row.label, found.expression, f"{found.face.score:.6f}", 1, f"{found.iou:.6f}", correct
