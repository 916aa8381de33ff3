"""The memory of the onnx engine stays flat over many photos, and is bounded for a very large one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from installed import MODELS, needs_weights
from PIL import Image
from portraits import portrait

ROOT = Path(__file__).resolve().parents[3]


def measured(code: str, *arguments: object) -> list[float]:
    """Run code in a process of its own; returns the numbers that it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    return [float(word) for word in done.stdout.split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_hundred_megapixels_take_less_than_900_mb(tmp_path: Path) -> None:
    file = tmp_path / "huge.jpg"
    Image.new("RGB", (12_600, 8_000), 90).save(file)
    code = """
import re, sys
from pathlib import Path
from faceapi.python.photo import read_photo
photo = read_photo(Path(sys.argv[1]))
# Not getrusage: its peak is the parent's, if that was higher.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(*photo.pixels.shape, photo.scale, int(peak) / 1024)
"""
    *shape, scale, peak = measured(code, file)
    assert (shape, scale) == ([2666, 4200, 3], 3)
    assert peak < 900, "MB; the decoded photo alone is 400"


@needs_weights
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_after_600_photos_is_that_after_100(tmp_path: Path) -> None:
    box = portrait(tmp_path / "face.jpg", [(160, 180, 70)])[0]
    code = """
import os, sys
from pathlib import Path
from faceapi.contract.labels import LabelledRow
from faceapi.python.engine import evaluate_rows
from faceapi.python.networks import load_networks
folder, models = map(Path, sys.argv[1:3])
networks = load_networks(models, 224, folder / "networks")
rows = [LabelledRow("face.jpg", folder / "face.jpg", "happy", tuple(map(float, sys.argv[3:])))] * 100
for turn in range(6):
    assert ",1,0." in evaluate_rows(rows, 0.5, networks).rows
    print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
"""
    first, *later = measured(code, tmp_path, MODELS, *box)
    assert max(later) < first + 5, "MB"
