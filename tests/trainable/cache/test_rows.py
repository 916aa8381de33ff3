"""Rows on disk: shared by processes, computed once, whole or not there, and never more than the limit."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch import Tensor
from twins import cache_at

from trainable.base.errors import CacheFull
from trainable.cache.rows import BLOCK, Rows, RowStore
from trainable.cache.segments import open_segment

ROW = 96
FORK = multiprocessing.get_context("fork")


def keys_of(start: int, stop: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, stop)]


def row_of(key: str, size: int = ROW) -> Tensor:
    """What is to be stored under `key`: uint8, (size,)."""
    return torch.tensor(list((bytes.fromhex(key) * (size // 32 + 1))[:size]), dtype=torch.uint8)


def compute(keys: list[str]) -> tuple[Tensor, list[bool]]:
    return torch.stack([row_of(key) for key in keys]), [key.endswith("0") for key in keys]


def refuse(keys: list[str]) -> tuple[Tensor, list[bool]]:
    raise AssertionError(f"{len(keys)} rows are computed again")


def store_at(cache: Path, **options: Any) -> RowStore:
    return RowStore(cache, cache / "images/some", (ROW,), torch.uint8, **options)


def assert_holds(rows: Rows, keys: list[str]) -> None:
    assert len(rows) == len(keys)
    assert torch.equal(rows.gather(torch.arange(len(keys))), compute(keys)[0])
    assert rows.flags == compute(keys)[1]


def segments(store: RowStore) -> list[Path]:
    return sorted(store.folder.glob("*.arrow"))


def in_a_process(work: Callable[[], object], *, exit_code: int = 0) -> None:
    """Run `work` where a crash is seen and not shared."""
    process = FORK.Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == exit_code


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    with cache_at(tmp_path / "cache") as folder:
        yield folder


# -- one process


def test_rows_come_as_they_were_stored_in_the_order_asked_for(cache: Path) -> None:
    keys = keys_of(0, 700)
    store = store_at(cache)
    assert store.missing(keys + keys) == keys
    assert store.fill(keys + keys[:9], compute) == 700
    assert store.fill(keys, refuse) == 0
    shuffled = random.Random(0).sample(keys, 300) + keys[:2] * 2
    for each in (store, store_at(cache)):
        rows = each.rows(shuffled)
        assert_holds(rows, shuffled)
        assert torch.equal(rows[17], row_of(shuffled[17]))
    assert rows.nbytes == 304 * ROW


def test_what_is_not_there_is_no_row(cache: Path) -> None:
    store = store_at(cache)
    store.fill(keys_of(0, 3), compute)
    with pytest.raises(KeyError, match="1 rows are not in"):
        store.rows(keys_of(2, 4))


def test_a_gathered_row_is_a_copy(cache: Path) -> None:
    """Dropout works in place."""
    store = store_at(cache)
    store.fill(keys_of(0, 3), compute)
    rows = store.rows(keys_of(0, 3))
    in_a_process(lambda: rows.gather(torch.tensor([1])).zero_() is None)  # a file cannot be written to through its map
    rows.gather(torch.tensor([1])).zero_()
    assert_holds(rows, keys_of(0, 3))


def test_progress_counts_every_missing_row_once(cache: Path) -> None:
    store, counted = store_at(cache), []
    store.fill(keys_of(0, 10), compute)
    store.fill(keys_of(5, 1500), compute, counted.append)
    assert sum(counted) == 1490


def test_an_error_while_computing_leaves_the_rest_to_the_next(cache: Path) -> None:
    def fail(keys: list[str]) -> tuple[Tensor, list[bool]]:
        raise ValueError("no")

    store = store_at(cache)
    with pytest.raises(ValueError, match="no"):
        store.fill(keys_of(0, 10), fail)
    assert store_at(cache).fill(keys_of(0, 10), compute) == 10


# -- several processes


def test_processes_that_miss_the_same_rows_share_the_work_and_compute_none_twice(cache: Path, tmp_path: Path) -> None:
    """Six processes, three with the same rows and three with some of them; none goes on before three compute."""
    ranges = [(0, 3000)] * 3 + [(0, 1500), (1000, 2500), (2500, 4000)]

    at_work = [FORK.Event() for _ in ranges]

    def together(number: int, keys: list[str]) -> tuple[Tensor, list[bool]]:
        at_work[number].set()
        deadline = time.monotonic() + 300
        while sum(event.is_set() for event in at_work) < 3:
            assert time.monotonic() < deadline, "the others have nothing to do"
            time.sleep(0.001)
        return compute(keys)

    def work(number: int, start: int, stop: int) -> None:
        counted: list[int] = []
        store, keys = store_at(cache), keys_of(start, stop)
        random.Random(number).shuffle(keys)
        computed = store.fill(keys, partial(together, number), counted.append)
        assert computed <= sum(counted) <= stop - start
        assert_holds(store.rows(keys), keys)
        (tmp_path / f"{number}.done").write_text(str(computed))

    processes = [FORK.Process(target=work, args=(number, *both)) for number, both in enumerate(ranges)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    assert [process.exitcode for process in processes] == [0] * 6
    computed = [int((tmp_path / f"{number}.done").read_text()) for number in range(6)]
    assert sum(computed) == 4000
    assert sum(count > 0 for count in computed) > 2
    stored = [key for path in segments(store_at(cache)) for key in _opened(path)]
    assert sorted(stored) == sorted(keys_of(0, 4000))


def _opened(path: Path) -> list[str]:
    found = open_segment(path, (ROW,), torch.uint8)
    assert found is not None
    return found.keys


def test_a_killed_process_leaves_nothing_half_written_and_the_next_one_goes_on(cache: Path) -> None:
    """Killed as soon as it is seen to write, again and again until it was killed before the file was whole."""
    size, keys = 2**17, keys_of(0, 3 * BLOCK)

    def store() -> RowStore:
        return RowStore(cache, cache / "images/large", (size,), torch.uint8)

    def cheap(keys: list[str]) -> tuple[Tensor, list[bool]]:
        return torch.zeros(len(keys), size, dtype=torch.uint8), [False] * len(keys)

    while not list(cache.rglob("*.tmp")):
        shutil.rmtree(cache, ignore_errors=True)
        process = FORK.Process(target=lambda: store().fill(keys, cheap) and None)
        process.start()
        while process.is_alive() and not list(cache.rglob("*.tmp")):
            time.sleep(0.001)
        process.kill()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL)
        for path in store().folder.glob("*.arrow"):
            assert open_segment(path, (size,), torch.uint8) is not None
    store().fill(keys, cheap)
    assert store().missing(keys) == []


def test_what_killed_processes_left_goes_when_room_is_made(cache: Path) -> None:
    store = store_at(cache)
    store.folder.mkdir(parents=True)
    old, new = (store.folder / f".rows.arrow.{number:032}.tmp" for number in range(2))
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (0, 0))
    store.fill(keys_of(0, 3), compute)
    assert (old.exists(), new.exists()) == (False, True)


# -- files that are not what they should be

LENGTHS = (0, 1, 7, 8, 100, 0.3, 0.5, 0.9, 0.99, -300, -100, -10, -9, -1)


def broken(data: bytes) -> Iterator[bytes]:
    """A segment's content, broken in many ways."""
    for length in LENGTHS:
        yield data[: int(length * len(data)) if isinstance(length, float) else length]
    middle = len(data) // 2
    yield data[:middle] + data[middle + 4096 :]  # the end is there, but the body is short
    yield data[4096:]
    yield b"ARROW1\0\0" + bytes(len(data)) + b"ARROW1"
    yield bytes(len(data))
    yield random.Random(0).randbytes(len(data))
    yield data + b"more"


