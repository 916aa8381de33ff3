"""Frozen features: what the frozen layers make of an image, computed once (Nautilus' idea, made exact).

Stage 1 and the probe: 1024 numbers, 4 KB a flip in float32. Stage 2: 96 x 5 x 5, 9.6 KB. A row is keyed by the image's
content and its flip; a folder of rows by everything else that decides the numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn

from trainable.base.errors import CacheFull
from trainable.cache.hashes import digest
from trainable.cache.images import ImageStore
from trainable.cache.rows import ComputeRows, Rows, RowStore
from trainable.network.compute import Compute, device_name
from trainable.network.pixels import normalise
from trainable.network.stages import HEAD_INPUTS, TRUNK_SHAPE, StageBoundary
from trainable.pieces.images import PIECE, image_by_image

AS_IS, MIRRORED = "0", "1"
FORWARD_ROWS = 256
"""Images per pass through the frozen layers on a GPU; any number from 64 gives the same rows."""

# Channels last, as the network has them.
_SHAPES = {1: (HEAD_INPUTS,), 2: (*TRUNK_SHAPE[1:], TRUNK_SHAPE[0])}


class FrozenFeatures:
    """The rows at the boundary of stage 1 or 2, for one model as it is now."""

    def __init__(self, images: ImageStore, model: nn.Module, stage: int, compute: Compute) -> None:
        self.images, self.compute, self.boundary = images, compute, StageBoundary(model, stage)
        self.store = self._store(stage)

    def _store(self, stage: int) -> RowStore:
        about = {
            "stage": stage,
            "weights": _weights_digest(StageBoundary(self.boundary.model, stage).frozen_modules()),
            "dtype": str(self.compute.frozen_dtype),
            "device": device_name(self.compute.device),
            "kernels": torch.backends.cpu.get_cpu_capability() if self.compute.device.type == "cpu" else "",
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "piece": PIECE if self.compute.device.type == "cpu" else 0,
            "torch": torch.__version__,
            "images": self.images.store.folder.name,
        }
        folder = self.images.root / "features" / digest(about)[:32]
        return RowStore(self.images.root, folder, _SHAPES[stage], self.compute.frozen_dtype, about=about)

    def rows(self, digests: Sequence[str], *, both_flips: bool) -> Rows:
        """Rows of images of the image store; where `both_flips`, two an image: as it is, and mirrored.

        Raises:
            CacheFull: they do not fit.
        """
        keys = _keys(digests, both_flips=both_flips)
        if self.store.missing(keys):
            self.store.fill(keys, self._from_trunk(keys) or self._from_pixels(digests))
        return self.store.rows(keys)

    def fill_trunk(self, digests: Sequence[str], *, both_flips: bool) -> None:
        """Before stage 1 of a run that has a stage 2: its rows now, since stage 1's come from them, so that an image
        goes through the lower layers once. A cache without room for them is left in stage 2 at the latest."""
        keys = _keys(digests, both_flips=both_flips)
        if self.store.missing(keys):
            with suppress(CacheFull):
                FrozenFeatures(self.images, self.boundary.model, 2, self.compute).rows(digests, both_flips=both_flips)

    def _from_pixels(self, digests: Sequence[str]) -> ComputeRows:
        images = self.images.store.rows(digests)  # held, so that no room is made at their cost
        place = {digest: number for number, digest in enumerate(digests)}

        def compute_rows(keys: list[str]) -> tuple[Tensor, list[bool]]:
            at = [place[key[:-1]] for key in keys]
            mirrored = torch.tensor([key[-1] == MIRRORED for key in keys])
            rows = frozen_rows(self.boundary, self.compute, images.gather(torch.tensor(at)), mirrored)
            return rows, [images.flags[number] for number in at]

        return compute_rows

    def _from_trunk(self, keys: list[str]) -> ComputeRows | None:
        """How to compute stage 1's rows from stage 2's, where those are there: a tenth of the work."""
        if self.boundary.stage != 1 or (store := self._store(2)).missing(keys):
            return None
        trunk = store.rows(keys)  # held as well
        place = {key: number for number, key in enumerate(keys)}

        def compute_rows(keys: list[str]) -> tuple[Tensor, list[bool]]:
            at = [place[key] for key in keys]
            stored = trunk.gather(torch.tensor(at)).permute(0, 3, 1, 2)
            rows = _passed(lambda x: self.boundary.top(x.to(self.compute.device)), self.boundary, self.compute, stored)
            return rows, [trunk.flags[number] for number in at]

        return compute_rows


def _keys(digests: Sequence[str], *, both_flips: bool) -> list[str]:
    flips = (AS_IS, MIRRORED) if both_flips else (AS_IS,)
    return [image + flip for image in digests for flip in flips]


def frozen_rows(boundary: StageBoundary, compute: Compute, pixels: Tensor, mirrored: Tensor) -> Tensor:
    """The rows of `pixels` (uint8, (n, 160, 160, 3)), those of them mirrored that `mirrored` (bool, (n,)) names."""

    def forward(some: Tensor, turned: Tensor) -> Tensor:
        turned = torch.where(turned.view(-1, 1, 1, 1), some.flip(2), some).permute(0, 3, 1, 2)
        return boundary.frozen(normalise(turned, compute.device))

    return _passed(forward, boundary, compute, pixels, mirrored)


def _passed(forward: Callable[..., Tensor], boundary: StageBoundary, compute: Compute, *tensors: Tensor) -> Tensor:
    """`forward` of the tensors, in eval mode; the rows as they are stored, on the CPU."""
    size = min(FORWARD_ROWS, compute.micro_batch or FORWARD_ROWS)
    parts = zip(*(tensor.split(size) for tensor in tensors), strict=True)
    with _eval_mode(boundary.frozen_modules()), torch.no_grad(), compute.autocast():
        out = torch.cat([image_by_image(forward, compute.device, *part).cpu() for part in parts])
    return out.permute(0, 2, 3, 1).contiguous() if out.dim() == 4 else out


@contextmanager
def _eval_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Each layer by itself gets its mode back: a slice of a Sequential says nothing about those in it."""
    modes = [(layer, layer.training) for module in modules for layer in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _weights_digest(modules: Sequence[nn.Module]) -> str:
    """SHA-256 of all parameters and buffers."""
    found = hashlib.sha256()
    for module in modules:
        for name, tensor in module.state_dict().items():
            found.update(name.encode())
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
