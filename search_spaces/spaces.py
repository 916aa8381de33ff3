"""The built-in spaces, each drawn around an experiment's default configuration (the runbook's, unless overridden)."""

from __future__ import annotations

from collections.abc import Callable

from search_spaces.domains import Choice, Grid, IntRange, LogUniform, Space, Uniform, typed
from trainable.base.config import TrainConfig

DECADE = 10.0


def rates(default: TrainConfig) -> dict[str, float]:
    """The learning rates to sweep: a probe has no backbone rate, and a rate of 0 says not to train."""
    found = {"lr_head": default.lr_head}
    return found if not default.lr_backbone else {**found, "lr_backbone": default.lr_backbone}


def lr_grid(default: TrainConfig) -> Space:
    """Factors 1/3, 1 and 3 on each learning rate: 3 trials of a probe, 9 of a finetune."""
    return {name: Grid((typed(rate / 3), rate, typed(rate * 3))) for name, rate in rates(default).items()}


def lr(default: TrainConfig) -> Space:
    """Each learning rate log-uniform, a decade either way."""
    return {name: LogUniform(rate / DECADE, rate * DECADE) for name, rate in rates(default).items()}


def recipe(default: TrainConfig) -> Space:
    """Learning rates, weight decay, label smoothing, class weighting, schedule, and a finetune's stage lengths."""
    return {
        **lr(default),
        "weight_decay": LogUniform(1e-4, 1e-1),
        "label_smoothing": Uniform(0.0, 0.2),
        "class_weighting": Choice(("none", "inverse", "effective-number")),
        "schedule": Choice(("constant", "cosine")),
        **(_stage_lengths(default.epochs) if default.mode == "finetune" else {}),
    }


def _stage_lengths(epochs: int) -> Space:
    """Stage 2 begins within the first fifth, stage 3 between there and the middle: around the runbook's 0.1 and 0.3."""
    last_second = max(1, round(0.2 * epochs))
    last_third = max(last_second + 1, min(epochs - 1, round(0.5 * epochs)))
    return {"stage2_epoch": IntRange(1, last_second), "stage3_epoch": IntRange(last_second + 1, last_third)}


SPACES: dict[str, Callable[[TrainConfig], Space]] = {"lr-grid": lr_grid, "lr": lr, "recipe": recipe}
