"""Whether the disks have room: what a run needs, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.planning.room import cache_remark, check_output_room, disk_free, size_text
from trainable.base.errors import ConfigError

MB = 1_000_000


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))


def test_the_output_folder_needs_room_for_results_and_for_the_checkpoints_of_what_runs(tmp_path: Path) -> None:
    need = 5 * 10 * MB + 2 * 90 * MB
    check_output_room(tmp_path, runs=5, at_once=2, free=lambda folder: need)
    with pytest.raises(ConfigError) as caught:
        check_output_room(tmp_path, runs=5, at_once=2, free=lambda folder: need - 1)
    assert str(caught.value) == (
        f"--output-root {tmp_path}: its disk has 230 MB free, but results and checkpoints of 5 runs take about 230 MB"
    )


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert disk_free(tmp_path / "a" / "b") > 0
    assert disk_free(Path("nosuch")) > 0


@pytest.mark.parametrize(
    ("staged", "need"),
    [
        (False, 10 * 76_800 + (2 * 7 + 3) * 4_096),
        (True, 10 * 76_800 + (2 * 7 + 3) * (4_096 + 9_600)),
    ],
)
def test_the_cache_needs_room_for_images_and_features(staged: bool, need: int) -> None:
    assert cache_remark(7, 3, staged=staged, free=lambda folder: need) is None
    remark = cache_remark(7, 3, staged=staged, free=lambda folder: need - 1)
    assert remark is not None
    assert "computed in every epoch" in remark
    assert "$EMOSWEEP_CACHE_GB" in remark


def test_the_limit_of_the_cache_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", "0.000001")
    remark = cache_remark(7, 3, staged=True, free=lambda folder: 1 << 40)
    assert remark is not None
    assert "has room for 1 kB" in remark


def test_a_cache_that_is_switched_off_is_no_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE_GB", "0")
    assert cache_remark(7, 3, staged=True, free=lambda folder: 0) is None


def test_what_the_cache_holds_may_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path))
    (tmp_path / "images" / "pillow-0").mkdir(parents=True)
    (tmp_path / "images" / "pillow-0" / f"{0:032}.arrow").write_bytes(bytes(100_000))
    assert cache_remark(1, 0, staged=False, free=lambda folder: 0) is None
    assert cache_remark(2, 0, staged=False, free=lambda folder: 0) is not None


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 999_499, 7_680_000_000, 50_000_000_000])
def test_sizes_have_three_digits(size: int) -> None:
    number, _, unit = size_text(size).partition(" ")
    assert float(number) * 1000 ** ["B", "kB", "MB", "GB"].index(unit) == pytest.approx(size, rel=5e-3)
    assert float(number) < 1000
