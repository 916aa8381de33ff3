"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainable.base.files import read_json, replacing, write_csv, write_json, write_text


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    """The new file takes the name of the old one and leaves its content alone: a copy into place would not."""
    path = tmp_path / "table.csv"
    write_csv(path, ("a", "b"), [(1, None)] * 100_000)  # more than a reader buffers
    with path.open() as reader:
        first = reader.readline()
        write_text(path, "new\n")
        assert first + reader.read() == "a,b\n" + "1,\n" * 100_000
    assert path.read_text() == "new\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"macro_f1": 0.5})
    with pytest.raises(RuntimeError, match="in the middle"), replacing(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == path.parent, "a rename works within one file system only"
        raise RuntimeError("in the middle")
    assert read_json(path) == {"macro_f1": 0.5}
    assert list(tmp_path.iterdir()) == [path]
