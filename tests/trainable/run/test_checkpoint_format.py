"""A state in a few long tensors is the state, bit by bit and stride by stride."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import CPU, finetune, spec_of
from torch import Tensor

from trainable.run.checkpoint_format import pack, unpack
from trainable.run.trainer import Trainer


def tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    items = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return [tensor for item in items for tensor in tensors(item)]


def assert_equal(found: Any, expected: Any) -> None:
    """Values, types, shapes and strides."""
    if isinstance(expected, Tensor):
        assert (found.dtype, found.shape, found.stride()) == (expected.dtype, expected.shape, expected.stride())
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_equal(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    else:
        assert (type(found), found) == (type(expected), expected)


@given(
    st.lists(st.integers(0, 4), max_size=4), st.permutations(range(4)), st.sampled_from([torch.float32, torch.int64])
)
def test_any_order_of_dimensions(shape: list[int], order: list[int], dtype: torch.dtype) -> None:
    tensor = torch.arange(torch.Size(shape).numel(), dtype=dtype).view(shape)
    tensor = tensor.permute([dim for dim in order if dim < len(shape)])
    state = {"a": [tensor, {"b": tensor[:0] if shape else tensor}], "c": (0.9, 0.999), "d": None, "e": "tensor"}
    assert_equal(unpack(pack(state)), state)


@pytest.mark.parametrize("view", [lambda x: x[:, ::2], lambda x: x[1:, 1:3], lambda x: x[0].expand(3, 8)])
def test_a_view_with_gaps_keeps_its_numbers(view: Any) -> None:
    tensor = view(torch.arange(32.0).view(4, 8))
    assert torch.equal(unpack(pack([tensor]))[0], tensor)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([4095, 4096, 5000])), max_size=8))
def test_large_tensors_that_are_equal_are_kept_once_and_come_back_apart(made: list[tuple[int, int]]) -> None:
    state = [torch.zeros(size) for _, size in made]
    for tensor, (value, _) in zip(state, made, strict=True):
        tensor[-1] = value
    packed = pack(state)
    kept = sum(map(len, packed["tensors"].values()))
    large = {(value, size) for value, size in made if size >= 4096}
    assert kept == sum(size for _, size in large) + sum(size for _, size in made if size < 4096)
    found = unpack(packed)
    assert_equal(found, state)
    assert len({tensor.data_ptr() for tensor in found}) == len(found)


def test_equal_means_bit_by_bit() -> None:
    zeros = torch.zeros(5000)
    state = [zeros, -zeros, zeros / 0, zeros.view(50, 100), zeros.view(50, 100).t(), zeros.to(torch.int32)]
    packed = pack(state)
    assert [len(tensor) for tensor in packed["tensors"].values()] == [15_000, 5000]
    found = unpack(packed)
    assert bool(found[1].signbit().all()) and not bool(found[0].signbit().any())
    assert bool(found[2].isnan().all())
    assert [tensor.stride() for tensor in found] == [tensor.stride() for tensor in state]


def test_what_the_best_epoch_has_in_common_with_the_model_is_kept_once(shared_project: Path, tmp_path: Path) -> None:
    run = Trainer(spec_of(shared_project, tmp_path / "out", finetune("none", epochs=3, batch=8)), CPU)
    run.step()
    state = run.state_dict()
    assert_equal(state["best"]["model"], dict(state["model"]))
    (with_both, alone) = (sum(map(len, pack(some)["tensors"].values())) for some in (state, state | {"best": {}}))
    assert with_both < 1.05 * alone


def test_a_trainer_s_state_goes_through_a_file_in_few_tensors(shared_project: Path, tmp_path: Path) -> None:
    """In stage 3, where the moments lie in memory as the parameters do: the fused optimizer walks both side by side."""
    run = Trainer(spec_of(shared_project, tmp_path / "out", finetune("none", epochs=3, batch=8)), CPU)
    for _ in range(3):
        run.step()
    state = run.state_dict()
    assert any(not tensor.is_contiguous() for tensor in tensors(state["optimizer"])), "nothing is channels last"
    torch.save(pack(state), tmp_path / "state.pt")
    packed = torch.load(tmp_path / "state.pt", weights_only=True)
    assert len(packed["tensors"]) <= 2
    found = unpack(packed)
    expected = state | {part: _plain(state[part]) for part in ("model", "best")}
    assert_equal(found, expected)
    storages = [tensor.untyped_storage().data_ptr() for tensor in tensors(found)]
    assert len(set(storages)) == len(storages) == len(tensors(state)) > 700


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) if isinstance(value, dict) else value for key, value in state.items()}
