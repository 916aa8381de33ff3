"""Images, their order and their mirroring: functions of (seed, epoch) and of nothing else."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_runs import tables_of
from torch import Tensor
from torchvision import transforms

from trainable.base.config import IMAGE_SIZE, LARGEST_SEED
from trainable.base.errors import ExperimentError
from trainable.data.images import decode, read_image
from trainable.data.tables import ImageTable
from trainable.feed.order import epoch_flips, epoch_order
from trainable.feed.plain import ImageBatches
from trainable.network.pixels import _normalise_on_gpu, normalise

CLASSES = ["angry", "happy", "sad"]
Epoch = tuple[Tensor, Tensor, list[str]]
SEEDS = st.integers(0, LARGEST_SEED - 1)


def batches(table: ImageTable, batch: int = 4, *, seed: int | None = 7, workers: int = 0) -> ImageBatches:
    return ImageBatches(table, CLASSES, batch, seed=seed, workers=workers, pin=False)


def all_of(images: ImageBatches, epoch: int = 0) -> Epoch:
    pixels, labels, corrupt = zip(*images.epoch(epoch), strict=True)
    return torch.cat(pixels), torch.cat(labels), list(chain(*corrupt))


def same(one: Epoch, other: Epoch) -> bool:
    return torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]) and one[2] == other[2]


@pytest.fixture(scope="module")
def table(shared_project: Path) -> ImageTable:
    return tables_of(shared_project)["train"]


# -- order and mirroring


@given(seed=SEEDS, epoch=st.integers(0, 1000), n=st.integers(1, 300))
def test_an_epoch_is_a_permutation_that_depends_on_seed_and_epoch_only(seed: int, epoch: int, n: int) -> None:
    order, flips = epoch_order(seed, epoch, n), epoch_flips(seed, epoch, n)
    assert sorted(order.tolist()) == list(range(n))
    assert (flips.dtype, flips.shape) == (torch.bool, (n,))
    torch.rand(3)  # what else is drawn changes nothing
    assert torch.equal(order, epoch_order(seed, epoch, n))
    assert torch.equal(flips, epoch_flips(seed, epoch, n))


@given(seed=SEEDS, epoch=st.integers(0, 1000))
def test_other_epochs_and_other_seeds_go_otherwise(seed: int, epoch: int) -> None:
    for other_seed, other_epoch in ((seed, epoch + 1), (seed + 1, epoch)):
        assert not torch.equal(epoch_order(seed, epoch, 200), epoch_order(other_seed, other_epoch, 200))
        assert not torch.equal(epoch_flips(seed, epoch, 200), epoch_flips(other_seed, other_epoch, 200))


def test_half_of_the_images_are_mirrored() -> None:
    assert 4700 < int(epoch_flips(1337, 0, 10_000).sum()) < 5300


def test_an_epoch_does_not_depend_on_those_before(table: ImageTable) -> None:
    images = batches(table)
    third = [all_of(images, epoch) for epoch in range(3)][2]
    assert same(third, all_of(batches(table), 2))
    assert not same(third, all_of(images, 1))


def test_the_batch_size_cuts_but_does_not_shuffle(table: ImageTable) -> None:
    assert same(all_of(batches(table, 4), 1), all_of(batches(table, 7), 1))


@pytest.mark.parametrize(("batch", "sizes"), [(18, [18]), (1024, [18]), (8, [8, 8, 2])])
def test_the_last_batch_is_what_is_left(table: ImageTable, batch: int, sizes: list[int]) -> None:
    images = batches(table, batch)
    assert [len(labels) for _, labels, _ in images.epoch()] == sizes
    assert len(images) == 18


def test_every_image_comes_once_an_epoch_with_its_label_mirrored_or_not(table: ImageTable) -> None:
    plain, labels, _ = all_of(batches(table, seed=None))
    assert labels.tolist() == [CLASSES.index(label) for label in table.labels]
    mirrored = 0
    for epoch in range(2):
        seen = []
        for pixels, label in zip(*all_of(batches(table), epoch)[:2], strict=True):
            (index,) = (
                i for i in range(len(table)) if any(torch.equal(pixels, x) for x in (plain[i], plain[i].flip(-1)))
            )
            assert label == labels[index]
            mirrored += not torch.equal(pixels, plain[index])
            seen.append(index)
        assert sorted(seen) == list(range(len(table)))
        assert seen != sorted(seen)
    assert 0 < mirrored < 2 * len(table)


def test_file_order_is_the_files_and_never_mirrored(table: ImageTable) -> None:
    pixels, _, _ = all_of(batches(table, seed=None), 5)
    for row, found in zip(table.rows, pixels, strict=True):
        with Image.open(row.file) as image:
            assert np.array_equal(found.numpy(), np.asarray(image).transpose(2, 0, 1))


def test_workers_change_nothing(project: Path) -> None:
    table = tables_of(project)["train"]
    table.rows[5].file.write_bytes(b"no image")
    here, there = batches(table), batches(table, workers=2)
    for epoch in range(2):
        alone = all_of(here, epoch)
        assert same(alone, all_of(there, epoch))
        assert alone[2] == [table.rows[5].path]


def test_reading_images_draws_no_random_numbers(table: ImageTable) -> None:
    """Else dropout would depend on how often something was evaluated."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    all_of(batches(table))
    all_of(batches(table, workers=1))
    assert torch.equal(before, torch.get_rng_state())


