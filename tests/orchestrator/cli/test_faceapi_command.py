"""`python -m orchestrator faceapi` shows the engine and the weights; with `--compare`, where the engines differ."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from by_hand import Cli
from installed import MODELS, needs_node, needs_weights
from PIL import Image


@needs_weights
def test_the_setup_without_node(project: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = cli("faceapi", "--project-root", project)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(maxsplit=1)[0] for line in done.stdout.splitlines()] == ["engine:", "weights:", "node:"]
    assert "onnx" in done.stdout
    assert str(MODELS.resolve()) in done.stdout
    assert "not on the PATH" in done.stdout
    refused = cli("faceapi", "--project-root", project, "--compare")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "node is not on the PATH" in refused.stderr


def test_a_sample_of_nothing(project: Path, cli: Cli) -> None:
    done = cli("faceapi", "--project-root", project, "--compare", "--sample", 0)
    assert done.returncode == 2
    assert "--sample must be at least 1, not 0" in done.stderr


@needs_node
@pytest.mark.node
def test_engines_that_agree_and_one_that_reads_less(project: Path, cli: Cli) -> None:
    done = cli("faceapi", "--project-root", project, "--compare")
    assert (done.returncode, done.stderr) == (0, "")
    assert "M1: 3 of 3 rows, 0 detected, 0 unreadable; 0 row(s) differ" in done.stdout
    assert "M2: 3 of 3 rows" in done.stdout
    # A GIF without its end: Pillow reads it, libvips does not.
    photo, data = project / "data_raw/photos/M1/1.jpg", io.BytesIO()
    with Image.open(photo) as image:
        image.save(data, "GIF")
    photo.write_bytes(data.getvalue()[:-2])
    done = cli("faceapi", "--project-root", project, "--compare")
    assert done.returncode == 1
    assert "1 unreadable; 1 row(s) differ" in done.stdout
    assert "row 2, data_raw/photos/M1/1.jpg: unreadable no / yes (onnx / node)" in done.stdout


@needs_node
@pytest.mark.node
def test_photos_of_extreme_sizes_are_compared_too(project: Path, cli: Cli) -> None:
    for number, size in enumerate([(1000, 1), (1, 1000), (1, 1)]):
        Image.effect_noise(size, 80).convert("RGB").save(project / f"data_raw/photos/M1/{number}.jpg")
    done = cli("faceapi", "--project-root", project, "--compare")
    assert (done.returncode, done.stderr) == (0, "")
    assert "M1: 3 of 3 rows, 0 detected, 0 unreadable; 0 row(s) differ" in done.stdout
