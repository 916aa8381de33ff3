"""CUDA graphs, as far as they can be seen without a GPU (`benchmarks/gpu_check.sh` has the rest)."""

from __future__ import annotations

import torch
from torch import Tensor

from trainable.network.graphs import _Graph


class Recorded:
    """In place of a captured graph, which only a GPU has: computes from the graph's own inputs, as a replay does."""

    def __init__(self, graph: _Graph) -> None:
        self.owner = graph

    def replay(self) -> None:
        graph = self.owner
        graph.logits.copy_(10 * graph.x)
        graph.loss.copy_((graph.x.sum(1) * graph.y).sum() / graph.total)
        graph.gradients[0].copy_(graph.y.sum())  # type: ignore[union-attr]


def test_a_replay_takes_the_images_the_labels_and_the_total_of_its_batch() -> None:
    parameter = torch.zeros((), requires_grad=True)
    graph = _Graph.__new__(_Graph)  # __init__ captures
    graph.parameters, graph.gradients = [parameter], [torch.zeros(())]
    graph.x, graph.y, graph.total = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.ones(())
    graph.logits, graph.loss = torch.zeros(3, 2), torch.zeros(())
    graph.graph = Recorded(graph)  # type: ignore[assignment]
    for x, y, total in ((torch.ones(3, 2), torch.tensor([0, 1, 2]), 2.0), (torch.rand(3, 2), torch.arange(4, 7), 3.0)):
        logits, loss = graph.replay(x, y, torch.tensor(total))
        assert torch.equal(logits, 10 * x)
        assert torch.equal(loss, (x.sum(1) * y).sum() / total)
        assert isinstance(parameter.grad, Tensor) and parameter.grad == y.sum()
