"""What is written to the terminal besides tables."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from rich.console import Console
from rich.markup import escape

SHOW_CURSOR = b"\x1b[?25h"


def say(console: Console, text: str) -> None:
    """Print a sentence literally: without markup, colours or line breaks of rich's."""
    console.print(escape(text), highlight=False, soft_wrap=True)


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
