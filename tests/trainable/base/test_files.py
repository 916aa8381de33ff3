"""Files appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
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


NOBODY = 65534
WRITE = """
import os, sys
from pathlib import Path
from trainable.base.files import write_json
if not os.getuid():
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
try:
    write_json(Path(sys.argv[1]), [1])
except OSError as error:
    print(error.filename, error.strerror, sep=": ")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="folders have no permissions here")
def test_a_folder_that_may_only_be_read_is_named_and_not_the_temporary_file() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to other users
        Path(name).chmod(0o555)
        line = [sys.executable, "-c", WRITE, f"{name}/metrics.json", str(NOBODY)]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert done.stdout == f"{name}: Permission denied (metrics.json: 0 of 8 bytes were written)\n"