# -- decoding

BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "zero bytes": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "header only": lambda data: data[:20],
    "text": lambda data: b"<html>404</html>",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
@pytest.mark.parametrize("how", BREAKS)
def test_a_corrupt_image_is_a_black_patch_and_is_named(project: Path, how: str, suffix: str) -> None:
    table = tables_of(project)["train"]
    row = table.rows[2]
    Image.effect_noise((160, 160), 90).convert("RGB").save(row.file, suffix)
    assert decode(row.file.read_bytes()) is not None
    row.file.write_bytes(BREAKS[how](row.file.read_bytes()))
    parts = list(batches(table, 2, seed=None).epoch())
    assert [corrupt for _, _, corrupt in parts] == [[], [row.path]] + [[]] * 7
    pixels, labels, _ = parts[1]
    assert pixels[0].shape == (3, IMAGE_SIZE, IMAGE_SIZE)
    assert not pixels[0].any()
    assert labels[0] == CLASSES.index(row.label)
    assert pixels[1].any()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40_000), (40_000, 1), (20_000, 1)])
def test_a_crop_of_extreme_size_is_resized(mode: str, size: tuple[int, int]) -> None:
    content = io.BytesIO()
    Image.new(mode, size, {"L": 200, "I;16": 200 << 8}.get(mode, (200,) * len(mode))).save(content, "PNG")
    pixels = decode(content.getvalue())
    assert pixels is not None
    assert (pixels.shape, pixels.min(), pixels.max()) == ((IMAGE_SIZE, IMAGE_SIZE, 3), 200, 200)


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 1), (1, 2**31 - 1), (0, 5)])
def test_a_crop_whose_header_asks_for_too_much_is_corrupt(size: tuple[int, int]) -> None:
    content = io.BytesIO()
    Image.new("RGB", (9, 9)).save(content, "PNG")
    data = bytearray(content.getvalue())
    data[16:24] = struct.pack(">II", *size)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    assert decode(bytes(data)) is None