def test_a_segment_that_is_not_whole_is_computed_again(cache: Path) -> None:
    keys = keys_of(0, 300)
    store = store_at(cache)
    store.fill(keys, compute)
    whole = {path: path.read_bytes() for path in segments(store)}

    def work() -> None:
        path, data = next(iter(whole.items()))
        lost = set(_opened(path))
        for content in broken(data):
            path.write_bytes(content)
            again = store_at(cache)
            assert set(again.missing(keys)) == lost
            assert again.fill(keys, compute) == len(lost)
            assert_holds(again.rows(keys), keys)
            for added in set(segments(again)) - set(whole):
                added.unlink()

    in_a_process(work)


def test_a_changed_byte_anywhere_crashes_nothing(cache: Path) -> None:
    """A body has no checksum; but what tells where it lies is checked, and never leads out of the file."""
    store = store_at(cache)
    store.fill(keys_of(0, 20), compute)
    path = segments(store)[0]
    data = path.read_bytes()

    def work() -> None:
        for place in range(0, len(data), 5):
            changed = bytearray(data)
            changed[place] ^= 0xFF
            path.write_bytes(changed)
            found = open_segment(path, (ROW,), torch.uint8)
            if found is not None:
                assert len(found.keys) == len(found.flags) == len(found.rows)
                assert found.rows.sum() >= 0

    in_a_process(work)


