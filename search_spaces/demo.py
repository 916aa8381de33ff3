"""How the built-in demo trains: small data, random weights, minutes on two cores.

The runbook's batch of 1024 would be one step an epoch here. torchvision gives this network a BatchNorm momentum of
0.01, so its evaluation statistics need some hundred steps to follow the weights: hence small batches.
"""

from __future__ import annotations

from typing import Any

RECIPE: dict[str, Any] = {
    "weights": "none",
    "experiments": {
        "probe_*": {"batch": 8, "epochs": 3},
        "finetune_*": {
            "batch": 8,
            "epochs": 32,
            "lr_head": 1e-3,
            "lr_backbone": 1e-3,
            "stage2_epoch": 1,
            "stage3_epoch": 2,
        },
    },
}
