"""A forward pass image by image: the same numbers whatever images share a batch, on any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from trainable.pieces.images import LEAST_ON_A_GPU, PIECE, image_by_image
from trainable.pieces.threads import share_among

CPU = torch.device("cpu")
SIDE = 32


@pytest.fixture(autouse=True)
def _one_thread_after() -> Iterator[None]:
    yield
    share_among(lambda: 1)


def sighted_network() -> nn.Module:
    """With statistics that let something through."""
    torch.manual_seed(0)
    model = mobilenet_v3_small(weights=None, num_classes=5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(64, 3, SIDE, SIDE))
    return model.eval().to(memory_format=torch.channels_last)


MODEL = sighted_network()
X = torch.randn(90, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
X = X.contiguous(memory_format=torch.channels_last)


def logits(x: Tensor) -> Tensor:
    with torch.no_grad():
        return image_by_image(MODEL, CPU, x)


WHOLE = logits(X)


def test_the_images_of_these_tests_differ() -> None:
    assert len(WHOLE.unique(dim=0)) == len(X)
    torch.testing.assert_close(WHOLE, MODEL(X).detach(), rtol=1e-4, atol=1e-5)


@given(
    st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=70),
    st.sampled_from([1, 2, 3, 4, 8]),
)
def test_an_image_has_the_same_logits_among_any_others_on_any_threads(chosen: list[int], threads: int) -> None:
    share_among(lambda: threads)
    some = X[chosen].contiguous(memory_format=torch.channels_last)
    assert torch.equal(logits(some), WHOLE[chosen])


@pytest.mark.parametrize("images", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_each_pass_sees_a_whole_piece_and_tensors_are_cut_alike(images: int, layout: torch.memory_format) -> None:
    seen, x = [], torch.arange(images * 12.0).view(images, 3, 2, 2).contiguous(memory_format=layout)

    def forward(a: Tensor, b: Tensor) -> Tensor:
        seen.append(len(a))
        assert a.is_contiguous(memory_format=layout)
        return a * b.view(-1, 1, 1, 1)

    found = image_by_image(forward, CPU, x, torch.arange(images))
    assert torch.equal(found, x * torch.arange(images).view(-1, 1, 1, 1))
    assert seen == [PIECE] * -(-images // PIECE)


@pytest.mark.parametrize(("images", "expected"), [(3, LEAST_ON_A_GPU), (100, 100)])
def test_elsewhere_all_images_go_together(images: int, expected: int) -> None:
    """`meta` stands for a GPU: nothing is computed there."""
    seen = []

    def forward(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x

    assert len(image_by_image(forward, torch.device("meta"), torch.zeros(images, 2, device="meta"))) == images
    assert seen == [expected]
