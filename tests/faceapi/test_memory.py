"""Memory of the onnx engine: flat over many photos, bounded for a very large one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from portraits import portrait

from faceapi.node.process import NODE_DIR

MODELS = NODE_DIR / "node_modules/@vladmandic/face-api/model"


def measured(code: str, *arguments: object) -> list[float]:
    """The numbers that a process of its own prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [float(word) for word in done.stdout.split()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_hundred_megapixels(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "huge.jpg"
    Image.new(mode, (12_600, 8_000), 90).save(file)
    code = """
import re, sys
from pathlib import Path
from orchestrator.faceapi.photos import read_photo
photo = read_photo(Path(sys.argv[1]))
# Not getrusage: its peak is the parent's, if that was higher.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(*photo.pixels.shape, photo.scale, int(peak) / 1024)
"""
    *shape, scale, peak = measured(code, file)
    assert (shape, scale) == ([2666, 4200, 3], 3)
    assert peak < 900, "MB; the decoded photo alone is 400"


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs `npm ci` in faceapi/ for face-api's weights")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_many_photos(tmp_path: Path) -> None:
    """As after 100 photos, so after 600; the benchmark takes 5,000."""
    box = portrait(tmp_path / "face.jpg", [(160, 180, 70)])[0]
    code = """
import os, sys
from pathlib import Path
from orchestrator.faceapi.networks import load_networks
from orchestrator.faceapi.onnx_engine import evaluate_rows
from orchestrator.faceapi.setup import LabelledRow
folder, models = map(Path, sys.argv[1:3])
networks = load_networks(models, 224, folder / "networks")
rows = [LabelledRow("face.jpg", folder / "face.jpg", "happy", tuple(map(float, sys.argv[3:])))] * 100
for turn in range(6):
    assert ",1,0." in evaluate_rows(rows, 0.5, networks).rows
    print(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
"""
    first, *later = measured(code, tmp_path, MODELS, *box)
    assert max(later) < first + 5, "MB"
