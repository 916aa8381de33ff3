"""The index of keys, against a dict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trainable.cache.index import KeyIndex, _packed, unpacked

KEYS = st.text("0123456789abcdef", min_size=1, max_size=4)
SEGMENTS = st.lists(st.lists(st.tuples(KEYS, st.booleans()), max_size=30), max_size=8)


def found(index: KeyIndex, keys: list[str]) -> list[tuple[int, int, bool] | None]:
    places = index.find(keys)
    rows = zip(*(column.tolist() for column in unpacked(places)), strict=True)
    return [None if place < 0 else row for place, row in zip(places.tolist(), rows, strict=True)]


@given(
    segments=SEGMENTS, asked=st.lists(KEYS, max_size=20), gone=st.sets(st.integers(0, 7)), pending=st.integers(0, 40)
)
def test_it_finds_what_a_dict_would_find(
    segments: list[list[tuple[str, bool]]], asked: list[str], gone: set[int], pending: int
) -> None:
    """A key keeps its first place; it may wait or be sorted in; segments may be dropped."""
    index, expected = KeyIndex(pending), {}
    for chunk, rows in enumerate(segments):
        index.add([key for key, _ in rows], chunk, [flag for _, flag in rows])
        for row, (key, flag) in enumerate(rows):
            expected.setdefault(key, (chunk, row, flag))
    asked = [*asked, *expected]
    assert found(index, asked) == [expected.get(key) for key in asked]
    index.drop(gone)
    left = {key: place for key, place in expected.items() if place[0] not in gone}
    assert found(index, asked) == [left.get(key) for key in asked]


def test_large_numbers_of_segments_and_rows_have_room() -> None:
    assert _packed(2**20, 2**31 - 1, True) < 2**63
    index = KeyIndex()
    index.add(["a"], 2**20, [True])
    assert found(index, ["a", "b"]) == [(2**20, 0, True), None]
