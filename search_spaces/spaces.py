"""The built-in spaces, each drawn around an experiment's default configuration (the runbook's, unless overridden).

They are written in `ray.tune`'s domains, as a user's own space is. Ray reads its environment when it is imported, so
that is set before this module is imported (`orchestrator.planning.ray_environment`).
"""

from __future__ import annotations

from collections.abc import Callable

from ray import tune

from search_spaces.quantiles import Space, typed
from trainable.base.config import TrainConfig

DECADE = 10.0


def rates(default: TrainConfig) -> dict[str, float]:
    """The learning rates to sweep: a probe has no backbone rate, and a rate of 0 says not to train."""
    found = {"lr_head": default.lr_head}
    return found if not default.lr_backbone else {**found, "lr_backbone": default.lr_backbone}


def lr_grid(default: TrainConfig) -> Space:
    """Factors 1/3, 1 and 3 on each learning rate: 3 trials of a probe, 9 of a finetune."""
    return {name: tune.grid_search([typed(rate / 3), rate, typed(rate * 3)]) for name, rate in rates(default).items()}


def lr(default: TrainConfig) -> Space:
    """Each learning rate log-uniform, a decade either way."""
    return {name: tune.loguniform(rate / DECADE, rate * DECADE) for name, rate in rates(default).items()}


def recipe(default: TrainConfig) -> Space:
    """Learning rates, weight decay, label smoothing, class weighting, schedule, and a finetune's stage lengths."""
    return {
        **lr(default),
        "weight_decay": tune.loguniform(1e-4, 1e-1),
        "label_smoothing": tune.uniform(0.0, 0.2),
        "class_weighting": tune.choice(["none", "inverse", "effective-number"]),
        "schedule": tune.choice(["constant", "cosine"]),
        **(_stage_lengths(default.epochs) if default.mode == "finetune" else {}),
    }


def _stage_lengths(epochs: int) -> Space:
    """Stage 2 begins within the first fifth of the epochs, and stage 3 between there and the middle.

    The runbook's stages begin after 0.1 and 0.3 of the epochs. `tune.randint` excludes its upper bound.
    """
    last_second = max(1, round(0.2 * epochs))
    last_third = max(last_second + 1, min(epochs - 1, round(0.5 * epochs)))
    return {
        "stage2_epoch": tune.randint(1, last_second + 1),
        "stage3_epoch": tune.randint(last_second + 1, last_third + 1),
    }


SPACES: dict[str, Callable[[TrainConfig], Space]] = {"lr-grid": lr_grid, "lr": lr, "recipe": recipe}
