"""The runbook's seven experiments as data: sections 5 (commands) and 7 (published results)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["faceapi", "probe", "finetune"]


@dataclass(frozen=True)
class Published:
    """Section 7's figures, as fractions; None where the table has a dash."""

    top1: float
    val_macro_f1: float | None = None
    test_macro_f1: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class Experiment:
    """One line of the runbook. `folder` is its name on disk (section 6)."""

    name: str
    split: str
    method: Method
    folder: str
    published: Published
    epochs: int | None = None
    batch: int | None = None
    lr_head: float | None = None
    lr_backbone: float | None = None

    @property
    def trains(self) -> bool:
        return self.method != "faceapi"


def _faceapi(split: str, published: Published) -> Experiment:
    return Experiment(f"faceapi_{split}", split, "faceapi", f"faceapi_{split}", published)


def _probe(split: str, published: Published) -> Experiment:
    name = f"probe_{split}"
    return Experiment(name, split, "probe", f"{name}_160", published, epochs=5, batch=1024, lr_head=7e-4)


def _finetune(split: str, epochs: int, published: Published) -> Experiment:
    name = f"finetune_{split}"
    return Experiment(name, split, "finetune", f"{name}_160", published, epochs, 1024, lr_head=5e-4, lr_backbone=1e-4)


# fmt: off
EXPERIMENTS: tuple[Experiment, ...] = (
    _faceapi("M1",      Published(top1=0.4207, coverage=0.5008)),
    _probe("M1",        Published(top1=0.5034, val_macro_f1=0.4617, test_macro_f1=0.4597)),
    _finetune("M1", 30, Published(top1=0.7494, val_macro_f1=0.7303, test_macro_f1=0.7298)),
    _faceapi("M2",      Published(top1=0.3209, coverage=0.5008)),
    _probe("M2",        Published(top1=0.4990, val_macro_f1=0.4590, test_macro_f1=0.4552)),
    _finetune("M2", 30, Published(top1=0.7427, val_macro_f1=0.7300, test_macro_f1=0.7290)),
    _finetune("K7", 50, Published(top1=0.6865, val_macro_f1=0.6555, test_macro_f1=0.6546)),
)
# fmt: on

IOU_THRESHOLD = 0.30
"""A FaceAPI row is matched when a face was detected with at least this IoU (section 6)."""
