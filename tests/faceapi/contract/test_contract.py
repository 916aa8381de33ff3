"""Python and Node have the same classes, columns and limits."""

from __future__ import annotations

import pytest
from installed import NODE, javascript

from faceapi.contract.labels import class_names
from faceapi.contract.photo_limits import MAX_PIXELS, MAX_SIDE
from faceapi.contract.results import RESULT_COLUMNS
from search_spaces.runbook import IOU_THRESHOLD
from trainable.data.columns import BOX_COLUMNS, FRAME_COLUMN, FRAMES, LABEL_COLUMNS, PATH_COLUMNS

CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""face-api: FACE_EXPRESSION_LABELS in src/faceExpressionNet/FaceExpressions.ts."""


def test_the_classes_are_face_apis_in_its_order() -> None:
    assert class_names() == CLASSES


@pytest.mark.node
@pytest.mark.skipif(NODE is None, reason="NOT TESTED: node is not on the PATH")
def test_node_has_the_same_constants() -> None:
    """Without npm's packages: the module imports none."""
    assert javascript("contract.mjs", "console.log(JSON.stringify({ ...m, ALIASES: undefined }));") == {
        "CLASSES": list(CLASSES),
        "IOU_THRESHOLD": IOU_THRESHOLD,
        "IMAGE_COLUMNS": list(PATH_COLUMNS),
        "LABEL_COLUMNS": list(LABEL_COLUMNS),
        "BOX_COLUMNS": list(BOX_COLUMNS),
        "FRAME_COLUMN": FRAME_COLUMN,
        "FRAMES": FRAMES,
        "RESULT_COLUMNS": list(RESULT_COLUMNS),
        "MAX_PIXELS": MAX_PIXELS,
        "MAX_SIDE": MAX_SIDE,
    }
