"""Two best.pt: the first tensor that differs, how many of its numbers, and by how much."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_results import flip
from torch import Tensor

from orchestrator.verification.tensors import state_difference, weights_difference

CONFIG: dict[str, Any] = {"mode": "probe", "seed": 1337, "weights": "none"}


def state() -> dict[str, Tensor]:
    """The kinds of tensors that a network has: channels_last, vectors, and counters without dimensions."""
    torch.manual_seed(1)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last),
        "bn.running_var": torch.rand(4),
        "bn.num_batches_tracked": torch.tensor(7),
        "half": torch.randn(5).half(),
        "none": torch.empty(0),
    }


def save(path: Path, weights: dict[str, Tensor], **changes: Any) -> Path:
    torch.save({"state_dict": weights, "classes": ["기쁨", "슬픔"], "config": CONFIG, **changes}, path)
    return path


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("again") / "best.pt", state())


def test_the_same(again: Path, tmp_path: Path) -> None:
    assert weights_difference(save(tmp_path / "best.pt", state()), again) is None
    moved = save(tmp_path / "best.pt", state(), config={**CONFIG, "weights": "/elsewhere.pt"})
    assert moved.read_bytes() != again.read_bytes()
    assert weights_difference(moved, again) is None


@given(data=st.data())
def test_every_bit_of_every_number_counts(data: st.DataObject) -> None:
    """Also those that make a number NaN, or a zero negative."""
    before, after = state(), state()
    name = data.draw(st.sampled_from([key for key, tensor in before.items() if tensor.numel()]))
    places = data.draw(st.sets(st.integers(0, before[name].numel() - 1), min_size=1))
    tensor = before[name].clone(memory_format=torch.contiguous_format)
    size = tensor.element_size()
    for place in places:
        bit = data.draw(st.integers(0, 8 * size - 1))
        tensor.reshape(-1).view(torch.uint8)[place * size + bit // 8] ^= 1 << bit % 8
    before[name] = tensor
    found = state_difference(before, after)
    assert found is not None
    assert found.startswith(f"{name}: {len(places)} of {tensor.numel()} numbers differ, by ")


def test_how_much() -> None:
    before = state()
    before["bn.running_var"][1] += 0.25
    before["bn.running_var"][3] -= 0.5
    assert state_difference(before, state()) == "bn.running_var: 2 of 4 numbers differ, by 0.5 at most"
    before = state()
    before["bn.running_var"][1], after = 0.0, state()
    after["bn.running_var"][1] = -0.0
    assert state_difference(before, after) == "bn.running_var: 1 of 4 numbers differ, by 0 at most"
    assert state_difference(after, after) is None


def test_other_tensors() -> None:
    before = state()
    del before["half"]
    assert state_difference(before, state()) == "half is missing on disk"
    assert state_difference(state(), before) == "half is there only on disk"
    before = state() | {"half": torch.zeros(5)}
    assert state_difference(before, state()) == "half is float32 of shape (5,) on disk, float16 of shape (5,) again"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["기쁨", "분노"]}, 'best.pt, classes[1] "분노" on disk, "슬픔" again'),
        ({"config": {**CONFIG, "seed": 7}}, "best.pt, config.seed 7 on disk, 1337 again"),
    ],
    ids=["classes", "config"],
)
def test_what_lies_beside_the_weights(again: Path, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert weights_difference(save(tmp_path / "best.pt", state(), **changes), again) == words


@given(data=st.data())
def test_a_flipped_bit_in_the_file_is_found_with_its_tensor(
    again: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Where the numbers lie."""
    file = tmp_path_factory.mktemp("flipped") / "best.pt"
    file.write_bytes(again.read_bytes())
    with zipfile.ZipFile(again) as archive:
        records = [info for info in archive.infolist() if "/data/" in info.filename and info.file_size]
    record = data.draw(st.sampled_from(records))
    name, extra = struct.unpack("<HH", file.read_bytes()[record.header_offset + 26 : record.header_offset + 30])
    start = record.header_offset + 30 + name + extra
    flip(file, start + data.draw(st.integers(0, record.file_size - 1)), 1 << data.draw(st.integers(0, 7)))
    found = weights_difference(file, again)
    assert found is not None
    assert re.match(r"best\.pt, (conv|bn|half)\S*: 1 of \d+ numbers differ", found)


@pytest.mark.parametrize("content", [b"", b"PK half an archive", b"{}"], ids=["empty", "short", "json"])
def test_a_file_that_is_no_checkpoint(again: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "best.pt"
    file.write_bytes(content)
    assert str(weights_difference(file, again)).startswith("best.pt cannot be read (")
    file.unlink()
    assert str(weights_difference(file, again)).startswith("best.pt cannot be read (")
