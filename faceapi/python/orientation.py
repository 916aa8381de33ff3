"""How a photo's stored pixels lie in the upright photo, as its EXIF data says (CIPA DC-008, tag 0x0112).

`faceapi/node/lib/orientation.mjs` has the same table.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TAG = 0x0112


@dataclass(frozen=True)
class Orientation:
    """The pixel in column a and row b of the upright photo is the stored one in column a and row b; with `swapped`
    sides in column b and row a. `from_right` and `from_bottom`: stored columns, or rows, are counted from their end."""

    swapped: bool = False
    from_right: bool = False
    from_bottom: bool = False

    def upright(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn stored pixels, height x width x 3."""
        turned = stored[:: -1 if self.from_bottom else 1, :: -1 if self.from_right else 1]
        return np.ascontiguousarray(turned.transpose(1, 0, 2) if self.swapped else turned)


STORED = Orientation()
_BY_VALUE = {
    2: Orientation(from_right=True),
    3: Orientation(from_right=True, from_bottom=True),
    4: Orientation(from_bottom=True),
    5: Orientation(swapped=True),
    6: Orientation(swapped=True, from_bottom=True),
    7: Orientation(swapped=True, from_right=True, from_bottom=True),
    8: Orientation(swapped=True, from_right=True),
}


def orientation_of(image: Image.Image) -> Orientation:
    """The orientation that a photo's EXIF data names; as it is stored where they name none, or cannot be read."""
    found: Any = None
    with suppress(Exception):  # Pillow raises errors of many kinds on damaged metadata, and the pixels are sound
        exif = Image.Exif()  # not `image.getexif`, which looks into XMP too: sharp does not
        exif.load(image.info["exif"])
        found = exif.get(_TAG)
    return _BY_VALUE.get(found, STORED)
