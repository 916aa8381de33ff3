"""One pass: micro-batches against whole batches, evaluation against plain arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from small_runs import probe, tables_of, write_weights
from torch import Tensor, nn

from trainable.data.tables import ImageTable
from trainable.feed.order import epoch_flips
from trainable.feed.plain import ImageBatches, PlainBatches
from trainable.network.compute import Compute
from trainable.network.graphs import Backward, StepGraphs
from trainable.network.model import build_model
from trainable.network.pixels import normalise
from trainable.network.stages import StageBoundary, set_stage, train_mode
from trainable.run.loop import evaluate, train_epoch

CLASSES = ["angry", "happy", "sad"]
DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def table(shared_project: Path) -> ImageTable:
    return tables_of(shared_project)["train"]


@pytest.fixture(scope="module")
def weights(table: ImageTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.pt", table)


@pytest.fixture
def model(weights: Path) -> nn.Module:
    """Without dropout, and with a head that tells the images apart."""
    model, _ = build_model(probe(weights), CLASSES)
    model.get_submodule("classifier.2").p = 0.0
    with torch.no_grad():
        model.get_submodule("classifier.3").weight.mul_(30)
    return model


def compute(micro_batch: int | None = None) -> Compute:
    return Compute(DEVICE, amp=False, micro_batch=micro_batch)


def images(table: ImageTable, batch: int, seed: int | None = None) -> ImageBatches:
    return ImageBatches(table, CLASSES, batch, seed=seed, workers=0, pin=False)


def inputs(table: ImageTable, batch: int, seed: int | None = None) -> PlainBatches:
    """For a model that is called as a whole."""
    return PlainBatches(images(table, batch, seed), StageBoundary(nn.Identity(), 3), compute())


def gradients(model: nn.Module, table: ImageTable, micro_batch: int | None) -> dict[str, Tensor]:
    """Those of the one batch that holds every image. The weights stay: their rate is 0."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    ours = compute(micro_batch)
    train_epoch(model, inputs(table, len(table), seed=1), 0, optimizer, ours.scaler(), ours)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("micro_batch", [1, 4, 9, 17, 18, 100])
def test_micro_batches_have_the_gradient_of_the_batch(model: nn.Module, table: ImageTable, micro_batch: int) -> None:
    """Also where the last one is smaller: a mean of means would not do."""
    set_stage(model, 1)
    train_mode(model, 1)
    whole, parts = gradients(model, table, None), gradients(model, table, micro_batch)
    assert whole.keys() == parts.keys() == {"classifier.3.weight", "classifier.3.bias"}
    for name in whole:
        assert whole[name].abs().max() > 1e-3
        torch.testing.assert_close(parts[name], whole[name])


def test_micro_batches_have_the_gradient_of_the_batch_in_every_layer(model: nn.Module, table: ImageTable) -> None:
    """With BatchNorm in eval mode: in train mode it sees the micro-batches, which the log says."""
    set_stage(model, 3)
    model.eval()
    whole, parts = gradients(model, table, None), gradients(model, table, 5)
    assert len(whole) == len(list(model.parameters()))
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-5 * float(whole[name].abs().max()))


@pytest.mark.parametrize(("micro_batch", "steps"), [(None, 2), (4, 0)])
def test_a_step_goes_through_graphs_unless_its_gradients_are_added_up(
    model: nn.Module, table: ImageTable, micro_batch: int | None, steps: int
) -> None:
    """Graphs need a GPU (`benchmarks/gpu_check.sh` runs them); what they are given does not."""
    given: list[tuple[int, int]] = []

    class Through:
        def __call__(self, backward: Backward, x: Tensor, y: Tensor, total: int) -> tuple[Tensor, Tensor]:
            assert all(p.grad is None for p in model.parameters()), "a replay overwrites gradients"
            logits, loss = backward(x, y, total)
            assert not logits.requires_grad and not loss.requires_grad, "a result would keep the step's memory"
            given.append((len(x), total))
            return logits, loss

    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    ours = compute(micro_batch)
    through = cast(StepGraphs, Through())
    result = train_epoch(model.eval(), inputs(table, 10), 0, optimizer, ours.scaler(), ours, graphs=through)
    assert given == [(10, 10), (8, 8)][:steps]
    plain = train_epoch(model.eval(), inputs(table, 10), 0, optimizer, ours.scaler(), ours)
    assert (result.loss, result.accuracy) == (plain.loss, plain.accuracy)