def test_rows_of_another_shape_are_not_taken(cache: Path) -> None:
    store_at(cache).fill(keys_of(0, 3), compute)
    other = RowStore(cache, cache / "images/some", (ROW + 1,), torch.uint8)
    assert other.missing(keys_of(0, 3)) == keys_of(0, 3)
    table = pa.table({"key": keys_of(0, 3)})
    with pa.OSFile(str(cache / "images/some/x.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    assert store_at(cache).missing(keys_of(0, 3)) == []


def test_rows_stay_readable_when_their_files_are_deleted(cache: Path) -> None:
    keys = keys_of(0, 900)
    store = store_at(cache)
    store.fill(keys, compute)
    rows = store_at(cache).rows(keys)
    for path in segments(store):
        path.unlink()
    assert_holds(rows, keys)
    assert_holds(store.rows(keys), keys)
    assert store_at(cache).missing(keys) == keys


# -- room


def limited(cache: Path, rows: float) -> Any:
    """A cache with room for about that many rows (a segment's frame takes some as well)."""
    return cache_at(cache, rows * ROW / 1e9)


def test_what_was_used_longest_ago_makes_room(cache: Path) -> None:
    """Also within one folder, and for a store that has looked at all there is."""
    first, second, third = keys_of(0, 200), keys_of(200, 400), keys_of(400, 600)
    for keys in (first, second):
        store_at(cache).fill(keys, compute)
    for path in segments(store_at(cache)):
        os.utime(path, (1000 if set(_opened(path)) & set(second) else 2000,) * 2)
    size = sum(path.stat().st_size for path in segments(store_at(cache)))
    with cache_at(cache, (size + 100 * ROW) / 1e9):
        store = store_at(cache)
        store.fill(third, compute)
    assert store.missing(second) == second, "the disk is not free while the rows are mapped"
    left = store_at(cache)
    assert left.missing(first + third) == []
    assert left.missing(second) == second


def test_taking_rows_makes_their_segments_young_and_no_others(cache: Path) -> None:
    first, second = keys_of(0, 5), keys_of(5, 9)
    store = store_at(cache)
    for keys in (first, second):
        store.fill(keys, compute)
    for path in segments(store):
        os.utime(path, (1000, 1000))
    store.rows(second)
    young = {key for path in segments(store) if path.stat().st_mtime > 1000 for key in _opened(path)}
    assert young == set(second)


def test_what_is_in_use_makes_no_room(cache: Path) -> None:
    """By whichever store; and once it is not in use any more, it does."""
    used, more = keys_of(0, 100), keys_of(100, 200)
    pixels = store_at(cache)
    pixels.fill(used, compute)
    rows = pixels.rows(used)
    features = RowStore(cache, cache / "features/some", (ROW,), torch.uint8)
    with limited(cache, 250):
        with pytest.raises(CacheFull, match=r"GB do not fit into the cache .*/cache$"):
            features.fill(more, refuse)
        assert store_at(cache).missing(used) == []
        assert_holds(rows, used)
        del rows
        features.fill(more, compute)
        assert pixels.missing(used) == used, "the disk is not free while the rows are mapped"
    assert_holds(features.rows(more), more)


def test_a_store_keeps_the_wanted_rows_that_are_there(cache: Path) -> None:
    keys = keys_of(0, 200)
    store_at(cache).fill(keys[:100], compute)
    with limited(cache, 150), pytest.raises(CacheFull):
        store_at(cache).fill(keys, refuse)
    assert store_at(cache).missing(keys) == keys[100:]


def test_what_can_never_fit_costs_nobody_his_rows(cache: Path) -> None:
    store_at(cache).fill(keys_of(0, 100), compute)
    with limited(cache, 300), pytest.raises(CacheFull):
        store_at(cache).fill(keys_of(100, 1000), refuse)
    assert store_at(cache).missing(keys_of(0, 100)) == []


def test_no_room_at_all_is_a_way_to_do_without_a_cache(cache: Path) -> None:
    with cache_at(cache, 0), pytest.raises(CacheFull):
        store_at(cache).fill(keys_of(0, 1), refuse)


def test_a_disk_with_less_room_than_the_limit_counts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, since a test cannot fill the disk."""
    usage = type("Usage", (), {"free": 99 * ROW})
    monkeypatch.setattr("trainable.cache.folder.shutil.disk_usage", lambda path: usage)
    with pytest.raises(CacheFull):
        store_at(cache).fill(keys_of(0, 100), refuse)
    assert store_at(cache).fill(keys_of(0, 90), compute) == 90


def test_a_write_that_fails_is_a_full_cache_and_leaves_no_piece(cache: Path) -> None:
    """A limit on file sizes stands for a full disk."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(CacheFull, match="cannot be used"):
            store_at(cache).fill(keys_of(0, 300), compute)

    in_a_process(work)
    assert [path for path in cache.rglob("*") if path.suffix in (".arrow", ".tmp")] == []


@pytest.mark.parametrize("place", ["a file", "a file/below", "x" * 300], ids=["file", "below a file", "too long"])
def test_no_place_for_a_cache_is_a_full_cache(place: str, tmp_path: Path) -> None:
    """And no crash. Root, as whom tests may run, may write into any folder; so a file is in the way."""
    (tmp_path / "a file").write_text("mine")
    with cache_at(tmp_path / place) as cache, pytest.raises(CacheFull, match="cannot be used"):
        store_at(cache).fill(keys_of(0, 3), refuse)
    assert (tmp_path / "a file").read_text() == "mine"


def test_the_folder_says_what_its_rows_are(cache: Path) -> None:
    """Only once there are some, and again after it was deleted."""
    store = store_at(cache, about={"stage": 1})
    store.missing(keys_of(0, 3))
    assert not store.folder.exists()
    for start in (0, 3):
        store.fill(keys_of(start, start + 3), compute)
        assert (store.folder / "about.json").read_text() == '{\n  "stage": 1\n}\n'
        (store.folder / "about.json").unlink()
