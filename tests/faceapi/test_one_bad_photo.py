"""A photo that cannot be read or evaluated is one row without a face, whichever engine; the other rows keep theirs."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from installed import MODELS, NODE, javascript, needs_node, needs_weights
from PIL import Image
from portraits import portrait
from projects import Listed

from faceapi.compare import compare_engines, compare_results
from faceapi.contract.labels import labelled
from faceapi.contract.results import ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import EVALUATOR, NODE_DIR
from faceapi.node.process import evaluate_rows as evaluate_with_node
from faceapi.python import engine
from faceapi.python.networks import load_networks
from faceapi.python.photo import Photo, read_photo
from trainable.data.tables import Row

SETTINGS = FaceApiSettings(input_size=160, score_threshold=0.3)


def png(width: int, height: int, rows: int) -> bytes:
    """A black PNG whose header says `width` and `height`, with so many rows of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(rows * (1 + 3 * width)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


READABLE = {"dot.png": png(1, 1, 1), "high.png": png(1, 40_000, 40_000), "wide.png": png(40_000, 1, 1)}
UNREADABLE = {
    "bomb.png": png(30_000, 30_000, 3),
    "endless.png": png(2**31 - 1, 1, 0),
    "short.png": png(300, 300, 300)[:-40],
    "empty.jpg": b"",
    "head.png": png(9, 9, 9)[:33],
    "head.jpg": b"\xff\xd8\xff\xe0",
}


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """A face, all the odd photos, and the face again."""
    [box] = portrait(tmp_path / "face.jpg", [(160, 180, 70)], quality=95)
    for name, content in {**READABLE, **UNREADABLE}.items():
        (tmp_path / name).write_bytes(content)
    names = ["face.jpg", *READABLE, *UNREADABLE, "face.jpg"]
    return [Row(line, name, tmp_path / name, "happy", box) for line, name in enumerate(names, 2)]


def onnx(rows: list[Row], cache: Path) -> ShardResult:
    networks = load_networks(MODELS, SETTINGS.input_size, cache)
    return engine.evaluate_rows(labelled(Listed(rows), SETTINGS), SETTINGS.score_threshold, networks)


def detected(result: ShardResult) -> list[str]:
    return [line.split(",")[4] for line in result.rows.splitlines()]


def unreadable(result: ShardResult) -> list[str]:
    lines = [line.split(": ", 2) for line in result.remarks.splitlines() if line.startswith("unreadable: ")]
    assert all(reason for _, _, reason in lines)
    return [name for _, name, _ in lines]


@needs_weights
def test_odd_photos_cost_their_own_rows_on_onnx(rows: list[Row], tmp_path: Path) -> None:
    result = onnx(rows, tmp_path / "networks")
    assert detected(result) == ["1", *["0"] * (len(rows) - 2), "1"]
    assert unreadable(result) == list(UNREADABLE)


@pytest.mark.node
@needs_node
def test_odd_photos_cost_their_own_rows_on_node_and_in_a_comparison(rows: list[Row], tmp_path: Path) -> None:
    node = Evaluator("node", MODELS, str(NODE), NODE_DIR / EVALUATOR)
    result = evaluate_with_node(rows, tmp_path, SETTINGS, node)
    assert detected(result) == ["1", *["0"] * (len(rows) - 2), "1"]
    assert unreadable(result) == list(UNREADABLE)
    assert compare_results(onnx(rows, tmp_path / "networks"), result, (0, 0), (0, 0)).differences == ()
    found = compare_engines(
        Listed(rows), SETTINGS, Evaluator("onnx", MODELS), node,
        root=tmp_path, networks_folder=tmp_path / "networks", sample=len(rows),
    )  # fmt: skip
    assert (found.differences, found.unreadable, found.detected) == ((), len(UNREADABLE), 2)


class Failing(engine.FaceFinder):
    """The real networks, which fail on photos of a size. No photo is known on which they do."""

    fails_on: tuple[tuple[int, int], ...] = ()

    def faces(self, photo: Photo, threshold: float) -> list[engine.Face]:
        if photo.pixels.shape[:2] in self.fails_on:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION\nwhile running Conv")
        return super().faces(photo, threshold)


@needs_weights
def test_a_photo_on_which_onnx_runtime_fails_costs_its_own_row(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FaceFinder", Failing)
    engine._loaded.clear()
    photo = read_photo(tmp_path / "wide.png")
    assert isinstance(photo, Photo)
    monkeypatch.setattr(Failing, "fails_on", (photo.pixels.shape[:2],))
    result = onnx([rows[0], rows[3], rows[-1]], tmp_path / "networks")
    assert detected(result) == ["1", "0", "1"]
    reason = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION while running Conv"
    assert result.remarks == f"unreadable: wide.png: {reason}\n"
    monkeypatch.setattr(Failing, "fails_on", (photo.pixels.shape[:2], (1, 1)))
    with pytest.raises(RuntimeError, match="ONNXRuntimeError"):  # it is not the photo's fault
        onnx([rows[3]], tmp_path / "networks")
    engine._loaded.clear()


@pytest.mark.node
@needs_node
def test_a_photo_on_which_tfjs_fails_costs_its_own_row() -> None:
    """No photo is known on which face-api's networks fail, so a function stands for them."""
    script = """
    const faces = async ({ width }) => {
      if (broken && width === 1) throw new Error('the backend is gone');
      if (width === 7) throw new Error('out of\\nmemory');
      return [{ box: { minX: 0, minY: 0, maxX: 2, maxY: 2 }, score: 1, expression: 'happy' }];
    };
    let broken = false;
    const load = async ({ image }) => (image === 'bad' ? { reason: 'no such file' } : { width: Number(image) });
    const box = { minX: 0, minY: 0, maxX: 1, maxY: 1 };
    const rows = ['3', '7', 'bad', '4'].map((image) => ({ image, box }));
    const remarks = [];
    const remark = (text) => remarks.push(text);
    const outcomes = await m.evaluate(rows, load, faces, remark);
    broken = true;
    const end = await m.evaluate(rows, load, faces, remark).catch((error) => error.message);
    const ends = outcomes.map(({ face, unreadable }) => [face?.iou ?? null, unreadable]);
    console.log(JSON.stringify([ends, remarks, end]));
    """
    outcomes, remarks, end = javascript("evaluate.mjs", script)  # type: ignore[misc]  # a list of three
    assert outcomes == [[0.25, False], [None, True], [None, True], [0.25, False]]
    assert remarks[:2] == ["unreadable: 7: out of memory", "unreadable: bad: no such file"]
    assert end == "the backend is gone"


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9000), (9000, 1)])
def test_thin_photos_of_every_mode_are_read(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, (200, 100, 50)).convert(mode).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert isinstance(photo, Photo), photo
    assert photo.pixels.size
