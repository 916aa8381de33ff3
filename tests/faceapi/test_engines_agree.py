"""The onnx engine against the real Node: every kind of photo, every input size, what can and cannot be read."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features
from portraits import Box, portrait

from faceapi.compare import Comparison, compared
from faceapi.contract.labels import labelled
from faceapi.contract.results import ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import EVALUATOR, NODE_DIR
from faceapi.node.process import evaluate_rows as evaluate_with_node
from faceapi.python.engine import evaluate_rows
from faceapi.python.networks import load_networks
from faceapi.python.photos import MAX_SIDE, read_photo
from trainable.data.tables import ImageTable, Row, load_table

MODELS = NODE_DIR / "node_modules" / "@vladmandic" / "face-api" / "model"
NODE = shutil.which("node")
SIZES = (160, 224, 320, 416, 512)
REAL_PHOTOS = "EMOSWEEP_PHOTOS"

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(NODE is None or not MODELS.is_dir(), reason="needs node and `npm ci` in faceapi/"),
]


def onnx(table: ImageTable, settings: FaceApiSettings, cache: Path) -> ShardResult:
    networks = load_networks(MODELS, settings.input_size, cache)
    return evaluate_rows(labelled(table, settings), settings.score_threshold, networks)


def both(rows: list[Row], root: Path, cache: Path, settings: FaceApiSettings) -> Comparison:
    table = ImageTable(root / "split.csv", "label", tuple(rows))
    evaluator = Evaluator("node", MODELS, str(NODE), NODE_DIR / EVALUATOR)
    node = evaluate_with_node(table.rows, root, settings, evaluator)
    return compared(onnx(table, settings, cache), node, (0, 0), (0, 0))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


# -- detections, labels, scores


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """Portraits of one to three faces, some cut by an edge, upright and lying photos, with a row per face."""
    root = tmp_path_factory.mktemp("faces")
    draw = random.Random(5)
    rows = []
    for number in range(8):
        centres = [
            (120 + 200 * k + draw.uniform(-40, 40), draw.uniform(120, 260), draw.uniform(45, 110))
            for k in range(1 + number % 3)
        ]
        file = root / f"{number}.jpg"
        boxes = portrait(file, centres, quality=90)
        if number % 2:
            with Image.open(file) as photo:
                photo.crop((20, 0, 20 + 150 + 30 * number, 400)).save(file, quality=85)
        rows += [Row(2, file.name, file, "neutral", box) for box in boxes]
    return root, rows


@pytest.mark.parametrize("size", SIZES)
def test_drawn_faces(size: int, faces: tuple[Path, list[Row]], cache: Path) -> None:
    root, rows = faces
    found = both(rows, root, cache, FaceApiSettings(input_size=size, score_threshold=0.3))
    assert found.differences == ()
    assert found.detected >= len(rows) / 2
    assert (found.score < 1e-4, found.iou < 1e-3) == (True, True)


@pytest.mark.parametrize("size", SIZES)
def test_real_photos(size: int, cache: Path) -> None:
    """A slice of the rows of a project of one's own; `faceapi --compare` takes all of them."""
    root = Path(os.environ.get(REAL_PHOTOS, ""))
    csvs = sorted((root / "data_shared" / "splits_csv").glob("*.csv"))
    if not os.environ.get(REAL_PHOTOS) or not csvs:
        pytest.skip(f"{REAL_PHOTOS} names no project with photos of faces")
    rows = [row for csv in csvs for row in load_table(csv, root, boxes=True).rows[:10]]
    found = both(rows, root, cache, FaceApiSettings(input_size=size))
    assert found.differences == ()


