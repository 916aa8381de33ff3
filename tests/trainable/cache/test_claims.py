"""Who waits for another process says so, and waits for none that is dead or stands still."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from torch import Tensor

from trainable.base.errors import ExperimentError
from trainable.cache.claims import _DEAD, Claims, Patience
from trainable.cache.folder import clear
from trainable.cache.hashes import ImageHashes, file_digest
from trainable.cache.rows import RowStore

DIGITS = "0123456789abcdef"
KEYS = [digit * 64 for digit in DIGITS]
HERE = socket.gethostname()
IMPATIENT = Patience(silent=0.1, still=0.6, gone=0.6)

HOLD = """
import os, sys
from pathlib import Path
from trainable.cache.claims import Claims, Patience

with Claims(Path(sys.argv[1]), Patience()) as claims:
    assert all(claims.take(digit) for digit in sys.argv[2])
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _nobody_is_dead() -> Iterator[None]:
    yield
    _DEAD.clear()


def store_at(root: Path, patience: Patience = IMPATIENT) -> RowStore:
    return RowStore(root, root / "images/some", (8,), torch.uint8, patience=patience)


def compute(keys: list[str]) -> tuple[Tensor, list[bool]]:
    return torch.zeros(len(keys), 8, dtype=torch.uint8), [False] * len(keys)


@contextmanager
def held(store: RowStore, digits: str = DIGITS) -> Iterator[subprocess.Popen[str]]:
    """The locks of these digits, in another process."""
    store.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(store.folder), digits]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{process.pid}\n"
        try:
            yield process
        finally:
            process.kill()


def note(store: RowStore, digit: str, host: str, pid: int) -> None:
    (store.folder / f"{digit}.holder").write_text(json.dumps({"host": host, "pid": pid}))


def ended() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


# -- somebody who does not go on


def test_a_lock_of_another_host_that_stands_still_is_spoken_of_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at(tmp_path)
    with held(store):
        for digit in DIGITS:
            note(store, digit, "node7", 4711)
        assert store.fill(KEYS, compute) == len(KEYS)
    assert store.missing(KEYS) == []
    assert f"{store.folder}: waiting " in caplog.messages[0]
    assert "process 4711 on node7" in caplog.messages[0]
    assert any(text.endswith("process 4711 on node7 stands still; computing its rows here, too")
               for text in caplog.messages)  # fmt: skip