@pytest.mark.parametrize(("micro_batch", "sizes"), [(None, [10, 8]), (4, [4, 4, 2, 4, 4]), (10, [10, 8])])
def test_the_device_never_sees_more_than_a_micro_batch(
    model: nn.Module, table: ImageTable, micro_batch: int | None, sizes: list[int]
) -> None:
    seen: list[int] = []
    model.register_forward_hook(lambda module, args, output: seen.append(len(output)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    train_epoch(model, inputs(table, 10), 0, optimizer, compute().scaler(), compute(micro_batch))
    assert seen == sizes
    evaluate(model.eval(), inputs(table, 10), compute(micro_batch))
    assert seen == sizes * 2


def test_the_gradient_is_that_of_the_mean_cross_entropy(model: nn.Module, table: ImageTable) -> None:
    set_stage(model, 1)
    train_mode(model, 1)
    found = gradients(model, table, 4)
    pixels, labels, _ = next(images(table, len(table)).epoch())
    model.zero_grad()
    F.cross_entropy(model(normalise(as_mirrored(pixels), DEVICE)), labels).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-5)


def as_mirrored(pixels: Tensor) -> Tensor:
    """`pixels`, in file order, mirrored as in epoch 0 of seed 1."""
    return torch.where(epoch_flips(1, 0, len(pixels)).view(-1, 1, 1, 1), pixels.flip(-1), pixels)


def test_gradients_of_one_batch_do_not_leak_into_the_next(model: nn.Module, table: ImageTable) -> None:
    """Two batches at rate 0 leave the gradient of the second."""
    set_stage(model, 1)
    train_mode(model, 1)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    train_epoch(model, inputs(table, 9), 0, optimizer, compute().scaler(), compute())
    found = model.get_submodule("classifier.3").bias.grad.clone()
    pixels, labels, _ = list(images(table, 9).epoch())[1]
    model.zero_grad()
    F.cross_entropy(model(normalise(pixels, DEVICE)), labels).backward()
    torch.testing.assert_close(found, model.get_submodule("classifier.3").bias.grad)


def test_an_epoch_reports_loss_and_accuracy_of_what_it_saw(model: nn.Module, table: ImageTable) -> None:
    set_stage(model, 1)
    train_mode(model, 1)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    result = train_epoch(model, inputs(table, 8), 0, optimizer, compute().scaler(), compute(3))
    logits, labels = plainly(model, table)
    assert result.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
    assert result.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert torch.equal(result.predicted, logits.argmax(1))


def plainly(model: nn.Module, table: ImageTable) -> tuple[Tensor, Tensor]:
    """Logits of all images in file order in eval mode, and their labels."""
    pixels, labels, _ = next(images(table, len(table)).epoch())
    model.eval()
    with torch.no_grad():
        return model(normalise(pixels, DEVICE)), labels


@pytest.mark.parametrize(("batch", "micro_batch"), [(1, None), (7, None), (18, None), (18, 5), (1024, 1)])
def test_an_evaluation_does_not_depend_on_the_batch_size(
    model: nn.Module, table: ImageTable, batch: int, micro_batch: int | None
) -> None:
    logits, labels = plainly(model, table)
    assert len(set(logits.argmax(1).tolist())) > 1, "constant predictions would prove nothing"
    result = evaluate(model.eval(), inputs(table, batch), compute(micro_batch))
    assert torch.equal(result.predicted, logits.argmax(1))
    assert result.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)
    assert result.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())


def test_an_evaluation_changes_nothing(model: nn.Module, table: ImageTable) -> None:
    set_stage(model, 3)
    train_mode(model, 3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    remembers: list[bool] = []
    model.register_forward_hook(lambda module, args, output: remembers.append(output.requires_grad))
    evaluate(model.eval(), inputs(table, 8), compute())
    assert remembers == [False] * 3, "activations were kept for a backward pass"
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_both_passes_name_the_corrupt_images(model: nn.Module, project: Path) -> None:
    table = tables_of(project)["train"]
    for index in (0, 11):
        table.rows[index].file.write_bytes(b"no image")
    names = {table.rows[index].path for index in (0, 11)}
    assert evaluate(model.eval(), inputs(table, 8), compute()).corrupt == names
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    assert train_epoch(model, inputs(table, 8), 0, optimizer, compute().scaler(), compute(4)).corrupt == names


def test_mixed_precision_on_a_cpu_is_bfloat16_and_close(model: nn.Module, table: ImageTable) -> None:
    seen = []
    model.get_submodule("classifier.3").register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    mixed = evaluate(model.eval(), inputs(table, 18), Compute(DEVICE, amp=True))
    plain = evaluate(model.eval(), inputs(table, 18), compute())
    assert seen == [torch.bfloat16, torch.float32]
    assert mixed.loss == pytest.approx(plain.loss, rel=0.1)
