"""The onnx engine: evaluates rows of a split in this process with ONNX Runtime, without Node and without Ray."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

from faceapi.contract.labels import LabelledRow, class_names
from faceapi.contract.results import ShardResult
from faceapi.python.boxes import Face, best_face, faces_of
from faceapi.python.networks import Networks
from faceapi.python.photo import Photo, read_photo, reason_of
from faceapi.python.resize import square_input
from faceapi.python.weights import FACE_SIZE
from trainable.data.tables import Box


@dataclass(frozen=True)
class Found:
    """The face that belongs to a row: the detection, its IoU with the row's box, and its classes' probabilities."""

    face: Face
    iou: float
    probabilities: tuple[float, ...]

    @property
    def expression(self) -> str:
        """The most probable class; of equally likely ones the first, as in face-api."""
        return class_names()[self.probabilities.index(max(self.probabilities))]


_PIXEL = Photo(np.zeros((1, 1, 3), np.uint8), 1)
"""The smallest photo: where the detector fails on it too, the networks are at fault."""


class FaceFinder:
    """Runs both networks, on one photo or face at a time: on a CPU, batches take longer per image."""

    def __init__(self, networks: Networks) -> None:
        self.input_size = networks.input_size
        self._detector, self._expression = (_session(m) for m in (networks.detector, networks.expression))

    def faces(self, photo: Photo, threshold: float) -> list[Face]:
        """Detect the photo's faces, highest score first; faces wholly outside of the photo are left out."""
        height, width = photo.pixels.shape[:2]
        source = square_input(photo.pixels, self.input_size, centred=False)
        (head,) = self._detector.run(None, {"pixels": source[None]})
        found = faces_of(head[0], width, height, self.input_size, threshold)
        return [face for face in found if face.has_crop(width, height)]

    def probabilities(self, photo: Photo, face: Face) -> tuple[float, ...]:
        """The seven classes' probabilities of a face (float32 numbers), in the order of `class_names`."""
        height, width = photo.pixels.shape[:2]
        source = square_input(photo.pixels[face.crop(width, height)], FACE_SIZE, centred=True)
        (found,) = self._expression.run(None, {"pixels": source[None]})
        return tuple(found[0].tolist())

    def find(self, box: Box, photo: Photo, threshold: float) -> Found | None:
        """Find the face with the highest IoU with `box` (pixels of the file), and classify it alone, if any."""
        best = best_face(self.faces(photo, threshold), box, photo.scale)
        return Found(*best, self.probabilities(photo, best[0])) if best else None

    def find_or_say_why(self, row: LabelledRow, threshold: float) -> Found | str | None:
        """Find a row's face, or say in one line why its photo cannot be read or evaluated.

        Raises:
            Exception: the networks fail on any photo.
        """
        photo = read_photo(row.file, upright=row.upright)
        if isinstance(photo, str):
            return photo
        try:
            return self.find(row.box, photo, threshold)
        except Exception as error:  # whatever ONNX Runtime raises: one photo must not stop its split
            self.faces(_PIXEL, threshold)
            return reason_of(error)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """Load a network on one thread, because Ray runs one task per CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


_loaded: dict[str, FaceFinder] = {}


def _finder(networks: Networks) -> FaceFinder:
    """Load the networks, or return those that this process has loaded: loading takes as long as several photos."""
    if networks.key not in _loaded:
        _loaded.clear()
        _loaded[networks.key] = FaceFinder(networks)
    return _loaded[networks.key]


def evaluate_rows(rows: Sequence[LabelledRow], threshold: float, networks: Networks) -> ShardResult:
    """Evaluate some rows of a split; the networks stay loaded for the next rows in this process.

    Args:
        rows: with labels translated to face-api's classes.
        threshold: a face counts as detected when its score is greater.

    Returns:
        A result row for each row. A photo that cannot be read or evaluated gives a row without a face and a remark.
    """
    began = time.perf_counter()
    finder = _finder(networks)
    remarks, probabilities = [], []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        found = finder.find_or_say_why(row, threshold)
        if isinstance(found, str):
            remarks.append(f"unreadable: {row.path}: {found}\n")
            found = None
        writer.writerow(_result(row, found))
        probabilities.append(found.probabilities if found else None)
    return ShardResult(text.getvalue(), "".join(remarks), round(time.perf_counter() - began, 3), probabilities)


def _result(row: LabelledRow, found: Found | None) -> tuple[object, ...]:
    """Format one result row. `correct` compares the labels only; readers filter by IoU (runbook section 8)."""
    if found is None:
        return row.path, row.label, "", 0, 0, 0, 0
    correct = int(found.expression == row.label)
    return row.path, row.label, found.expression, f"{found.face.score:.6f}", 1, f"{found.iou:.6f}", correct
