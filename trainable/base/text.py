"""Text from outside (labels, paths, what a library says) as a terminal or a page may show it."""

from __future__ import annotations

import unicodedata

LONGEST = 300
"""Characters of a note that are shown; the log has all of it."""

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of control and format characters, lone surrogates, and separators of lines and paragraphs."""
_BLANKS = "\u115f\u1160\u3164\uffa0"
"""Letters that nobody sees: Hangul's fillers."""
_JOINERS = "\u200c\u200d"
"""Format characters that emoji and several scripts are written with."""


def visible(text: str, keep: str = "") -> str:
    """Write characters that a terminal would obey, or that nobody would see, as escapes such as `\\x1b`.

    Args:
        keep: characters that stay as they are, such as the line ends of a text of several lines.
    """
    return "".join(_escape(c) if _is_hidden(c) and c not in keep else c for c in text)


def one_line(text: str, longest: int = LONGEST) -> str:
    """Join the lines of a text, and cut off what is longer than `longest` characters; the rest is `visible`."""
    line = visible(" ".join(filter(None, (part.strip() for part in text.splitlines()))))
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _is_hidden(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    if character in _JOINERS:
        return False
    category = unicodedata.category(character)
    reserved = category == "Cn" and "\U000e0000" <= character <= "\U000e0fff"  # for more of the same
    return reserved or character in _BLANKS or category in _HIDDEN


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
