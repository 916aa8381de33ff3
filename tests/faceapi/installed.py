"""Node, face-api's package and its weights, where they are installed, and the reason for a skip where they are not."""

from __future__ import annotations

import shutil

import pytest

from faceapi.node.process import NODE_DIR

PACKAGE = NODE_DIR / "node_modules" / "@vladmandic" / "face-api"
MODELS = PACKAGE / "model"
PHOTOS = PACKAGE / "demo"
"""Six photos of people, which come with the package."""
NODE = shutil.which("node")
_HOW = f"NOT TESTED: needs Node 18 or newer on the PATH and: npm ci --ignore-scripts --prefix {NODE_DIR}"

needs_node = pytest.mark.skipif(NODE is None or not MODELS.is_dir(), reason=_HOW)
needs_weights = pytest.mark.skipif(not MODELS.is_dir(), reason=_HOW)