def test_a_disagreement_is_told() -> None:
    """Each kind of difference, and none where the distance is allowed."""
    node = ["a,happy,happy,0.900000,1,0.500000,1", "b,sad,,0,0,0,0", "c,sad,sad,0.9,1,0.5,1", "d,sad,sad,0.9,1,0.5,1"]
    ours = [
        "a,happy,sad,0.900000,1,0.500000,0",
        "b,sad,sad,0.6,1,0.2,1",
        "c,sad,sad,0.90009,1,0.5009,1",
        "d,sad,sad,0.9002,1,0.502,1",
    ]
    first = ShardResult("\n".join(ours), "", 0)
    second = ShardResult("\n".join(node), "unreadable: b: no such file\n", 0)
    found = compared(first, second, (2, 1), (4, 8))
    assert [line.split(": ", 1)[1] for line in found.differences] == [
        "pred_label sad / happy, correct 0 / 1 (onnx / node)",
        "face_detected 1 / 0, pred_label sad / , correct 1 / 0, unreadable no / yes, score 0.6 / 0, iou 0.2 / 0"
        " (onnx / node)",
        "score 0.9002 / 0.9, iou 0.502 / 0.5 (onnx / node)",
    ]
    assert (found.rows, found.detected, found.unreadable) == (4, 3, 1)
    assert (found.wall, found.cpu) == ((500, 1000), (250, 2000))


# -- pixels


def node_pixels(folder: Path) -> dict[str, NDArray[np.uint8] | str]:
    """What the Node evaluator decodes every file of a folder to: pixels, or why it cannot."""
    script = f"""
    import {{ readdirSync, writeFileSync }} from 'node:fs';
    import {{ loadPhoto }} from '{(NODE_DIR / "lib" / "photo.mjs").as_uri()}';
    for (const name of readdirSync({str(folder)!r})) {{
      const photo = await loadPhoto({str(folder)!r}, name);
      if (photo.reason === undefined) writeFileSync(name + '.raw', photo.pixels);
      console.log(JSON.stringify([name, photo.width ?? 0, photo.height ?? 0, photo.reason ?? '']));
    }}"""
    out = folder.with_name(f"{folder.name}-node")
    out.mkdir()
    command = [str(NODE), "--input-type=module", "-e", script]
    done = subprocess.run(command, cwd=out, capture_output=True, encoding="utf-8", timeout=60, check=True)
    found: dict[str, NDArray[np.uint8] | str] = {}
    for line in done.stdout.splitlines():
        name, width, height, reason = json.loads(line)
        found[name] = reason or np.fromfile(out / f"{name}.raw", np.uint8).reshape(height, width, 3)
    return found


