"""Label smoothing, class weights and a cosine, each against plain PyTorch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from projects import make_project
from small_runs import (
    CPU,
    best_weights,
    csvs_of,
    finetune,
    history,
    probe,
    read_rows,
    same_weights,
    spec_of,
    tables_of,
    unbalance,
    write_weights,
)
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from trainable.base.config import TrainConfig
from trainable.base.seeds import derived_seed
from trainable.data.tables import ImageTable
from trainable.feed.plain import ImageBatches, PlainBatches
from trainable.network.compute import Compute
from trainable.network.model import build_model
from trainable.network.pixels import normalise
from trainable.network.stages import StageBoundary, make_optimizer, set_rates, set_stage, train_mode
from trainable.run.loop import evaluate, train_epoch
from trainable.run.objective import CROSS_ENTROPY, Objective, class_weights, make_objective
from trainable.run.trainer import Trainer

CLASSES = ["angry", "happy", "sad"]
COUNTS = (6, 4, 2)
DEVICE = torch.device("cpu")
OPTIONS: list[dict[str, Any]] = [
    {"label_smoothing": 0.3},
    {"class_weighting": "inverse"},
    {"class_weighting": "effective-number"},
    {"schedule": "cosine"},
    {"label_smoothing": 0.2, "class_weighting": "inverse", "schedule": "cosine"},
]


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose classes have 6, 4 and 2 training rows: two batches of 8 and 4."""
    return unbalance(make_project(tmp_path_factory.mktemp("skewed")), COUNTS)


