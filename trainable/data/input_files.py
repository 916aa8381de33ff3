"""Where the content of a run's files comes from: this machine's disk, unless a node of a cluster sees none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from trainable.data.images import read_image

Contents = Callable[[int], bytes]
"""The content of one file by its place among those that were asked for."""


class InputFiles:
    """The images and the weights that a run reads, on this machine's disk.

    `local` says whether any process may read them; others are asked for by this process alone.
    """

    local = True

    def images(self, digests: Sequence[str], files: Sequence[Path]) -> Contents:
        """The contents of `files`, each read when it is asked for; several threads may ask.

        Args:
            digests: SHA-256 of each of them, in hex; a reader of this disk can do without.
        """
        return lambda place: read_image(files[place])

    def changed(self, digest: str) -> None:
        """The file of this digest has another content now; whoever remembers the digest should forget it."""

    def weights(self, weights: str) -> str:
        """What to load for `weights` of a configuration: its names as they are, and the path of a file."""
        return weights


ON_DISK = InputFiles()
