"""face-api's weights for the tests that look for them and evaluate nothing."""

from __future__ import annotations

import pytest

from faceapi.node.process import NODE_DIR

PACKAGE = NODE_DIR / "node_modules/@vladmandic/face-api/model"
needs_models = pytest.mark.skipif(not PACKAGE.is_dir(), reason="needs `npm ci` in faceapi/node for face-api's weights")