@pytest.mark.parametrize("size", [(320, 200), (16, 16), (160, 161)])
def test_an_image_of_another_size_is_resized(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (10, 200, 30))
    image.paste((250, 0, 0), (0, 0, size[0] // 2, size[1]))
    image.save(tmp_path / "x.png")
    pixels = decode((tmp_path / "x.png").read_bytes())
    assert pixels is not None
    assert (pixels.shape, pixels.dtype) == ((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    assert (pixels[:, :70] == (250, 0, 0)).all()
    assert (pixels[:, 90:] == (10, 200, 30)).all()


def test_an_image_of_another_size_is_resized_bilinearly(tmp_path: Path) -> None:
    noise = Image.effect_noise((300, 220), 90).convert("RGB")
    noise.save(tmp_path / "x.png")
    pixels = decode((tmp_path / "x.png").read_bytes())
    assert pixels is not None
    assert np.array_equal(pixels, np.asarray(noise.resize((160, 160), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize(
    ("mode", "suffix", "colour"),
    [
        ("L", "png", (90, 90, 90)),
        ("L", "jpg", (90, 90, 90)),
        ("1", "png", (255, 255, 255)),
        ("LA", "png", (90, 90, 90)),
        ("P", "png", (204, 51, 102)),
        ("P", "gif", (204, 51, 102)),
        ("RGBA", "png", (204, 51, 102)),
        ("CMYK", "jpg", (204, 51, 102)),
        ("YCbCr", "jpg", (204, 51, 102)),
    ],
)
def test_images_of_every_mode_decode_to_rgb(
    tmp_path: Path, mode: str, suffix: str, colour: tuple[int, int, int]
) -> None:
    file = tmp_path / f"x.{suffix}"
    Image.new("RGB", (160, 160), colour).convert(mode).save(file)
    with Image.open(file) as image:
        assert image.mode == ("RGB" if mode == "YCbCr" else mode)
    pixels = decode(file.read_bytes())
    assert pixels is not None
    assert np.abs(pixels.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_has_gone_is_an_error_and_not_a_black_patch(project: Path, workers: int) -> None:
    table = tables_of(project)["train"]
    table.rows[3].file.unlink()
    with pytest.raises(ExperimentError) as caught:
        all_of(batches(table, workers=workers))
    assert str(caught.value) == f"{table.rows[3].file}: has gone since the inputs were checked"


def test_a_folder_of_the_same_rows_twice_is_read_twice(table: ImageTable) -> None:
    twice = table.take([0, 1, 2] * 2)
    pixels, labels, _ = all_of(batches(twice, seed=None))
    assert torch.equal(pixels[:3], pixels[3:])
    assert labels.tolist() == [0, 1, 2] * 2


def test_normalise_is_torchvision_bit_by_bit() -> None:
    """Every value of every channel."""
    values = np.arange(256, dtype=np.uint8)
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    image[:2, :128] = values.reshape(2, 128, 1)
    image[..., 1] = np.flipud(image[..., 1])
    image[..., 2] = image[..., 2].T
    usual = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    )
    expected = usual(Image.fromarray(image))
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    found = normalise(pixels, torch.device("cpu"))
    assert torch.equal(found[0], expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert pixels.dtype == torch.uint8
    assert pixels.max() == 255, "the input was changed"


def test_normalise_on_a_gpu_rounds_differently_by_less_than_1e_6() -> None:
    """Its arithmetic, here on the CPU; the layout is what decides the speed of convolutions."""
    cpu = torch.device("cpu")
    pixels = torch.arange(256, dtype=torch.uint8).view(2, 1, 8, 16).expand(2, 3, 8, 16)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    found = _normalise_on_gpu(pixels)
    assert found.dtype == torch.float32 and found.is_contiguous(memory_format=torch.channels_last)
    assert float((found - normalise(pixels, cpu)).abs().max()) < 1e-6


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 160 * 160).astype(np.uint16).reshape(160, 160)
    Image.fromarray(values).save(tmp_path / "deep.png")
    pixels = decode((tmp_path / "deep.png").read_bytes())
    assert pixels is not None
    assert (pixels == (values >> 8).astype(np.uint8)[..., None]).all()


def test_a_file_the_system_cannot_read_is_no_corrupt_image(tmp_path: Path) -> None:
    """A folder stands for all that the system refuses: root may read any file."""
    (tmp_path / "face.jpg").mkdir()
    with pytest.raises(ExperimentError, match=r"face\.jpg: cannot be read"):
        read_image(tmp_path / "face.jpg")
