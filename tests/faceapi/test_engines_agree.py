"""The onnx engine and the real Node evaluator give the same results: faces, labels, scores, and unreadable photos."""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from installed import MODELS, NODE, PHOTOS, needs_node
from numpy.typing import NDArray
from PIL import Image, ImageCms, features
from portraits import Box, portrait
from projects import Listed

from faceapi.compare import Comparison, compare_results
from faceapi.contract.labels import class_names, labelled
from faceapi.contract.photo_limits import MAX_PIXELS, MAX_SIDE
from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import EVALUATOR, NODE_DIR
from faceapi.node.process import evaluate_rows as evaluate_with_node
from faceapi.python.engine import evaluate_rows
from faceapi.python.networks import load_networks
from faceapi.python.photo import read_photo
from trainable.data.tables import ImageTable, Row, load_table

SIZES = (160, 224, 320, 416, 512)

pytestmark = [pytest.mark.node, needs_node]


def onnx(table: ImageTable | Listed, settings: FaceApiSettings, cache: Path) -> ShardResult:
    networks = load_networks(MODELS, settings.input_size, cache)
    return evaluate_rows(labelled(table, settings), settings.score_threshold, networks)


def both(rows: list[Row], root: Path, cache: Path, settings: FaceApiSettings) -> Comparison:
    table = Listed(rows)
    evaluator = Evaluator("node", MODELS, str(NODE), NODE_DIR / EVALUATOR)
    node = evaluate_with_node(table.rows, root, settings, evaluator)
    return compare_results(onnx(table, settings, cache), node, (0, 0), (0, 0))


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
    assert (found.score < 1e-4, found.iou < 1e-3, 0 < found.probability < 1e-3) == (True, True, True)


def photos_of_people() -> tuple[Path, list[Row]]:
    """Real photos of faces: those of face-api's package, and some rows of shared data where a folder above has it."""
    rows = [Row(2, file.name, file, "happy", (0, 0, 200, 200)) for file in sorted(PHOTOS.glob("sample*.jpg"))[:4]]
    for folder in Path(__file__).resolve().parents:
        root = folder / "shared" / "realfaces"
        for split in sorted(root.glob("data_shared/splits_csv/*.csv")):
            rows += load_table(split, root, boxes=True).rows[:2]
    return PHOTOS, [replace(row, path=str(row.file)) for row in rows]


@pytest.mark.parametrize("size", [224, 416])
def test_real_photos(size: int, cache: Path) -> None:
    root, rows = photos_of_people()
    found = both(rows, root, cache, FaceApiSettings(input_size=size))
    assert found.differences == ()
    assert found.detected >= 2


@pytest.mark.parametrize("threshold", [0.5, 1e-12])
def test_photos_of_extreme_sizes_are_rows_without_a_face(threshold: float, cache: Path, tmp_path: Path) -> None:
    """With the low threshold the detector has a candidate in every cell, whose box face-api cannot compute."""
    thin = [(1000, 1), (1, 1000), (MAX_SIDE + 1, 2)]
    rows = []
    for width, height in [*thin, (1, 1)]:
        file = tmp_path / f"{width}x{height}.png"
        gradient((width, height)).save(file)
        rows.append(Row(2, file.name, file, "happy", (0, 0, 1, 1)))
    settings = FaceApiSettings(input_size=160, score_threshold=threshold)
    found = both(rows, tmp_path, cache, settings)
    assert (found.differences, found.unreadable) == ((), 0)
    result = onnx(Listed(rows), settings, cache).rows.splitlines()
    assert result[: len(thin)] == [f"{width}x{height}.png,happy,,0,0,0,0" for width, height in thin]
    assert (result[-1] == "1x1.png,happy,,0,0,0,0") == (threshold == 0.5)


def test_correct_compares_the_labels_whatever_the_iou(faces: tuple[Path, list[Row]], cache: Path) -> None:
    """The boxes lie beside all faces; of the seven classes as labels, one is the predicted one."""
    root, [row, *_] = faces
    rows = [replace(row, label=name, box=(-9, -9, -1, -1)) for name in class_names()]
    assert both(rows, root, cache, FaceApiSettings()).differences == ()
    result = onnx(Listed(rows), FaceApiSettings(), cache)
    found = [dict(zip(RESULT_COLUMNS, line.split(","), strict=True)) for line in result.rows.splitlines()]
    assert {line["iou"] for line in found} == {"0.000000"}
    assert [line["gt_label"] for line in found if line["correct"] == "1"] == [found[0]["pred_label"]]


