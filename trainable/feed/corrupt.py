"""How many images of a run may be corrupt: a few are black patches (runbook section 9), many are a fault (no torch)."""

from __future__ import annotations

from collections.abc import Sequence

from trainable.base.errors import TooManyCorrupt

MOST_CORRUPT = 10
"""One row of so many may have a corrupt image."""
_NAMED = 3


def check_corrupt(part: str, corrupt: Sequence[str], rows: int, *, allowed: bool = False) -> None:
    """Refuse a part of a split of which more than a tenth is corrupt: what it trains or measures would mean nothing.

    Args:
        part: train, val or test.
        corrupt: the paths of the images that cannot be decoded, one for each row that names such an image.
        rows: all rows of the part.
        allowed: the user wants to go on with whatever there is (`--allow-corrupt`).

    Raises:
        TooManyCorrupt: how many there are, the first of them, and what to do.
    """
    if allowed or len(corrupt) * MOST_CORRUPT <= rows:
        return
    names = list(dict.fromkeys(corrupt))
    first = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    raise TooManyCorrupt(
        f"{len(corrupt)} of {rows} {part} rows have an image that cannot be decoded ({first}); "
        "mend the images or leave their rows out, or go on in spite of them with --allow-corrupt"
    )
