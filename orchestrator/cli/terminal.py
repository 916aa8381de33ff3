"""The terminal of all commands: text appears on it as it is, and nothing that happens to it ends a run."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from trainable.base.streams import unbreakable
from trainable.base.text import visible

TABLE_COLUMNS = 80
SHOW_CURSOR = b"\x1b[?25h"


class Terminal(Console):
    """A console without rich's own languages: `[old]` is no markup, `:100:` no emoji, and `\\x1b` is four characters.

    Colours are given as `styled` texts.

    Attributes:
        columns: the terminal's own width. Tables are made for 80 columns; in fewer, rich would leave figures out, where
            a terminal goes on in the next line.
    """

    def __init__(self, file: TextIO | None = None, **more: Any) -> None:
        file = None if file is None else unbreakable(file)
        super().__init__(file=file, markup=False, emoji=False, highlight=False, **more)
        self.columns = self.width or TABLE_COLUMNS
        if "width" not in more and self.width < TABLE_COLUMNS:
            self.width = TABLE_COLUMNS

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich calls with every string that is printed, in tables and elsewhere."""
        return super().render_str(visible(text, keep="\n"), **options)


def styled(*parts: str | tuple[str, str]) -> Text:
    """One line of texts, and of pairs of a text and its style, all of them shown literally."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((visible(text), style) for text, style in pairs))


def say(console: Console, text: str | Text) -> None:
    """Print a sentence literally, in one line however long it is."""
    console.print(styled(text) if isinstance(text, str) else text, soft_wrap=True)


def restore_terminal() -> None:
    """Show the cursor, which rich's progress bars hide, for a process that ends without taking the bars down.

    The terminal is opened by its own name, since a run sends the standard streams to its log. It may be called from a
    signal handler. Without a terminal nothing happens.
    """
    with suppress(OSError):
        terminal = os.open("CONOUT$" if sys.platform == "win32" else "/dev/tty", os.O_WRONLY)
        try:
            os.write(terminal, SHOW_CURSOR)
        finally:
            os.close(terminal)