def test_each_kind_of_disagreement_is_reported() -> None:
    """The third row differs by less than is allowed."""
    node = ["a,happy,happy,0.900000,1,0.500000,1", "b,sad,,0,0,0,0", "c,sad,sad,0.9,1,0.5,1", "d,sad,sad,0.9,1,0.5,1"]
    ours = [
        "a,happy,sad,0.900000,1,0.500000,0",
        "b,sad,sad,0.6,1,0.2,1",
        "c,sad,sad,0.90009,1,0.5009,1",
        "d,sad,sad,0.9002,1,0.502,1",
    ]
    first = ShardResult("\n".join(ours), "", 0, [[0.6, 0.4], [0.5, 0.5], [0.2, 0.8], [0.1, 0.9]])
    theirs = [[0.6, 0.4], None, [0.2, 0.8], [0.3, 0.7]]
    second = ShardResult("\n".join(node), "unreadable: b: no such file\n", 0, theirs)
    found = compare_results(first, second, (2, 1), (4, 8))
    assert [line.split(": ", 1)[1] for line in found.differences] == [
        "pred_label sad / happy, correct 0 / 1 (onnx / node)",
        "face_detected 1 / 0, pred_label sad / , correct 1 / 0, unreadable no / yes, score 0.6 / 0, iou 0.2 / 0"
        " (onnx / node)",
        "score 0.9002 / 0.9, iou 0.502 / 0.5, probability 0.100000 0.900000 / 0.300000 0.700000 (onnx / node)",
    ]
    assert found.probability == pytest.approx(0.2)
    assert (found.rows, found.detected, found.unreadable) == (4, 3, 1)
    assert (found.wall, found.cpu) == ((500, 1000), (250, 2000))


# -- pixels


def node_pixels(folder: Path, *, upright: bool = False) -> dict[str, NDArray[np.uint8] | str]:
    """What the Node evaluator decodes every file of a folder to: pixels, or why it cannot."""
    script = f"""
    import {{ readdirSync, writeFileSync }} from 'node:fs';
    import {{ loadPhoto }} from '{(NODE_DIR / "lib" / "photo.mjs").as_uri()}';
    for (const name of readdirSync({str(folder)!r})) {{
      const photo = await loadPhoto({str(folder)!r}, {{ image: name, upright: {json.dumps(upright)} }});
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


def png16(pixels: NDArray[np.uint16], colour: int, size: tuple[int, int] | None = None) -> bytes:
    """A 16-bit PNG, which Pillow does not write in colour; `size` is the (width, height) that its header states."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width, height = size or pixels.shape[1::-1]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def save_kinds(folder: Path) -> None:
    """One file of each kind that a researcher's folder may hold."""
    photo = gradient((333, 251))
    grey, palette = photo.convert("L"), photo.quantize(64)
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
        "one_pixel.png": (photo.resize((1, 1)), {}),
        "tiny.jpg": (photo.resize((2, 3)), {}), "thin.png": (photo.resize((1, 200)), {}),
        "large.jpg": (photo.resize((MAX_SIDE + 1001, 301)), {}),
        "long.png": (clear.resize((200, 2 * MAX_SIDE + 77)), {}),
        "long.gif": (palette.resize((2 * MAX_SIDE + 9, 100)), {"transparency": commonest}),
    }  # fmt: skip
    for name, (image, options) in kinds.items():
        image.save(folder / name, **options)
    (folder / "grey16.png").write_bytes(png16(wide[..., 0], 0))
    (folder / "rgb16.png").write_bytes(png16(wide, 2))
    (folder / "rgba16.png").write_bytes(png16(np.dstack([wide, wide[..., 0]]), 6))


def other_pixels(folder: Path, *, upright: bool = False) -> dict[str, str]:
    """Files of a folder that only one engine reads, or that the engines decode to other bytes."""
    wrong = {}
    for name, pixels in node_pixels(folder, upright=upright).items():
        ours = read_photo(folder / name, upright=upright)
        if isinstance(ours, str) or isinstance(pixels, str):
            if not (isinstance(ours, str) and isinstance(pixels, str)):
                wrong[name] = f"{ours} / {pixels}"
        elif ours.pixels.shape != pixels.shape:
            wrong[name] = f"{ours.pixels.shape} / {pixels.shape}"
        elif (ours.pixels != pixels).any():
            wrong[name] = f"{np.abs(ours.pixels.astype(int) - pixels).max()} of 255"
    return wrong


