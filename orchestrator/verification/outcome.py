"""What a verification says, as values (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

Record = Mapping[str, Any]
"""What a finished result says of itself in its manifest; `identity` is there and is a dict."""

Tell = Callable[[str], None]
"""Takes a line about how far some work is."""

NO_HASHES = "made by an older version, which recorded no hashes of its files"
NO_MANIFEST = "results without a manifest: made by something else, so there is nothing to compare them with"


@dataclass(frozen=True)
class Again:
    """What came of doing a piece of work again.

    Args:
        difference: the first one from what is on disk, with its place; "" where there is none.
        same: what was found to be the same, as a clause.
        refused: why nothing was; "" where something was.
    """

    difference: str = ""
    same: str = "the same, bit for bit"
    refused: str = ""

    @property
    def words(self) -> str:
        """How it ended, as a clause."""
        return self.refused or self.difference or self.same


@dataclass(frozen=True)
class Verification:
    """How a result on disk compares with what it recorded, and perhaps with the same work done again.

    Args:
        name: of the experiment.
        record: what the result says of itself; None where it says nothing.
        inputs: what changed in its inputs.
        files: which of its files are not those that were written.
        again: the first difference from the same work done again; "" for none.
        unverified: why something could not be compared.
        remarks: what is different about versions, processor and commit, which fails nothing.
    """

    name: str
    record: Record | None = None
    inputs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    again: str = ""
    unverified: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        """Whether there is something on disk."""
        return self.record is not None or bool(self.unverified)

    @property
    def differences(self) -> tuple[str, ...]:
        """Everything that is not as it was, the most telling first."""
        return (*self.inputs, *filter(None, (self.again,)), *self.files)

    @property
    def words(self) -> str:
        """All in one line."""
        if not self.there:
            return "no result"
        return "; ".join((*self.differences, *self.unverified)) or "unchanged"

    def with_again(self, again: Again) -> Self:
        """With what came of doing the work again."""
        if again.refused:
            return replace(self, unverified=(*self.unverified, again.refused))
        return replace(self, again=again.difference)