def test_a_lock_whose_holder_on_this_host_is_gone_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its lock lives on where a child of it has the file open, or the file system does not notice."""
    store, pid = store_at(tmp_path, Patience(still=10_000, gone=0.6)), ended()
    with held(store):
        for digit in DIGITS:
            note(store, digit, HERE, pid)
        assert store.fill(KEYS, compute) == len(KEYS)
    assert f"process {pid} on {HERE} stands still" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"host": 5}', "\0"])
def test_a_lock_without_a_note_that_can_be_read_is_passed_over(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As earlier versions left it."""
    store = store_at(tmp_path)
    store.folder.mkdir(parents=True)
    (store.folder / "0.holder").write_text(text)
    with (store.folder / "0.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.fill(KEYS[:1], compute) == 1
    assert "stands still" in caplog.text


def test_who_was_waited_for_in_vain_is_not_waited_for_again(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    with held(store), Claims(store.folder, IMPATIENT) as claims:
        for digit in DIGITS:
            note(store, digit, "node7", 4711)
        waits: list[int] = []
        for digit in DIGITS:
            waits.append(0)
            claims.wait(digit, lambda: waits.append(waits.pop() + 1))
    assert waits[0] > 1
    assert not any(waits[1:])


# -- somebody who goes on


def test_a_living_holder_is_waited_for_and_nothing_is_computed_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, other = store_at(tmp_path, Patience(silent=0.1, still=10_000)), store_at(tmp_path)
    with held(store) as process:
        other._write(KEYS, *compute(KEYS))  # what the holder computes

        def waiting(rows: int) -> None:
            if rows == 0 and caplog.messages:  # it has been said, so it may end
                process.kill()

        store.missing(KEYS)
        store._index = type(store._index)()  # as it was before the holder's rows came
        store._paths.clear()
        store._chunks.clear()
        assert store.fill([*KEYS, "0" * 63 + "1"], compute, waiting) == 1
    assert f"process {process.pid} on {HERE}" in caplog.messages[0]
    assert "stands still" not in caplog.text


def test_a_holder_shows_that_it_goes_on(tmp_path: Path) -> None:
    with Claims(tmp_path, IMPATIENT) as claims:
        assert claims.take("0")
        os.utime(tmp_path / "0.holder", ns=(1, 1))
        first = claims._holder("0")
        claims.beat()
        second = claims._holder("0")
    assert first[0] == second[0] == f"{os.getpid()}@{HERE}"
    assert first[1] != second[1]
    assert not list(tmp_path.glob("*.holder")), "who lets go takes the note along"


def test_blocks_are_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainable.cache.rows.BLOCK", 2)
    store, stamps = store_at(tmp_path), []

    def slow(keys: list[str]) -> tuple[Tensor, list[bool]]:
        file = store.folder / "0.holder"
        stamps.append(file.stat().st_mtime_ns)
        os.utime(file, ns=(1, 1))
        return compute(keys)

    assert store.fill([f"0{number:063x}" for number in range(6)], slow) == 6
    assert len(stamps) == 3
    assert 1 not in stamps


def test_what_ends_the_waiting_ends_it(tmp_path: Path) -> None:
    """As the preload does where the user wants the run to end."""

    def stop(rows: int) -> None:
        raise ExperimentError("stopped")

    store = store_at(tmp_path, Patience(still=10_000))
    with held(store), pytest.raises(ExperimentError, match="stopped"):
        store.fill(KEYS, compute, stop)


def test_a_command_says_it_on_stderr(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    script = """
import sys
from pathlib import Path
from trainable.cache.claims import Claims, Patience
with Claims(Path(sys.argv[1]), Patience(silent=0.1, still=0.6)) as claims:
    claims.wait("0", lambda: None)
"""
    with held(store, "0") as process:
        line = [sys.executable, "-c", script, str(store.folder)]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert f"process {process.pid} on {HERE}" in done.stderr
    assert done.stdout == ""


def test_clearing_takes_the_notes_of_dead_holders_along(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    store.fill(KEYS, compute)
    note(store, "0", "node7", 4711)
    clear(tmp_path)
    assert not store.folder.exists()


# -- the remembered hashes


def test_hashes_that_another_process_holds_are_waited_for_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, image = tmp_path / "hashes.sqlite", tmp_path / "a.jpg"
    image.write_bytes(b"content")
    ImageHashes(cache).of([image])
    hashes = ImageHashes(cache, busy_seconds=0.05)
    with closing(sqlite3.connect(cache, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(3):
            assert hashes.of([image]) == {image: file_digest(image)}
    assert caplog.record_tuples == [
        ("emosweep", logging.WARNING,
         f"{cache}: another process holds it; files are hashed again, and not remembered"),
    ]  # fmt: skip


LIMITED = """
import resource, sys
from pathlib import Path
from trainable.cache.hashes import ImageHashes
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
print(len(set(ImageHashes(Path(sys.argv[1])).of(Path(sys.argv[2]).iterdir()).values())))
"""


@pytest.mark.parametrize("most", [0, 100, 5000, 20_000])
def test_no_room_for_hashes_costs_nothing_but_time(most: int, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(300):
        (images / f"{number}.jpg").write_text(str(number))
    line = [sys.executable, "-c", LIMITED, str(tmp_path / "hashes.sqlite"), str(images), str(most)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout == "300\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b"no database" * 100),
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["text", "cut", "a folder"],
)
def test_broken_hashes_cost_nothing_but_time(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    cache, image = tmp_path / "hashes.sqlite", tmp_path / "a.jpg"
    image.write_bytes(b"content")
    ImageHashes(cache).of([image])
    spoil(cache)
    for _ in range(2):
        assert ImageHashes(cache).of([image]) == {image: file_digest(image)}


@pytest.mark.skipif(sys.platform == "darwin", reason="this disk takes text only")
def test_a_folder_whose_name_is_no_text_costs_nothing_but_time(tmp_path: Path) -> None:
    image = tmp_path / os.fsdecode(b"\xff\xfe") / "a.jpg"
    image.parent.mkdir()
    image.write_bytes(b"content")
    for _ in range(2):
        assert ImageHashes(tmp_path / "hashes.sqlite").of([image]) == {image: file_digest(image)}


def test_a_lock_that_is_free_is_taken(tmp_path: Path) -> None:
    (tmp_path / "0.holder").write_text(json.dumps({"host": "node7", "pid": 4711}))  # of one that was killed
    with Claims(tmp_path, IMPATIENT) as claims:
        assert claims.take("0")
        assert claims._holder("0")[0] == f"{os.getpid()}@{HERE}"
        with pytest.raises(TimeoutError):
            FileLock(tmp_path / "0.lock", timeout=0).acquire()
    FileLock(tmp_path / "0.lock", timeout=0).acquire().lock.release()