def test_an_upright_photo_has_the_same_bytes_however_it_is_stored(tmp_path: Path) -> None:
    """All orientations, some that do not exist, and damaged EXIF data."""
    folder = tmp_path / "upright"
    folder.mkdir()
    photo, large = gradient((333, 251)), gradient((MAX_SIDE + 1002, 301))
    for value in range(11):
        exif = Image.Exif()
        exif[0x0112] = value
        for end in ("jpg", "png", "webp"):
            photo.save(folder / f"{value}.{end}", exif=exif)
        large.save(folder / f"large{value}.png", exif=exif)
    photo.save(folder / "cut.jpg", exif=exif.tobytes()[:17])
    assert other_pixels(folder, upright=True) == {}
    for file in folder.iterdir():
        read = read_photo(file, upright=True)
        assert not isinstance(read, str)
        turned = 5 <= int("".join(filter(str.isdigit, file.stem)) or 0) <= 8
        assert (read.pixels.shape[0] > read.pixels.shape[1]) == turned, file


def test_every_kind_of_photo_is_decoded_to_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    save_kinds(folder)
    assert other_pixels(folder) == {}
    assert not [file for file in folder.iterdir() if isinstance(read_photo(file), str)]


def test_neither_engine_applies_a_colour_profile(tmp_path: Path) -> None:
    """Red and green change places in the profile."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    for suffix in ("jpg", "png", "webp"):
        gradient((60, 40)).save(folder / f"own.{suffix}", icc_profile=bytes(profile))
    assert other_pixels(folder) == {}


def save_unsupported(folder: Path) -> None:
    """Whole files of kinds that no evaluator reads."""
    photo = gradient((60, 40))
    for name in ("a.tif", "a.bmp", "a.ppm", "a.jp2", *(["a.avif"] if features.check("avif") else [])):
        photo.save(folder / name)
    photo.convert("CMYK").save(folder / "ink.jpg")
    photo.convert("CMYK").save(folder / "progressive_ink.jpg", progressive=True)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_bytes(b"no photo")
    (folder / "page.jpg").write_bytes(b"<html><body>404</body></html>")
    (folder / "drawing.png").write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    side = math.isqrt(MAX_PIXELS) + 1
    (folder / "huge.png").write_bytes(png16(np.zeros((1, 1), np.uint16), 0, size=(side, side)))


def test_other_formats_and_inks_are_unreadable_in_both_engines(tmp_path: Path) -> None:
    folder = tmp_path / "unsupported"
    folder.mkdir()
    save_unsupported(folder)
    node = node_pixels(folder)
    assert [name for name, found in node.items() if not isinstance(found, str)] == []
    ours = {name: read_photo(folder / name) for name in node}
    assert [name for name, found in ours.items() if not isinstance(found, str)] == []
    assert (ours["ink.jpg"], node["ink.jpg"]) == ("unsupported colours: cmyk",) * 2
    assert (ours["a.tif"], node["a.tif"]) == ("unsupported image format",) * 2
    assert ours["huge.png"] == f"more than {MAX_PIXELS} pixels"


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


def test_both_engines_agree_which_damaged_photos_are_unreadable(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "damaged"
    whole.mkdir()
    folder.mkdir()
    photo = gradient((160, 120))
    for name in ("a.jpg", "a.png", "a.webp", "p.jpg"):
        photo.save(whole / name, **({"progressive": True} if name == "p.jpg" else {}))
    for file in whole.iterdir():
        for way, spoil in damage().items():
            (folder / f"{way}_{file.name}").write_bytes(spoil(file.read_bytes()))
    node = {name: isinstance(pixels, str) for name, pixels in node_pixels(folder).items()}
    ours = {name: isinstance(read_photo(folder / name), str) for name in node}
    assert {name for name in node if node[name] != ours[name]} == set()
    assert sum(node.values()) > len(node) / 2
    assert not all(node.values())


def test_damage_inside_a_gif_stops_one_engine_only(tmp_path: Path) -> None:
    """Their GIF decoders are not the same, and docs/faceapi.md says which one goes on. Cut files stop both."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    gradient((160, 120)).save(tmp_path / "a.gif")
    content = (tmp_path / "a.gif").read_bytes()
    for way, spoil in damage().items():
        (folder / f"{way}.gif").write_bytes(spoil(content))
    node = node_pixels(folder)
    unread = {
        Path(name).stem: (isinstance(read_photo(folder / name), str), isinstance(node[name], str)) for name in node
    }
    differ = {way: found for way, found in unread.items() if len(set(found)) > 1}
    assert {found for way, found in differ.items() if not way.startswith("less")} <= {(True, False)}
    assert set(differ) <= {"less1", "less2", *(f"spoilt{n}" for n in range(6))}


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
    result = onnx(Listed(spoilt), FaceApiSettings(), cache)
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
    result = onnx(Listed([Row(2, file.name, file, "neutral", box)]), FaceApiSettings(), cache)
    assert float(result.rows.split(",")[5]) > 0.5