def gradient(size: tuple[int, int]) -> Image.Image:
    """A colourful photo with edges and noise."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(1).integers(0, 40, (height, width, 3))
    colours = np.stack([x * 255 // width, y * 255 // height, 255 * ((x // 20 + y // 20) % 2)], axis=-1)
    return Image.fromarray((colours * 0.8 + noise).clip(0, 255).astype(np.uint8))


def png16(pixels: NDArray[np.uint16], colour: int) -> bytes:
    """A 16-bit PNG, which Pillow does not write in colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def save_kinds(folder: Path) -> None:
    """One file of each kind that a researcher's folder may hold."""
    photo = gradient((333, 251))
    grey, ink, palette = photo.convert("L"), photo.convert("CMYK"), photo.quantize(64)
    commonest = int(np.bincount(np.asarray(palette).ravel()).argmax())
    wide = np.asarray(photo).astype(np.uint16) * 257 - 90 * (np.asarray(photo) > 5).astype(np.uint16)
    alpha = Image.fromarray(np.linspace(0, 255, 333 * 251).reshape(251, 333).astype(np.uint8))
    clear = Image.merge("RGBA", (*photo.split(), alpha))
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "rgb.png": (photo, {}), "grey.png": (grey, {}), "one.png": (photo.convert("1"), {}),
        "alpha.png": (clear, {}), "greyalpha.png": (Image.merge("LA", (grey, alpha)), {}),
        "palette.png": (palette, {}), "clear.png": (palette, {"transparency": bytes(range(0, 255, 4))}),
        "palette.gif": (palette, {}), "clear.gif": (palette, {"transparency": commonest}),
        "moving.gif": (photo, {"save_all": True, "append_images": [grey.convert("RGB")]}),
        "key.png": (photo, {"transparency": photo.getpixel((5, 5))}),
        "lossy.webp": (photo, {"quality": 80}), "exact.webp": (photo, {"lossless": True}),
        "alpha.webp": (clear, {"lossless": True, "exact": True}),
        "444.jpg": (photo, {"subsampling": 0}), "422.jpg": (photo, {"subsampling": 1}),
        "420.jpg": (photo, {"subsampling": 2}), "progressive.jpg": (photo, {"progressive": True}),
        "grey.jpg": (grey, {}), "turned.jpg": (photo, {"exif": turned}), "turned.png": (photo, {"exif": turned}),
        "rgb.tif": (photo, {}), "lzw.tif": (photo, {"compression": "tiff_lzw"}),
        "rgb.bmp": (photo, {}), "grey.bmp": (grey, {}), "palette.bmp": (palette, {}), "alpha.bmp": (clear, {}),
        "one.bmp": (photo.convert("1"), {}), "one_pixel.png": (photo.resize((1, 1)), {}),
        "tiny.jpg": (photo.resize((2, 3)), {}), "thin.png": (photo.resize((1, 200)), {}),
        "ink.jpg": (ink, {"quality": 92}), "ink.tif": (ink, {}),
        "large.jpg": (photo.resize((MAX_SIDE + 1001, 3001)), {}),
        "long.png": (clear.resize((2000, 2 * MAX_SIDE + 77)), {}),
        "large_ink.jpg": (ink.resize((MAX_SIDE + 500, 2000)), {}),
    }  # fmt: skip
    if features.check("avif"):
        kinds["rgb.avif"] = (photo, {"quality": 90})
    for name, (image, options) in kinds.items():
        image.save(folder / name, **options)
    (folder / "grey16.png").write_bytes(png16(wide[..., 0], 0))
    (folder / "rgb16.png").write_bytes(png16(wide, 2))
    (folder / "rgba16.png").write_bytes(png16(np.dstack([wide, wide[..., 0]]), 6))


ALLOWED = {"ink.jpg": 4, "ink.tif": 4, "large_ink.jpg": 4, "rgb.avif": 80}
"""Of 255: between the points of the table of inks; chroma upsampling. All else is the same to the byte."""


def other_pixels(folder: Path, allowed: Mapping[str, int]) -> dict[str, str]:
    """Files of a folder that only one engine reads, or that are further apart than is allowed (0)."""
    wrong = {}
    for name, pixels in node_pixels(folder).items():
        ours = read_photo(folder / name)
        if isinstance(ours, str) or isinstance(pixels, str):
            if not (isinstance(ours, str) and isinstance(pixels, str)):
                wrong[name] = f"{ours} / {pixels}"
        elif ours.pixels.shape != pixels.shape:
            wrong[name] = f"{ours.pixels.shape} / {pixels.shape}"
        else:
            distance = int(np.abs(ours.pixels.astype(int) - pixels).max())
            if distance > allowed.get(name, 0):
                wrong[name] = f"{distance} of 255"
    return wrong


def test_every_kind_of_photo_is_decoded_as_by_node(tmp_path: Path) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    save_kinds(folder)
    assert other_pixels(folder, ALLOWED) == {}
    assert not [file for file in folder.iterdir() if isinstance(read_photo(file), str)]


PLAIN = ("tiff_lzw", "tiff_adobe_deflate", "packbits")


