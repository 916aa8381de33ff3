"""Text from outside is shown as it is, and what a terminal would obey or hide is shown as an escape."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.base.text import LONGEST, one_line, visible

AWKWARD = st.text(st.sampled_from("[]:/\\@=+-;,'\"&<> 기쁨é😀\x1b\r\n\t\0\x85\u202e\u2028\ufeff\udcff")) | st.text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[old] [/y] :100: C:\\[x]", "[old] [/y] :100: C:\\[x]"),
        ("기쁨 – ½ 👩‍👧 다음\u3000칸\u00a0", "기쁨 – ½ 👩‍👧 다음\u3000칸\u00a0"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb\nc\td\0", "a\\rb\\nc\\td\\x00"),
        ("photo\u202egpj.exe", "photo\\u202egpj.exe"),
        ("\ufeffpath", "\\ufeffpath"),
        ("sad\u200b", "sad\\u200b"),
        ("\udcff.jpg", "\\udcff.jpg"),
        ("\x9b2J", "\\x9b2J"),
        ("이름\u3164\U000e0041", "이름\\u3164\\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(AWKWARD)
def test_visible_text_hides_nothing_and_changes_nothing_else(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff\u200b")
    assert visible(shown) == shown
    assert shown == "".join(map(visible, text))
    shown.encode("utf-8")


@given(
    st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"), exclude_characters="\u115f\u1160\u3164\uffa0"))
)
def test_letters_numbers_and_signs_of_all_scripts_stay(text: str) -> None:
    assert visible(text) == text


@given(AWKWARD)
def test_line_ends_stay_where_they_are_wanted(text: str) -> None:
    assert visible(text, keep="\n").split("\n") == [visible(line) for line in text.split("\n")]


@given(AWKWARD | st.text(min_size=LONGEST))
def test_a_note_is_one_line_of_a_sensible_length(text: str) -> None:
    line = one_line(text)
    assert len(line) <= LONGEST
    assert len(line.splitlines()) <= 1
    whole = text.strip()
    if whole.isprintable() and len(whole) <= LONGEST:
        assert line == whole


def test_a_traceback_becomes_one_line_with_its_beginning() -> None:
    line = one_line('Traceback (most recent call last):\n  File "a.py"\n\n' + "ValueError: bad\n" * 100)
    assert line.startswith('Traceback (most recent call last): File "a.py" ValueError: bad ValueError')
    assert line.endswith("…")
