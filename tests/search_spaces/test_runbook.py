"""The seven experiments are the runbook's: its commands (section 5), folders (6) and published results (7)."""

from __future__ import annotations

import pytest

from search_spaces.runbook import EXPERIMENTS, IOU_THRESHOLD, Experiment

BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}

# Section 5: name, folder, epochs, --lr-head, --lr-backbone; the batch is 1024 everywhere.
COMMANDS = [
    ("probe_M1", "probe_M1_160", 5, 7e-4, None),
    ("finetune_M1", "finetune_M1_160", 30, 5e-4, 1e-4),
    ("probe_M2", "probe_M2_160", 5, 7e-4, None),
    ("finetune_M2", "finetune_M2_160", 30, 5e-4, 1e-4),
    ("finetune_K7", "finetune_K7_160", 50, 5e-4, 1e-4),
]
# Section 7: name, macro-F1 (val best), macro-F1 (test), Top-1 in percent, coverage in percent.
PUBLISHED = [
    ("faceapi_M1", None, None, 42.07, 50.08),
    ("probe_M1", 0.4617, 0.4597, 50.34, None),
    ("finetune_M1", 0.7303, 0.7298, 74.94, None),
    ("faceapi_M2", None, None, 32.09, 50.08),
    ("probe_M2", 0.4590, 0.4552, 49.90, None),
    ("finetune_M2", 0.7300, 0.7290, 74.27, None),
    ("finetune_K7", 0.6555, 0.6546, 68.65, None),
]


def test_seven_in_the_order_of_the_runbooks_table() -> None:
    assert [experiment.name for experiment in EXPERIMENTS] == [name for name, *_ in PUBLISHED]


@pytest.mark.parametrize(("name", "folder", "epochs", "lr_head", "lr_backbone"), COMMANDS)
def test_commands(name: str, folder: str, epochs: int, lr_head: float, lr_backbone: float | None) -> None:
    experiment = BY_NAME[name]
    assert experiment.trains
    assert experiment.folder == folder
    assert (experiment.epochs, experiment.batch) == (epochs, 1024)
    assert (experiment.lr_head, experiment.lr_backbone) == (lr_head, lr_backbone)


@pytest.mark.parametrize(("name", "val", "test", "top1", "coverage"), PUBLISHED)
def test_published(name: str, val: float | None, test: float | None, top1: float, coverage: float | None) -> None:
    published = BY_NAME[name].published
    assert (published.val_macro_f1, published.test_macro_f1) == (val, test)
    assert published.top1 == pytest.approx(top1 / 100)
    assert published.coverage == (pytest.approx(coverage / 100) if coverage else None)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_names_say_method_and_split(experiment: Experiment) -> None:
    assert experiment.name == f"{experiment.method}_{experiment.split}"
    assert experiment.trains == (experiment.method != "faceapi")


def test_faceapi_trains_nothing() -> None:
    for name in ("faceapi_M1", "faceapi_M2"):
        experiment = BY_NAME[name]
        assert not experiment.trains
        assert (experiment.epochs, experiment.batch, experiment.lr_head, experiment.lr_backbone) == (None,) * 4


def test_a_match_is_an_iou_of_030() -> None:
    assert IOU_THRESHOLD == 0.30
