"""Node, face-api's package and its weights, where they are installed, and the reason for a skip where they are not."""

from __future__ import annotations

import json
import shutil
import subprocess

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


def javascript(module: str, body: str) -> object:
    """Run JavaScript with the evaluator's module lib/`module` as `m`; returns the JSON that it prints."""
    script = f'import * as m from "{(NODE_DIR / "lib" / module).as_uri()}";\n{body}'
    command = [str(NODE), "--input-type=module", "-e", script]
    done = subprocess.run(command, cwd=NODE_DIR, capture_output=True, encoding="utf-8", timeout=60, check=True)
    return json.loads(done.stdout)
