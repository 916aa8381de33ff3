"""A terminal as far as rich's live displays need one."""

from __future__ import annotations

import re

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[(?P<arguments>[?0-9;]*)(?P<command>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)


class Screen:
    """What is on a terminal and above it, line by line, after the text that was fed to it.

    As on a real one, a line that is too long goes on in the next, and the cursor never leaves the last `height` lines.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cursor_shown = True
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        return ["".join(line).rstrip() for line in self._lines]

    def feed(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            if token["text"] is not None:
                self._put(token["text"])
            else:
                self._obey(token["command"], token["arguments"])

    def _obey(self, command: str, arguments: str) -> None:
        if command == "A":
            self._row = max(0, len(self._lines) - self.height, self._row - int(arguments or 1))
        elif command == "K":
            assert arguments == "2", arguments
            self._lines[self._row] = []
        elif command in "hl":
            assert arguments == "?25", arguments
            self.cursor_shown = command == "h"
        else:
            assert command == "m", f"a command that this screen does not know: {command}"

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row, self._column = self._row + 1, 0
            self._lines += [[]] * (self._row == len(self._lines))
        else:
            width = cell_len(character)
            if self._column + width > self.width:
                self._put("\n")
            line = self._lines[self._row]
            line += [" "] * (self._column - len(line))
            line[self._column : self._column + width] = [character, *[""] * (width - 1)]
            self._column += width
