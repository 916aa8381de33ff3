"""Tile by tile is what the modules do: values, gradients, running statistics; on any number of threads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from trainable.network.stages import StageBoundary, set_stage, train_mode
from trainable.network.tiled import tiles
from trainable.network.tiled.layers import convolution_backward, layers_of
from trainable.network.tiled.linear import tiled_linear
from trainable.network.tiled.step import tiled_features
from trainable.pieces.threads import share_among

IMAGES, SIDE = 7, 64


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    share_among(lambda: 1)


@pytest.fixture(scope="module")
def features() -> nn.Sequential:
    """With statistics and normalisation unlike those of a new network, one scale of zero among them."""
    torch.manual_seed(1)
    found = mobilenet_v3_small(weights=None).features.train()
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.5)
            nn.init.normal_(module.bias, 0.0, 0.5)
            assert module.running_mean is not None
            module.running_mean.normal_()
    with torch.no_grad():
        found.get_submodule("1.block.0.1").get_parameter("weight")[3] = 0.0
    return found


def pixels(dtype: torch.dtype) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(IMAGES, 3, SIDE, SIDE, dtype=dtype).contiguous(memory_format=torch.channels_last)


def there_and_back(features: nn.Sequential, x: Tensor, *, tiled: bool) -> dict[str, Tensor]:
    """Everything that a step leaves: output, gradients, running statistics."""
    own = copy.deepcopy(features).to(x.dtype)
    out = tiled_features(layers_of(own), x) if tiled else own(x).mean((2, 3))
    torch.manual_seed(3)
    (out * torch.randn_like(out)).sum().backward()
    gradients = {name: p.grad for name, p in own.named_parameters() if p.grad is not None}
    assert len(gradients) == len(list(own.parameters()))
    return {"out": out.detach(), **gradients, **{f"{name} itself": b for name, b in own.named_buffers()}}


def maps(dtype: torch.dtype) -> Tensor:
    """What enters stage 2."""
    torch.manual_seed(2)
    return torch.randn(IMAGES, 96, 5, 5, dtype=dtype).contiguous(memory_format=torch.channels_last)


PARTS = pytest.mark.parametrize(("first", "entering"), [(0, pixels), (-2, maps)], ids=["stage 3", "stage 2"])


@PARTS
@pytest.mark.parametrize("tile_bytes", [1, 1 << 17, 1 << 30], ids=["an image each", "several", "one tile"])
def test_it_is_what_the_modules_do(
    features: nn.Sequential, first: int, entering: Callable[[torch.dtype], Tensor], tile_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In float64, where rounding cannot hide a mistake."""
    monkeypatch.setattr(tiles, "TILE_BYTES", tile_bytes)
    x, features = entering(torch.float64), features[first:]
    ours, theirs = (there_and_back(features, x, tiled=tiled) for tiled in (True, False))
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-7, atol=1e-9, msg=lambda text, n=name: f"{n}: {text}")


@PARTS
def test_the_number_of_threads_changes_no_bit(
    features: nn.Sequential, first: int, entering: Callable[[torch.dtype], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 17)
    found = []
    for threads in (1, 2, 3, 8):
        share_among(lambda count=threads: count)  # type: ignore[misc]
        found.append(there_and_back(features[first:], entering(torch.float32), tiled=True))
    for other in found[1:]:
        assert all(torch.equal(value, other[name]) for name, value in found[0].items())


def test_every_parameter_has_its_place(features: nn.Sequential) -> None:
    own = [id(parameter) for layer in layers_of(features) for parameter in layer.parameters]
    assert own == [id(parameter) for parameter in features.parameters()]


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [9, 10])
def test_a_depthwise_gradient_in_parts_is_the_whole_one(kernel: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False, dtype=torch.float64)
    x = torch.randn(3, 6, side, side, dtype=torch.float64, requires_grad=True)
    y = conv(x)
    dy, dw = torch.randn_like(y), torch.empty_like(conv.weight)
    dx = convolution_backward(conv, dy, x.detach(), dw)
    expected = torch.autograd.grad(y, (x, conv.weight), dy)
    torch.testing.assert_close((dx, dw), expected)


@pytest.mark.parametrize(
    ("training", "stage", "half", "expected"),
    [
        *[(True, 3, False, True), (False, 3, False, False), (True, 3, True, False)],
        *[(True, 2, False, True), (False, 2, False, False), (True, 2, True, False), (True, 1, False, False)],
    ],
)
def test_stages_2_and_3_train_with_it_on_a_cpu_in_full_precision(
    training: bool, stage: int, half: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def spy(layers: list[object], x: Tensor) -> Tensor:
        called.append(len(layers))
        return torch.zeros(len(x), 576)

    monkeypatch.setattr("trainable.network.stages.tiled_features", spy)
    model = mobilenet_v3_small(weights=None, num_classes=3)
    set_stage(model, stage)
    train_mode(model, stage) if training else model.eval()
    cut = StageBoundary(model, stage)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        cut.after(cut.before(torch.zeros(2, 3, SIDE, SIDE)))
    assert bool(called) == expected


@pytest.mark.parametrize(("width", "out"), [(576, 1024), (5, 3), (128, 129)])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_linear_layer_in_parts_is_the_whole_one(width: int, out: int, frozen: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(width, out, dtype=torch.float64).requires_grad_(not frozen)
    x = torch.randn(7, width, dtype=torch.float64, requires_grad=True)
    inputs = [x, *(() if frozen else linear.parameters())]
    y, expected = tiled_linear(linear, x), linear(x)
    torch.testing.assert_close(y, expected)
    dy = torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad(y, inputs, dy), torch.autograd.grad(expected, inputs, dy))


@pytest.mark.parametrize(("images", "image_bytes", "expected"), [(7, 1 << 30, [1] * 7), (7, 1 << 19, [2, 2, 3])])
def test_tiles_hold_what_fits_and_differ_by_one(images: int, image_bytes: int, expected: list[int]) -> None:
    assert tiles.tiles_of(images, image_bytes) == expected