@pytest.fixture(scope="module")
def weights(skewed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.pt", tables_of(skewed)["train"])


# -- class weights


def test_none_is_no_weights() -> None:
    assert class_weights("none", [1, 2]) is None


def test_inverse_weights_by_hand() -> None:
    """1/6, 1/4, 1/2 of 11/12 together, three classes."""
    assert class_weights("inverse", COUNTS) == pytest.approx([6 / 11, 9 / 11, 18 / 11])


def test_effective_numbers_by_hand() -> None:
    """An image adds beta^k of its own to the k there are: 1 + 0.999 + 0.999^2 + ..."""
    effective = [sum(0.999**k for k in range(n)) for n in (5, 500, 50_000)]
    scale = 3 / sum(1 / e for e in effective)
    found = class_weights("effective-number", [5, 500, 50_000])
    assert found == pytest.approx([scale / e for e in effective])
    assert effective[2] == pytest.approx(1000)


@pytest.mark.parametrize("weighting", ["inverse", "effective-number"])
@pytest.mark.parametrize("counts", [(1, 1_000_000), (7, 7, 7), (1, 2, 3, 4)], ids=str)
def test_weights_have_a_mean_of_one_and_fall_with_the_rows(weighting: Any, counts: tuple[int, ...]) -> None:
    found = class_weights(weighting, counts)
    assert found is not None
    assert sum(found) / len(found) == pytest.approx(1)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(set(counts))


def test_rows_are_counted_by_class_in_the_order_of_the_classes() -> None:
    config = probe(class_weighting="inverse", label_smoothing=0.1)
    made = make_objective(config, ["sad", "angry", "sad", "happy", "sad", "happy"], CLASSES, DEVICE)
    assert made.label_smoothing == 0.1
    assert made.weights is not None
    torch.testing.assert_close(made.weights, torch.tensor([18 / 11, 9 / 11, 6 / 11]))


# -- the loss of a batch


def some_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.randn(11, 3, generator=generator), torch.tensor([0, 0, 0, 0, 1, 2, 2, 1, 0, 0, 1])


WEIGHTS = torch.tensor([0.25, 0.5, 2.25])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_the_loss_is_pytorchs_mean_and_the_formulas(smoothing: float, weighted: bool) -> None:
    logits, labels = some_batch()
    ours = Objective(smoothing, WEIGHTS if weighted else None)
    loss = ours.summed(logits, labels) / ours.total(labels)
    reference = nn.CrossEntropyLoss(weight=ours.weights, label_smoothing=smoothing)
    torch.testing.assert_close(loss, reference(logits, labels))
    weight = WEIGHTS if weighted else torch.ones(3)
    target = (1 - smoothing) * F.one_hot(labels, 3) + smoothing / 3
    by_hand = -(target * weight * torch.log(logits.exp() / logits.exp().sum(1, keepdim=True))).sum()
    torch.testing.assert_close(loss, by_hand / weight[labels].sum())


def test_the_default_is_cross_entropy_to_the_last_bit() -> None:
    logits, labels = some_batch()
    assert make_objective(probe(), ["sad", "angry", "happy"], CLASSES, DEVICE) == CROSS_ENTROPY
    assert torch.equal(CROSS_ENTROPY.summed(logits, labels), F.cross_entropy(logits, labels, reduction="sum"))
    assert (CROSS_ENTROPY.total(labels), type(CROSS_ENTROPY.total(labels))) == (11, int)


# -- an epoch


OURS = Objective(0.2, WEIGHTS)


@pytest.fixture
def model(weights: Path) -> nn.Module:
    """Its head alone trains; without dropout, and with a head that tells the images apart."""
    model, _ = build_model(probe(weights), CLASSES)
    model.get_submodule("classifier.2").p = 0.0
    with torch.no_grad():
        model.get_submodule("classifier.3").weight.mul_(30)
    set_stage(model, 1)
    train_mode(model, 1)
    return model


def inputs(table: ImageTable, batch: int) -> PlainBatches:
    """In file order, for a model that is called as a whole."""
    images = ImageBatches(table, CLASSES, batch, seed=None, workers=0, pin=False)
    return PlainBatches(images, StageBoundary(nn.Identity(), 3), Compute(DEVICE, amp=False))


def one_epoch(model: nn.Module, table: ImageTable, micro_batch: int | None, objective: Objective, batch: int) -> Any:
    """The result of an epoch at rate 0, and the gradient of its last batch."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.0)
    compute = Compute(DEVICE, amp=False, micro_batch=micro_batch)
    result = train_epoch(model, inputs(table, batch), 0, optimizer, compute.scaler(), compute, objective)
    return result, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("micro_batch", [None, 1, 5, 11, 12, 100])
def test_micro_batches_have_the_gradient_of_the_weighted_batch(
    model: nn.Module, skewed: Path, micro_batch: int | None
) -> None:
    """Every micro-batch has other weights together: means of means, or of numbers of images, would not do."""
    table = tables_of(skewed)["train"]
    _, found = one_epoch(model, table, micro_batch, OURS, len(table))
    pixels, labels, _ = next(inputs(table, len(table)).images.epoch())
    model.zero_grad()
    loss = nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.2)(model(normalise(pixels, DEVICE)), labels)
    loss.backward()
    assert found.keys() == {"classifier.3.weight", "classifier.3.bias"}
    for name in found:
        expected = model.get_parameter(name).grad
        assert expected is not None
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("batch", "micro_batch"), [(12, None), (8, None), (8, 3)])
def test_an_epoch_reports_the_mean_of_what_it_minimised(
    model: nn.Module, skewed: Path, batch: int, micro_batch: int | None
) -> None:
    table = tables_of(skewed)["train"]
    result, _ = one_epoch(model, table, micro_batch, OURS, batch)
    pixels, labels, _ = next(inputs(table, len(table)).images.epoch())
    logits = model(normalise(pixels, DEVICE)).detach()
    expected = F.cross_entropy(logits, labels, WEIGHTS, label_smoothing=0.2).item()
    assert result.loss == pytest.approx(expected, rel=1e-5)
    assert abs(expected - F.cross_entropy(logits, labels).item()) > 0.01 * expected
    assert evaluate(model.eval(), inputs(table, batch), Compute(DEVICE, amp=False)).loss == pytest.approx(
        F.cross_entropy(logits, labels).item(), rel=1e-5
    )


@pytest.mark.parametrize(("stage", "expected"), [(1, [0.5]), (3, [0.5, 0.25])])
def test_rates_are_set_for_what_trains(model: nn.Module, stage: int, expected: list[float]) -> None:
    set_stage(model, stage)
    optimizer = make_optimizer(model, finetune())
    set_rates(optimizer, 0.5, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == expected


# -- whole runs


@dataclass
class Reference:
    """A run as one would write it with PyTorch alone: the whole network on every image, PyTorch's loss and schedule.

    Stages, order, flips and dropout's seeds are the project's, and tested elsewhere.
    """

    root: Path
    config: TrainConfig
    train_losses: list[float] = field(default_factory=list)
    val_losses: list[float] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)

    def run(self) -> nn.Module:
        model, _ = build_model(self.config, CLASSES)
        table = tables_of(self.root)["train"]
        images = ImageBatches(table, CLASSES, self.config.batch, seed=self.config.seed, workers=0, pin=False)
        optimizer, stage = None, 0
        for epoch in range(self.config.epochs):
            if stage != self.config.stage_at(epoch):
                stage = self.config.stage_at(epoch)
                set_stage(model, stage)
                optimizer = make_optimizer(model, self.config)
            assert optimizer is not None
            rates = self.scheduled(epoch)[: len(optimizer.param_groups)]
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            self.rates.append(rates)
            train_mode(model, stage)
            torch.manual_seed(derived_seed(self.config.seed, "dropout", epoch))
            self.train_losses.append(self.epoch(model, images, epoch, optimizer))
            self.val_losses.append(self.validate(model))
        return model

    def scheduled(self, epoch: int) -> list[float]:
        """PyTorch's own cosine, stepped that often."""
        rates = [self.config.lr_head, self.config.lr_backbone or 0.0]
        stepped = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])
        if self.config.schedule == "cosine":
            schedule = CosineAnnealingLR(stepped, T_max=self.config.epochs)
            for _ in range(epoch):
                stepped.step()
                schedule.step()
        return [group["lr"] for group in stepped.param_groups]

    def loss(self) -> nn.CrossEntropyLoss:
        share = {
            "none": lambda n: 1.0,
            "inverse": lambda n: 1 / n,
            "effective-number": lambda n: 0.001 / (1 - 0.999**n),
        }[self.config.class_weighting]  # fmt: skip
        weight = torch.tensor([share(n) for n in COUNTS])
        return nn.CrossEntropyLoss(3 * weight / weight.sum(), label_smoothing=self.config.label_smoothing)

    def epoch(self, model: nn.Module, images: ImageBatches, epoch: int, optimizer: torch.optim.Optimizer) -> float:
        criterion, total, weight = self.loss(), 0.0, 0.0
        assert criterion.weight is not None
        for pixels, labels, _ in images.epoch(epoch):
            loss = criterion(model(normalise(pixels, DEVICE)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            of_batch = criterion.weight[labels].sum().item()
            total, weight = total + loss.item() * of_batch, weight + of_batch
        return total / weight

    @torch.no_grad()
    def validate(self, model: nn.Module) -> float:
        table = tables_of(self.root)["val"]
        pixels, labels, _ = next(ImageBatches(table, CLASSES, 99, seed=None, workers=0, pin=False).epoch())
        return F.cross_entropy(model.eval()(normalise(pixels, DEVICE)), labels).item()


def long_probe(weights: Path, **options: Any) -> TrainConfig:
    return probe(weights, **{"epochs": 4, "lr_head": 3e-2, **options})


def slow_finetune(weights: Path, **options: Any) -> TrainConfig:
    """Where everything trains, float rounding grows from step to step; slow steps keep it small."""
    return finetune(weights, **{"lr_head": 1e-2, "lr_backbone": 1e-4, **options})


def numbers(rows: list[dict[str, str]], column: str) -> list[float]:
    return [float(row[column]) for row in rows if row[column]]


@pytest.mark.parametrize("options", [{}, *OPTIONS], ids=str)
def test_a_probe_is_the_reference(skewed: Path, weights: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """Its head, and the losses on the way. AdamW takes a whole step even where a gradient is rounding alone, and ours
    rounds differently; that is one number in thousands.
    """
    config = long_probe(weights, **options)
    run = Trainer(spec_of(skewed, tmp_path / "out", config), CPU)
    while not run.done:
        run.step()
    reference = Reference(skewed, config)
    model = reference.run()
    for name in ("classifier.3.weight", "classifier.3.bias"):
        near = torch.isclose(run.network.model.state_dict()[name], model.state_dict()[name], rtol=1e-3, atol=1e-3)
        assert near.double().mean() > 0.999
    assert [row["train_loss"] for row in run.history] == pytest.approx(reference.train_losses, rel=1e-4)
    assert [row["val_loss"] for row in run.history] == pytest.approx(reference.val_losses, rel=1e-4)


@pytest.mark.parametrize("options", [{}, *OPTIONS], ids=str)
def test_a_finetune_is_the_reference(skewed: Path, weights: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """In all stages; the rates of history.csv are those of the steps.

    Ours rounds differently in stage 3 (`trainable.network.tiled`), and AdamW starts at the full rate even where
    a gradient is rounding alone: a bias before batch normalisation, which running statistics follow late.
    """
    config = slow_finetune(weights, **options)
    Trainer(spec_of(skewed, tmp_path / "out", config), CPU).run()
    reference = Reference(skewed, config)
    reference.run()
    rows = history(tmp_path / "out")
    assert numbers(rows, "train_loss") == pytest.approx(reference.train_losses, rel=1e-3)
    assert numbers(rows, "val_loss") == pytest.approx(reference.val_losses, rel=5e-3)
    assert numbers(rows, "lr_head") == pytest.approx([rates[0] for rates in reference.rates])
    assert numbers(rows, "lr_backbone") == pytest.approx([rates[1] for rates in reference.rates if len(rates) > 1])
    assert [bool(row["lr_backbone"]) for row in rows] == [False, True, True, True]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", [long_probe, slow_finetune])
def test_every_option_makes_another_run(skewed: Path, weights: Path, kind: Any, options: dict[str, Any]) -> None:
    """By more than the tolerance above: else a comparison with the reference would prove nothing."""
    plain, other = (Reference(skewed, kind(weights, **changes)) for changes in ({}, options))
    plain.run()
    other.run()
    assert abs(plain.val_losses[-1] - other.val_losses[-1]) > 0.01 * plain.val_losses[-1]


def test_test_and_validation_losses_are_plain_cross_entropy(skewed: Path, weights: Path, tmp_path: Path) -> None:
    Trainer(spec_of(skewed, tmp_path / "out", probe(weights, epochs=3, lr_head=3e-2, **OPTIONS[-1])), CPU).run()
    model, _ = build_model(probe(), CLASSES)
    model.load_state_dict(best_weights(tmp_path / "out"))
    for part, file in (("val", "val_metrics_best.json"), ("test", "test_metrics.json")):
        table = tables_of(skewed)[part]
        pixels, labels, _ = next(ImageBatches(table, CLASSES, 99, seed=None, workers=0, pin=False).epoch())
        with torch.no_grad():
            expected = F.cross_entropy(model.eval()(normalise(pixels, DEVICE)), labels).item()
        assert json.loads((tmp_path / "out" / file).read_text())["loss"] == pytest.approx(expected, rel=1e-4)


def test_a_run_with_everything_stopped_after_every_epoch_ends_like_one_that_was_not(
    skewed: Path, weights: Path, tmp_path: Path
) -> None:
    """A schedule that counted its own steps would begin again with every process."""
    config = finetune(weights, epochs=5, **OPTIONS[-1])
    specs = [spec_of(skewed, tmp_path / name, config) for name in ("whole", "stopped")]
    Trainer(specs[0], CPU).run()
    for epoch in range(config.epochs):
        run = Trainer(specs[1], CPU)
        assert run.state.epoch == epoch
        run.step()
    Trainer(specs[1], CPU).run()
    assert history(specs[0].out) == history(specs[1].out)
    assert same_weights(best_weights(specs[0].out), best_weights(specs[1].out))
    rates = [0.01 * math.cos(math.pi * epoch / 10) ** 2 for epoch in range(5)]
    assert numbers(history(specs[1].out), "lr_head") == pytest.approx(rates)


def test_what_a_state_says_of_rates_gives_way_to_the_configuration(skewed: Path, weights: Path, tmp_path: Path) -> None:
    """A state that came from a trial with other rates, as where Tune lets one go on from a better one."""
    donor = Trainer(spec_of(skewed, tmp_path / "donor", probe(weights, lr_head=0.5)), CPU)
    donor.step()
    run = Trainer(spec_of(skewed, tmp_path / "out", probe(weights, lr_head=0.125)), CPU)
    run.load_state_dict(donor.state_dict())
    run.step()
    assert [group["lr"] for group in run.network.optimizer.param_groups] == [0.125]
    assert [row["lr_head"] for row in run.history] == [0.5, 0.125]


def test_weights_are_counted_in_the_training_rows(skewed: Path, weights: Path, tmp_path: Path) -> None:
    run = Trainer(spec_of(skewed, tmp_path / "out", probe(weights, class_weighting="inverse")), CPU)
    assert run.objective.weights is not None
    assert run.objective.weights.tolist() == pytest.approx([6 / 11, 9 / 11, 18 / 11])
    assert [row["label_en"] for row in read_rows(csvs_of(skewed)["train"])].count("sad") == 2
