"""The demo data: reproducible to the byte, complete, balanced, and showing what its labels say."""

from __future__ import annotations

import csv
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.demo import dataset
from orchestrator.demo.dataset import DemoSize, SplitSize, write_demo
from orchestrator.demo.expressions import KOREAN, LABELS
from orchestrator.demo.photo import CROP_MARGIN, CROP_SIDE, STREET, STUDIO, Domain, Photo, photo_generator, take_photo

NONE = SplitSize(0, 0, 0)
SMALL = DemoSize(M1=SplitSize(12, 6, 6), M2=SplitSize(6, 6, 6), K7=SplitSize(7, 7, 7))
TINY = DemoSize(M1=SplitSize(2, 0, 1), M2=NONE, K7=SplitSize(2, 0, 0))
SEED = 7


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def box_of(row: dict[str, str]) -> np.ndarray:
    return np.array([float(row[name]) for name in ("minX", "minY", "maxX", "maxY")])


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def draw(label: str, domain: Domain, index: int, split: str = "t", seed: int = SEED) -> Photo:
    return take_photo(label, domain, photo_generator(seed, split, index))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small complete project, drawn by two processes."""
    root = tmp_path_factory.mktemp("demo") / "project"
    write_demo(root, SEED, SMALL, workers=2)
    return root


def test_the_number_of_workers_does_not_change_a_byte(demo: Path, tmp_path: Path) -> None:
    write_demo(tmp_path / "project", SEED, SMALL, workers=1)
    assert files_below(tmp_path / "project") == files_below(demo)


def test_a_photo_does_not_depend_on_how_many_are_made(demo: Path, tmp_path: Path) -> None:
    write_demo(tmp_path / "project", SEED, TINY, workers=1)
    few, many = files_below(tmp_path / "project"), files_below(demo)
    photos = [name for name in few if name.endswith(".jpg")]
    assert len(photos) == 2 * 5
    assert all(few[name] == many[name] for name in photos)


def test_seed_split_and_index_each_make_another_photo() -> None:
    photos = [
        draw("happy", STUDIO, 0),
        draw("happy", STUDIO, 1),
        draw("happy", STUDIO, 0, split="u"),
        draw("happy", STUDIO, 0, seed=SEED + 1),
    ]
    assert len({photo.jpeg for photo in photos}) == len({photo.crop_jpeg for photo in photos}) == 4
    assert len({photo.box for photo in photos}) == 4


def test_every_file_is_listed_once_and_every_row_has_its_file(demo: Path) -> None:
    crops = [row["path"] for path in (demo / dataset.CROP_CSV).iterdir() for row in read_csv(path)]
    assert len(crops) == len(set(crops)) == 63
    photos = [path.replace(dataset.CROPS, dataset.PHOTOS) for path in crops]
    on_disk = {name for name in files_below(demo) if name.endswith(".jpg")}
    assert on_disk == set(crops) | set(photos)
    tests = [row["path"] for path in (demo / dataset.PHOTO_CSV).iterdir() for row in read_csv(path)]
    assert len(tests) == 12
    assert set(tests) <= set(photos)


def test_tables_are_named_and_written_as_the_project_reads_them(demo: Path) -> None:
    named = {f"{split}_{name}.csv" for split in ("train", "val", "test") for name in ("M1", "M2", "K7")}
    assert {path.name for path in (demo / dataset.CROP_CSV).iterdir()} == named
    assert {path.name for path in (demo / dataset.PHOTO_CSV).iterdir()} == {"test_M1.csv", "test_M2.csv"}
    for path in (*(demo / dataset.CROP_CSV).iterdir(), *(demo / dataset.PHOTO_CSV).iterdir()):
        label = "orig_kor" if "K7" in path.name else "label_en"
        content = path.read_bytes()
        assert content.startswith(f"path,{label},minX,minY,maxX,maxY\n".encode())
        assert b"\r" not in content


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_classes_are_balanced(demo: Path, split: str) -> None:
    table = demo / dataset.CROP_CSV
    m1 = Counter(row["label_en"] for row in read_csv(table / f"{split}_M1.csv"))
    m2 = Counter(row["label_en"] for row in read_csv(table / f"{split}_M2.csv"))
    k7 = Counter(row["orig_kor"] for row in read_csv(table / f"{split}_K7.csv"))
    assert m1 == dict.fromkeys(set(LABELS) - {"disgusted"}, 2 if split == "train" else 1)
    assert m2 == dict.fromkeys(set(LABELS) - {"surprised"}, 1)
    assert k7 == dict.fromkeys(KOREAN.values(), 1)


def test_every_class_of_the_deployment_mix_has_both_domains() -> None:
    mix = dataset.COLLECTIONS[2]
    drawn = Counter(mix.draw_of(index) for index in range(28))
    assert drawn == {(label, domain): 2 for label in LABELS for domain in (STUDIO, STREET)}


def test_photos_and_face_boxes_have_sensible_sizes(demo: Path) -> None:
    for table in (demo / dataset.PHOTO_CSV).iterdir():
        for row in read_csv(table):
            width, height = Image.open(demo / row["path"]).size
            min_x, min_y, max_x, max_y = box_of(row)
            assert 400 <= min(width, height) <= max(width, height) <= 500
            assert 0 <= min_x < max_x <= width
            assert 0 <= min_y < max_y <= height
            assert 0.2 < (max_y - min_y) / min(width, height) < 0.65
            assert 0.75 < (max_x - min_x) / (max_y - min_y) < 1.5


def test_both_tables_of_a_split_have_the_same_boxes(demo: Path) -> None:
    for name in ("M1", "M2"):
        crops = read_csv(demo / dataset.CROP_CSV / f"test_{name}.csv")
        photos = read_csv(demo / dataset.PHOTO_CSV / f"test_{name}.csv")
        assert [box_of(row).tolist() for row in crops] == [box_of(row).tolist() for row in photos]


@pytest.mark.parametrize("domain", [STUDIO, STREET], ids=["studio", "street"])
def test_a_crop_is_the_square_around_the_box_with_its_margin(domain: Domain) -> None:
    """The square is cut out of the photo again, from the box alone."""
    for index in range(6):
        taken = draw("happy", domain, index)
        crop, photo = Image.open(BytesIO(taken.crop_jpeg)), Image.open(BytesIO(taken.jpeg))
        assert crop.size == (CROP_SIDE, CROP_SIDE)
        low, high = np.array(taken.box[:2]), np.array(taken.box[2:])
        half = (high - low).max() * (0.5 + CROP_MARGIN)
        region = np.concatenate([(low + high) / 2 - half, (low + high) / 2 + half])
        assert (region >= 0).all()
        assert (region <= [*photo.size, *photo.size]).all()
        again = photo.resize(crop.size, Image.Resampling.BILINEAR, box=tuple(region))
        difference = np.abs(np.asarray(again, dtype=float) - np.asarray(crop, dtype=float)).mean()
        assert difference < 3


def test_the_box_reaches_from_cheek_to_cheek_and_down_to_the_chin() -> None:
    """Eight pixels inside the left, right and lower edge the photo shows skin, eight pixels outside another colour."""
    for index in range(6):
        taken = draw("neutral", STUDIO, index)
        pixels = np.asarray(Image.open(BytesIO(taken.jpeg)).reduce(4), dtype=float)
        min_x, min_y, max_x, max_y = taken.box

        def colour(x: float, y: float, pixels: np.ndarray = pixels) -> np.ndarray:
            return np.asarray(pixels[int(y / 4), int(x / 4)])

        middle, ears = (min_x + max_x) / 2, min_y + (max_y - min_y) * 0.2
        skin = colour(middle, min_y + (max_y - min_y) * 0.35)
        for step, is_skin in ((8, True), (-8, False)):
            for place in (min_x + step, ears), (max_x - step, ears), (middle, max_y - step):
                assert (np.abs(colour(*place) - skin).max() < 12) == is_skin, (index, place)


def test_a_second_call_draws_nothing(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_draw_all", lambda *_: pytest.fail("drew again"))
    again = write_demo(demo, SEED, SMALL)
    assert not again.created
    assert again.rows["train_M1"] == 12


def test_other_settings_replace_demo_data_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "project"
    assert write_demo(root, SEED, TINY, workers=1).created
    before = files_below(root)
    (root / "results").mkdir()
    (root / "results" / "mine.txt").write_text("keep")
    (root / "data_raw" / "photos" / "stale.jpg").write_text("old")
    assert write_demo(root, SEED + 1, TINY, workers=1).created
    after = files_below(root)
    assert after.pop("results/mine.txt") == b"keep"
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before if name.endswith(".jpg"))
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_data_that_is_no_demo_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "project" / "data_raw").mkdir(parents=True)
    (tmp_path / "project" / "data_raw" / "real.jpg").write_text("precious")
    with pytest.raises(FileExistsError, match="data_raw"):
        write_demo(tmp_path / "project", SEED, TINY, workers=1)
    assert files_below(tmp_path) == {"project/data_raw/real.jpg": b"precious"}


@pytest.mark.parametrize("stop_in", ["_draw", "_write_tables"])
@pytest.mark.parametrize("older", [False, True])
def test_an_interruption_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_in: str, older: bool
) -> None:
    if older:
        write_demo(tmp_path / "project", SEED, TINY, workers=1)
    before = files_below(tmp_path)
    real, calls = getattr(dataset, stop_in), []

    def stopping(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(dataset, stop_in, stopping)
    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path / "project", SEED + 1, TINY, workers=1)
    assert files_below(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["project"] if older else [])


def test_a_project_with_a_missing_half_is_made_again(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write_demo(root, SEED, TINY, workers=1)
    before = files_below(root)
    (root / "data_raw").rename(tmp_path / "elsewhere")
    assert write_demo(root, SEED, TINY, workers=1).created
    assert files_below(root) == before


def test_the_domains_differ_in_light_and_noise() -> None:
    def measure(domain: Domain) -> tuple[float, float, float]:
        pixels = np.stack([_crop(draw("neutral", domain, index)) for index in range(12)])
        # The median step between neighbours: noise is everywhere, the edges of a face are not.
        rough = np.median(np.abs(np.diff(pixels.mean(axis=3), axis=2)))
        return float(pixels.mean()), float((pixels[..., 0] - pixels[..., 2]).mean()), float(rough)

    studio, street = measure(STUDIO), measure(STREET)
    assert studio[0] > street[0] + 10  # brightness
    assert street[1] > studio[1]  # warmth
    assert street[2] > 1.3 * studio[2]  # noise


def _crop(photo: Photo) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(photo.crop_jpeg)), dtype=np.float32)


def test_a_linear_classifier_sees_the_expressions() -> None:
    """Twelve faces a class teach a ridge regression more than chance, on other people's faces."""
    labels = [index % 7 for index in range(112)]
    crops = [draw(LABELS[label], STUDIO, index) for index, label in enumerate(labels)]
    grey = np.stack([_crop(crop).reshape(32, 5, 32, 5, 3).mean(axis=(1, 3, 4)).ravel() for crop in crops])
    grey = (grey - grey.mean(axis=1, keepdims=True)) / grey.std(axis=1, keepdims=True)
    train, test = grey[:84], grey[84:]
    target = np.eye(7)[labels[:84]] - 1 / 7
    weights = train.T @ np.linalg.solve(train @ train.T + 30 * np.eye(84), target)
    accuracy = ((test @ weights).argmax(axis=1) == labels[84:]).mean()
    assert accuracy > 2.5 / 7
