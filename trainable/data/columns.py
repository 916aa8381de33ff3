"""Names of the CSVs' columns, and the Unicode form in which texts are compared (runbook section 3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

PATH_COLUMNS = ("path", "image", "img", "src")
LABEL_COLUMNS = ("label_en", "orig_kor", "label")
KOREAN_FIRST = ("orig_kor", "label_en", "label")
BOX_COLUMNS = ("minX", "minY", "maxX", "maxY")
FRAME_COLUMN = "frame"
FRAMES = {"": False, "stored": False, "upright": True}
"""What the boxes' pixels are counted in, and whether that is the upright photo, its EXIF rotation applied."""

Box = tuple[float, float, float, float]
"""A face's left, top, right and bottom in pixels of the original photo."""


def nfc(text: str) -> str:
    """Labels and paths are compared in Unicode NFC: macOS and some tools write Korean decomposed."""
    return unicodedata.normalize("NFC", text)


def label_preference(path: Path) -> Sequence[str]:
    """The label columns that a CSV may have, the preferred one first: K7 is indexed by its Korean labels."""
    return KOREAN_FIRST if path.stem.endswith("_K7") else LABEL_COLUMNS
