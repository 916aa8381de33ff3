"""A training step as one CUDA graph: the network is small, and a GPU waits for Python to launch its many kernels.

What is captured is what would have run: the same kernels on the same numbers, with the same dropout (PyTorch's graphs
take seed and offset from the generator at each replay). See "CUDA graphs" in PyTorch's notes on CUDA semantics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

CAPTURE_AT = 8
"""The use of a shape at which it is captured, so that a short run does not pay for graphs that it hardly uses. A guess:
what a capture costs was not timed."""
SLACK = 1.5
"""Free memory that a capture must find, in steps: a graph keeps a step's memory to itself."""

Backward = Callable[[Tensor, Tensor, "Tensor | int"], tuple[Tensor, Tensor]]
"""Inputs (b, ...), labels (b,) and the total of the objective; gives logits (b, classes) and the summed loss, and adds
the gradients to those of the parameters."""


class StepGraphs:
    """Runs a `Backward` of one model in one stage; a graph for each shape of batch, a full one's and the last one's.

    Not for steps whose gradients are added up over several calls: a replay overwrites them.

    Args:
        device: a GPU.
        parameters: those that train.
    """

    def __init__(self, device: torch.device, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.refused = False
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()  # graphs that run one after the other work in the same memory
        self._uses: Counter[Hashable] = Counter()
        self._graphs: dict[Hashable, _Graph] = {}
        torch.cuda.reset_peak_memory_stats(device)  # from now on the peak is a step's

    def __call__(self, backward: Backward, x: Tensor, y: Tensor, total: Tensor | int) -> tuple[Tensor, Tensor]:
        """`backward(x, y, total)`; what it returns is overwritten by the next call."""
        shape = (x.shape, x.dtype, total if isinstance(total, int) else None)
        self._uses[shape] += 1
        if self._uses[shape] >= CAPTURE_AT and shape not in self._graphs and not self.refused:
            self._capture(shape, backward, x, y, total)
        if shape in self._graphs:
            return self._graphs[shape].replay(x, y, total)
        return self._aside(backward, x, y, total)

    def _aside(self, backward: Backward, x: Tensor, y: Tensor, total: Tensor | int) -> tuple[Tensor, Tensor]:
        """On the stream of the captures: libraries take their workspaces, and autograd its streams, by the stream."""
        main = torch.cuda.current_stream(x.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            result = backward(x, y, total)
        main.wait_stream(self.stream)
        return result

    def _capture(self, shape: Hashable, backward: Backward, x: Tensor, y: Tensor, total: Tensor | int) -> None:
        """Nothing is computed by it. Where there is no memory for it, steps go on as they were."""
        torch.cuda.empty_cache()
        if torch.cuda.mem_get_info(x.device)[0] < SLACK * step_memory(x.device):
            self.refused = True
            return
        try:
            self._graphs[shape] = _Graph(self, backward, x, y, total)
        except RuntimeError:  # also what the end of a capture says of one that ran out of memory
            self.refused = True
            for parameter in self.parameters:
                parameter.grad = None
            torch.cuda.synchronize(x.device)
            torch.cuda.empty_cache()

    @property
    def captured(self) -> int:
        """The number of shapes that have a graph."""
        return len(self._graphs)


def step_memory(device: torch.device) -> int:
    """Bytes that the largest step so far took beyond what there is between steps."""
    return torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)


class _Graph:
    """One shape's step; its inputs, results and gradients have fixed places."""

    def __init__(self, owner: StepGraphs, backward: Backward, x: Tensor, y: Tensor, total: Tensor | int) -> None:
        self.parameters = owner.parameters
        self.x, self.y = x.clone(memory_format=torch.preserve_format), y.clone()
        self.total = total.clone() if isinstance(total, Tensor) else total
        self.graph = torch.cuda.CUDAGraph()
        # Other threads go on meanwhile: they prepare the next batches.
        with torch.cuda.graph(self.graph, pool=owner.pool, stream=owner.stream, capture_error_mode="thread_local"):
            self.logits, self.loss = backward(self.x, self.y, self.total)
        self.gradients = [parameter.grad for parameter in self.parameters]

    def replay(self, x: Tensor, y: Tensor, total: Tensor | int) -> tuple[Tensor, Tensor]:
        self.x.copy_(x)
        self.y.copy_(y)
        if isinstance(self.total, Tensor):
            self.total.copy_(torch.as_tensor(total))
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        return self.logits, self.loss
