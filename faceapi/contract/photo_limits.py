"""The sizes of photos that both evaluators accept; faceapi/node/lib/contract.mjs has the same numbers."""

from __future__ import annotations

MAX_PIXELS = 0x3FFF**2
"""A photo with more pixels is unreadable. The number is sharp's own limit."""
MAX_SIDE = 6000
"""Of a photo with a longer side, only every second, third, ... pixel is taken.

The Node evaluator has no memory for more; face-api's own resizing looks at no more than four pixels of a photo for one
pixel of its input.
"""