def save_tiffs(folder: Path) -> None:
    """Every mode and compression that Pillow writes."""
    photo = gradient((60, 40))
    grey = np.asarray(photo.convert("L"))
    modes = {mode: photo.convert(mode) for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")}
    modes |= {"I16": Image.fromarray(grey.astype(np.uint16) * 257), "I": Image.fromarray(grey.astype(np.int32) * 257)}
    modes |= {"F": Image.fromarray(grey.astype(np.float32)), "LAB": photo.convert("LAB")}
    for mode, image in modes.items():
        for compression in (None, *PLAIN, "jpeg", "group4", "zstd", "lzma"):
            file = folder / f"{mode}_{compression}.tif"
            try:
                image.save(file, compression=compression)
            except (OSError, RuntimeError):  # not in this mode, or not in this build
                file.unlink(missing_ok=True)


def test_every_kind_of_tiff_is_decoded_as_by_node_or_refused_by_both(tmp_path: Path) -> None:
    folder = tmp_path / "tiffs"
    folder.mkdir()
    save_tiffs(folder)
    allowed = {file.name: 4 for file in folder.glob("CMYK_*")}
    # Node takes their numbers for red, green and blue; docs/faceapi.md says so.
    allowed |= {file.name: 255 for file in folder.glob("YCbCr_*") if file.name != "YCbCr_jpeg.tif"}
    assert other_pixels(folder, allowed) == {}
    refused = {file.stem for file in folder.iterdir() if isinstance(read_photo(file), str)}
    odd = {name for name in refused if not name.endswith(("zstd", "lzma"))}
    assert odd == {f"{mode}_{how}" for mode in ("LAB", "I", "F") for how in ("None", *PLAIN)} | {"LAB_jpeg"}


def other_profile(inks: Image.Image, folder: Path) -> bytes:
    """A press profile in which dark is light: libvips' own, its table of colours inverted."""
    inks.convert("RGB").save(folder / "rgb.png")
    script = "import sharp from 'sharp';\nconst cmyk = sharp('rgb.png').toColourspace('cmyk').withIccProfile('cmyk');\n"
    script += "await cmyk.toFile('cmyk.jpg');"
    (folder / "node_modules").symlink_to(NODE_DIR / "node_modules")
    subprocess.run([str(NODE), "--input-type=module", "-e", script], cwd=folder, timeout=60, check=True)
    with Image.open(folder / "cmyk.jpg") as image:
        profile = bytearray(image.info["icc_profile"])
    for place in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        if profile[place : place + 3] == b"A2B":
            start, length = struct.unpack(">II", profile[place + 4 : place + 12])
            middle = slice(start + length // 4, start + length * 3 // 4)
            break
    profile[middle] = bytes(255 - value for value in profile[middle])
    return bytes(profile)


def test_neither_looks_at_a_colour_profile(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    ink = gradient((60, 40)).convert("CMYK")
    profile = other_profile(ink, tmp_path)
    for suffix in ("jpg", "tif"):
        ink.save(folder / f"plain.{suffix}")
        ink.save(folder / f"own.{suffix}", icc_profile=profile)
    assert other_pixels(folder, {file.name: 4 for file in folder.iterdir()}) == {}


def damage() -> dict[str, Callable[[bytes], bytes]]:
    """Ways in which a file goes bad on a disk or on its way."""
    ways: dict[str, Callable[[bytes], bytes]] = {
        f"cut{percent}": lambda data, percent=percent: data[: len(data) * percent // 100]
        for percent in (1, 10, 50, 90, 99)
    }
    ways |= {f"less{count}": lambda data, count=count: data[:-count] for count in (1, 2, 3, 30)}
    ways["more"] = lambda data: data + b"garbage" * 50
    for seed in range(6):

        def spoil(data: bytes, seed: int = seed) -> bytes:
            draw = random.Random(seed)
            at, length = draw.randrange(len(data) // 10, len(data) - 60), draw.choice((1, 50))
            return data[:at] + bytes(b ^ draw.randrange(1, 256) for b in data[at : at + length]) + data[at + length :]

        ways[f"spoilt{seed}"] = spoil
    return ways


def test_both_engines_agree_on_what_is_unreadable(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "damaged"
    whole.mkdir()
    folder.mkdir()
    photo = gradient((160, 120))
    for name in ("a.jpg", "a.png", "a.webp", "a.tif", "a.bmp", "p.jpg"):
        photo.save(whole / name, **({"progressive": True} if name == "p.jpg" else {}))
    photo.convert("CMYK").save(whole / "ink.jpg")
    for file in whole.iterdir():
        for way, spoil in damage().items():
            (folder / f"{way}_{file.name}").write_bytes(spoil(file.read_bytes()))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_bytes(b"no photo")
    (folder / "page.jpg").write_bytes(b"<html><body>404</body></html>")
    (folder / "drawing.png").write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    photo.save(folder / "old.ppm")
    photo.save(folder / "j.jp2")
    node = {name: isinstance(pixels, str) for name, pixels in node_pixels(folder).items()}
    ours = {name: isinstance(read_photo(folder / name), str) for name in node}
    assert {name for name in node if node[name] != ours[name]} == set()
    assert sum(node.values()) > len(node) / 2
    assert not all(node.values())


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_damage_inside_a_gif_or_avif_stops_one_engine_only(tmp_path: Path) -> None:
    """Their decoders are not the same, and docs/faceapi.md says which one goes on. Cut files stop both."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    for name in ("a.gif", "a.avif"):
        gradient((160, 120)).save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        for way, spoil in damage().items():
            (folder / f"{way}_{name}").write_bytes(spoil(content))
    node = node_pixels(folder)
    unread = {name: (isinstance(read_photo(folder / name), str), isinstance(node[name], str)) for name in node}
    differ = {name: found for name, found in unread.items() if len(set(found)) > 1}
    assert {found for name, found in differ.items() if name.endswith(".gif") and "less" not in name} <= {(True, False)}
    assert {found for name, found in differ.items() if name.endswith(".avif")} == {(False, True)}
    assert {name.partition("_")[0] for name in differ} <= {"less1", "less2", *(f"spoilt{n}" for n in range(6))}


def test_unreadable_photos_are_rows_with_a_remark(faces: tuple[Path, list[Row]], cache: Path, tmp_path: Path) -> None:
    root, rows = faces
    shutil.copytree(root, tmp_path / "faces")
    bad = tmp_path / "faces" / "bad.jpg"
    bad.write_bytes(rows[0].file.read_bytes()[:3000])
    moved = [replace(row, file=tmp_path / "faces" / row.path) for row in rows[:2]]
    spoilt = [
        replace(moved[0], path="bad.jpg", file=bad),
        replace(moved[0], path="gone.jpg", file=bad.with_name("gone.jpg")),
    ]
    found = both([moved[0], *spoilt, moved[1]], tmp_path / "faces", cache, FaceApiSettings())
    assert (found.differences, found.unreadable) == ((), 2)
    result = onnx(ImageTable(tmp_path, "label", tuple(spoilt)), FaceApiSettings(), cache)
    assert result.rows == "bad.jpg,neutral,,0,0,0,0\ngone.jpg,neutral,,0,0,0,0\n"
    first, second = result.remarks.splitlines()
    assert first.startswith("unreadable: bad.jpg: ")
    assert second == "unreadable: gone.jpg: no such file"


def test_boxes_are_in_stored_pixels_of_a_photo_that_is_shrunk(
    faces: tuple[Path, list[Row]], cache: Path, tmp_path: Path
) -> None:
    _, rows = faces
    row = rows[0]
    file = tmp_path / "large.jpg"
    with Image.open(row.file) as photo:
        factor = 7000 / max(photo.size)
        photo.resize((round(photo.width * factor), round(photo.height * factor))).save(file)
    assert row.box is not None
    a, b, c, d = row.box
    box: Box = (factor * a, factor * b, factor * c, factor * d)
    found = both([Row(2, file.name, file, "neutral", box)], tmp_path, cache, FaceApiSettings())
    assert (found.differences, found.detected) == ((), 1)
    result = onnx(ImageTable(tmp_path, "label", (Row(2, file.name, file, "neutral", box),)), FaceApiSettings(), cache)
    assert float(result.rows.split(",")[5]) > 0.5
