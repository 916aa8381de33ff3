"""`history`: what is listed and what is deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from by_hand import Cli, listing, write_seven
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.listing import Kept, kept_results, to_prune
from orchestrator.history.place import Place
from orchestrator.history.store import make_way
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.selection import select
from trainable.base.files import write_json

EXPERIMENT = select(["finetune_K7"])[0]


def identity(seed: int, rows: str = "가" * 64) -> dict[str, Any]:
    return {"data": {"train": {"rows": rows}}, "config": {"seed": seed}}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Results of three seeds by hand, of which that of seed 3 is the current one, in a folder with a Korean name."""
    root = tmp_path / "감정 [결과]"
    place = place_in(root)
    for seed in (1, 2, 3):
        write_seven(root)
        write_json(place.manifest, {"identity": identity(seed), "finished": f"2026-01-0{seed}T03:04:05+00:00"})
        make_way(place, identity(seed + 1)) if seed < 3 else None
    return root


def place_in(root: Path) -> Place:
    return ProjectPaths(root, root).place(EXPERIMENT)


def test_what_is_kept_is_listed_with_what_differs(output: Path, cli: Cli) -> None:
    before = listing(output)
    done = cli("history", "--output-root", output)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("    ")] == [
        "current",
        *(place_in(output).entry(identity(seed)).name for seed in (2, 1)),
    ]
    assert lines[0] == "finetune_K7"
    assert "F1 val 0.5111 test 0.5222 Top-1 66.67%" in lines[2]
    assert "config.seed 3 -> 2 (current -> this)" in lines[3]
    assert lines[-1].startswith("2 earlier results, ")
    assert max(map(len, lines)) <= 80
    assert listing(output) == before, "a list writes nothing"


def test_other_data_and_unfinished_runs_are_said(output: Path, cli: Cli) -> None:
    place = place_in(output)
    other = identity(3, "나" * 64)
    write_json(place.unfinished_entry(other) / "last.json", {"identity": other, "epoch": 4})
    lines = cli("history", "finetune_K7", "--output-root", output).stdout.splitlines()
    assert any("unfinished, after epoch 4" in line for line in lines)
    assert any(line.strip() == "train.rows changed (current -> this)" for line in lines)


def test_faceapi_has_its_own_scores(output: Path, cli: Cli) -> None:
    experiment = select(["faceapi_M1"])[0]
    place = ProjectPaths(output, output).place(experiment)
    write_json(place.manifest, {"identity": identity(1), "finished": "2026-01-01T00:00:00+00:00"})
    make_way(place, identity(2))
    lines = cli("history", "faceapi_M1", "--output-root", output).stdout.splitlines()
    assert "Top-1 50.00% coverage 50.00%" in lines[1]
    assert "no current result" in lines[2]


def test_pruning_keeps_the_newest_and_the_current_one(output: Path, cli: Cli) -> None:
    current = {path: path.read_bytes() for path in place_in(output).manifest.parent.iterdir()}
    done = cli("history", "--prune", "--keep", 1, "--output-root", output)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("deleting 1 earlier result, ")
    assert second.startswith(f"deleted: finetune_K7 {place_in(output).entry(identity(1)).name} of 2026-01-01")
    assert [one.record["identity"] for one in kept_results(place_in(output))] == [identity(2)]
    assert cli("history", "--prune", "--older-than", 1, "--output-root", output).returncode == 0
    assert kept_results(place_in(output)) == []
    assert cli("history", "--prune", "--keep", 0, "--output-root", output).stdout == "nothing to delete\n"
    assert {path: path.read_bytes() for path in place_in(output).manifest.parent.iterdir()} == current


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prune"], "--keep N or --older-than DAYS"),
        (["--keep", 1], "give --prune, too"),
        (["--prune", "--keep", -1], "--keep must be 0 or more, not -1"),
        (["--prune", "--older-than", "nan"], "--older-than must be 0 or more"),
        (["probe_M3"], "did you mean"),
    ],
)
def test_bad_options_delete_nothing(output: Path, cli: Cli, arguments: list[object], said: str) -> None:
    before = listing(output)
    done = cli("history", *arguments, "--output-root", output)
    assert (done.returncode, said in done.stderr, done.stdout) == (2, True, "")
    assert listing(output) == before


def test_without_history_there_is_nothing(tmp_path: Path, cli: Cli) -> None:
    assert cli("history", "--output-root", tmp_path).stdout == "no earlier results\n"
    assert cli("history", "--output-root", tmp_path / "없음").returncode == 2


@given(
    ages=st.lists(st.floats(0, 100), max_size=8),
    keep=st.none() | st.integers(0, 9),
    older=st.none() | st.floats(0, 100),
)
def test_pruning_is_by_number_and_by_age(ages: list[float], keep: int | None, older: float | None) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    found = [Kept(Path(str(i)), {}, None, now - timedelta(days=age), 1) for i, age in enumerate(sorted(ages))]
    gone = to_prune(found, keep, older, now)
    stay = [one for one in found if one not in gone]
    assert len(stay) >= min(keep or 0, len(found))
    assert all(one.when >= other.when for one in found[: keep or 0] for other in gone)
    for one in gone:
        assert older is None or (now - one.when).total_seconds() > older * 86400 * (1 - 1e-9)
    if keep is None:
        assert all(older is not None and now - one.when <= timedelta(days=older) for one in stay)
