"""The network: its weights, its stages, its optimizer."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
import torch.nn.functional as F
from small_runs import finetune, probe, same_weights
from torch import Tensor, nn
from torchvision.models import MobileNet_V3_Small_Weights, mobilenet_v3_small

from trainable.base.errors import ConfigError
from trainable.network.model import build_model, load_weights
from trainable.network.stages import make_optimizer, set_stage, train_mode

CLASSES = ["angry", "happy", "sad"]
HEAD = ("classifier.3.weight", "classifier.3.bias")
FIRST = "features.0.0.weight"
LAST_BLOCKS = ("features.11.", "features.12.")


def model_of(weights: Path | str = "none", classes: list[str] = CLASSES, seed: int = 1337) -> nn.Module:
    return build_model(probe(weights, seed=seed), classes)[0]


def body(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if key not in HEAD}


def images(n: int = 4) -> Tensor:
    return torch.randn(n, 3, 160, 160, generator=torch.Generator().manual_seed(0))


def trains(name: str, stage: int) -> bool:
    """The runbook's section 4, by name."""
    return name in HEAD or stage == 3 or (stage == 2 and name.startswith(LAST_BLOCKS))


@pytest.fixture(scope="module")
def states() -> dict[int, dict[str, dict[str, Tensor]]]:
    """For each stage the state before and after one step of training."""
    found = {}
    for stage in (1, 2, 3):
        model = model_of()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        set_stage(model, stage)
        train_mode(model, stage)
        optimizer = make_optimizer(model, finetune())
        F.cross_entropy(model(images()), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
        found[stage] = {"before": before, "after": model.state_dict()}
    return found


# -- the network


def test_the_network_is_torchvisions_with_a_head_for_the_classes() -> None:
    model, theirs = model_of(), mobilenet_v3_small()
    assert {k: v.shape for k, v in body(model.state_dict()).items()} == {
        k: v.shape for k, v in body(theirs.state_dict()).items()
    }
    head = model.get_submodule("classifier.3")
    assert (head.in_features, head.out_features) == (1024, 3)
    assert model(images()).shape == (4, 3)


def test_the_seed_decides_the_new_weights() -> None:
    one = model_of(seed=1).state_dict()
    torch.rand(5)
    assert same_weights(one, model_of(seed=1).state_dict())
    other = model_of(seed=2).state_dict()
    assert not torch.equal(one["features.0.0.weight"], other["features.0.0.weight"])
    assert not torch.equal(one[HEAD[0]], other[HEAD[0]])


# -- stages


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_each_stage_requires_gradients_of_its_own(stage: int) -> None:
    model = model_of()
    for before in (3, 1):  # whatever was trained before
        set_stage(model, before)
        set_stage(model, stage)
        found = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert found == {name for name, _ in model.named_parameters() if trains(name, stage)}


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_step_moves_what_trains_and_nothing_else(states: dict[int, dict[str, dict[str, Tensor]]], stage: int) -> None:
    """Parameters and BatchNorm statistics: the frozen ones stay as they are bit by bit."""
    before, after = states[stage]["before"], states[stage]["after"]
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved <= {key for key in before if trains(key, stage)}
    assert set(HEAD) <= moved
    statistics = {key for key in before if key.endswith(("running_mean", "num_batches_tracked"))}
    assert moved & statistics == {key for key in statistics if trains(key, stage)}
    assert any(key.startswith("features.12.0") for key in moved) == (stage >= 2)
    assert any(key.startswith("features.0.0") for key in moved) == (stage == 3)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_dropout_is_active_in_every_stage(stage: int) -> None:
    """The same hidden values twice through the classifier."""
    model = model_of()
    model.eval()
    train_mode(model, stage)
    hidden = torch.rand(8, 576)
    classifier = model.get_submodule("classifier")
    assert not torch.equal(classifier(hidden), classifier(hidden))
    model.eval()
    assert torch.equal(classifier(hidden), classifier(hidden))


def test_training_modes_do_not_depend_on_the_stage_before() -> None:
    model = model_of()
    model.train()
    train_mode(model, 2)
    training = {
        name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d) and module.training
    }
    assert training
    assert all(name.startswith(LAST_BLOCKS) for name in training)


# -- optimizer


@pytest.mark.parametrize(("stage", "rates"), [(1, [3e-2]), (2, [3e-2, 2e-3]), (3, [3e-2, 2e-3])])
def test_the_head_and_the_rest_have_their_rates(stage: int, rates: list[float]) -> None:
    model = model_of()
    set_stage(model, stage)
    optimizer = make_optimizer(model, finetune(lr_head=3e-2, lr_backbone=2e-3, weight_decay=0.02))
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["fused"] for group in optimizer.param_groups} == {True}
    assert [group["lr"] for group in optimizer.param_groups] == rates
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.02}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [{names[id(parameter)] for parameter in group["params"]} for group in optimizer.param_groups]
    rest = {name for name in names.values() if trains(name, stage)} - set(HEAD)
    assert found == ([set(HEAD), rest] if rest else [set(HEAD)])


# -- weights


def test_a_state_dict_with_another_head_gives_its_body(tmp_path: Path) -> None:
    theirs = mobilenet_v3_small(num_classes=7).state_dict()
    torch.save(theirs, tmp_path / "w.pt")
    model, remarks = build_model(probe(tmp_path / "w.pt"), CLASSES)
    assert same_weights(body(model.state_dict()), body(theirs))
    assert remarks == ["weights: their head of 7 classes is dropped for a new one of 3"]


def test_a_head_of_the_right_size_but_unknown_meaning_is_dropped(tmp_path: Path) -> None:
    theirs = mobilenet_v3_small(num_classes=3).state_dict()
    torch.save(theirs, tmp_path / "w.pt")
    model, remarks = build_model(probe(tmp_path / "w.pt"), CLASSES)
    assert not torch.equal(model.state_dict()[HEAD[0]], theirs[HEAD[0]])
    assert len(remarks) == 1


def test_a_body_without_a_head_is_enough(tmp_path: Path) -> None:
    theirs = body(mobilenet_v3_small().state_dict())
    torch.save(theirs, tmp_path / "w.pt")
    model, remarks = build_model(probe(tmp_path / "w.pt"), CLASSES)
    assert same_weights(body(model.state_dict()), theirs)
    assert remarks == []


@pytest.mark.parametrize("key", ["state_dict", "model"])
@pytest.mark.parametrize(
    ("classes", "kept"),
    [(CLASSES, True), (["angry", "sad", "happy"], False), (["a", "b", "c"], False), (["angry", "happy"], False)],
)
def test_a_best_pt_keeps_its_head_only_for_the_same_classes(
    tmp_path: Path, classes: list[str], kept: bool, key: str
) -> None:
    """The same in the same order: the outputs of another order would mean other classes.

    Version 0.1.0 wrote `model`.
    """
    theirs = model_of(seed=5, classes=classes).state_dict()
    torch.save({key: theirs, "classes": classes, "config": {}}, tmp_path / "best.pt")
    model, remarks = build_model(probe(tmp_path / "best.pt"), CLASSES)
    state = model.state_dict()
    assert same_weights(body(state), body(theirs))
    assert (state[HEAD[0]].shape == theirs[HEAD[0]].shape and torch.equal(state[HEAD[0]], theirs[HEAD[0]])) == kept
    assert len(remarks) == (not kept)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {name: value for name, value in state.items() if name != key}


BAD_STATES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a key is missing": (without("features.4.block.1.0.weight"), "lacks 'features.4.block.1.0.weight'"),
    "a shape is wrong": (lambda s: {**s, "classifier.0.bias": torch.zeros(3)}, "does not fit at 'classifier.0.bias'"),
    "a key too many": (lambda s: {**s, "features.99": torch.zeros(3)}, "does not fit at 'features.99'"),
    "a prefix before some": (
        lambda s: {f"module.{k}" if "features" in k else k: v for k, v in s.items()},
        "lacks 'classifier.0.weight'",
    ),
    "integers": (lambda s: {**s, "classifier.0.bias": torch.zeros(1024, dtype=torch.int8)}, "'classifier.0.bias'"),
    "a number": (lambda s: {**s, "epoch": 3}, "must be a state dict"),
    "a list": (lambda s: list(s.values()), "must be a state dict"),
    "nothing": (lambda s: {}, "must be a state dict"),
    "keys that are no names": (lambda s: {1: torch.zeros(3)}, "must be a state dict"),
    "a best.pt of a wrong head": (
        lambda s: {"state_dict": {**s, HEAD[0]: torch.zeros(2, 1024)}, "classes": CLASSES},
        "does not fit at 'classifier.3.weight'",
    ),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_weights_that_do_not_fit_are_told_in_one_line(tmp_path: Path, case: str) -> None:
    change, told = BAD_STATES[case]
    torch.save(change(model_of().state_dict()), tmp_path / "w.pt")
    with pytest.raises(ConfigError) as caught:
        model_of(tmp_path / "w.pt")
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"--weights {tmp_path / 'w.pt'}: ")
    assert "\n" not in str(caught.value)


class Other:
    """Something that only a pickle can hold."""


@pytest.mark.parametrize("content", ["garbage", "empty", "truncated"])
def test_files_that_are_no_checkpoints_are_told_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"\x89PNG not weights" * (content == "garbage"))
    if content == "truncated":
        torch.save(model_of().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ConfigError) as caught:
        model_of(path)
    assert str(caught.value).startswith(f"--weights {path}: not a PyTorch checkpoint that loads with weights_only")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("content", ["object", "model", "parallel", "model in a dict"])
def test_a_pickled_object_is_named_and_the_way_out_told(tmp_path: Path, content: str, old: bool) -> None:
    saved: Any = {"object": Other(), "parallel": nn.DataParallel(model_of())}.get(content, model_of())
    path = tmp_path / "w.pt"
    torch.save({"model": saved} if "dict" in content else saved, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(ConfigError) as caught:
        model_of(path)
    name = {"object": "test_model.Other", "parallel": "data_parallel.DataParallel"}.get(content, "MobileNetV3")
    assert f"{name})" in str(caught.value)
    assert "torch.save(model.state_dict(), 'weights.pt')" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--weights .*gone\.pt: No such file"):
        model_of(tmp_path / "gone.pt")


# -- ImageNet


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder of cached weights of a machine without network.

    The download is patched, because the tests may run where it would work (and take its time).
    """

    def unreachable(*args: object, **kwargs: object) -> NoReturn:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    return tmp_path / "hub/checkpoints"


def test_without_network_and_cache_two_ways_out_are_told(offline: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        model_of("imagenet")
    file = MobileNet_V3_Small_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]
    assert str(offline / file) in str(caught.value), "where to put the file"
    assert "--weights none or --weights PATH" in str(caught.value)
    assert "no network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cached_imagenet_weights_need_no_network(offline: Path) -> None:
    theirs = mobilenet_v3_small().state_dict()
    offline.mkdir(parents=True)
    torch.save(theirs, offline / MobileNet_V3_Small_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1])
    model, remarks = build_model(probe("imagenet"), CLASSES)
    assert same_weights(body(model.state_dict()), body(theirs))
    assert remarks == [], "nobody expects ImageNet's classes to stay"


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of the first download of a process
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("trainable.network.model.SILENCE_SECONDS", 0.5)
        with pytest.raises(ConfigError, match=r"cannot be downloaded .*timed out"):
            load_weights("imagenet")
    assert socket.getdefaulttimeout() is None


# -- in whatever a training script has saved them in


def prefixed(prefix: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {f"{prefix}{key}": value for key, value in state.items()}


def halves(dtype: torch.dtype) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}


def zeros(state: dict[str, Any]) -> dict[str, Any]:
    return {key: torch.zeros_like(value) for key, value in state.items()}


WRAPPED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "DataParallel": (prefixed("module."), "weights: prefix 'module.' removed"),
    "torch.compile": (prefixed("_orig_mod."), "weights: prefix '_orig_mod.' removed"),
    "both": (prefixed("module._orig_mod."), "weights: prefix 'module._orig_mod.' removed"),
    "Lightning": (
        lambda s: {"epoch": 3, "state_dict": {**prefixed("model.")(s), "loss.weight": torch.ones(3)}, "callbacks": {}},
        "weights: read from 'state_dict', prefix 'model.' removed, 1 other tensors left out",
    ),
    "an average": (
        lambda s: {"n_averaged": torch.tensor(5), **prefixed("module.")(s)},
        "weights: prefix 'module.' removed, 1 other tensors left out",
    ),
    "ema alone": (lambda s: {"ema": prefixed("module.")(s)}, "weights: read from 'ema', prefix 'module.' removed"),
    "model_state_dict": (
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}, "param_groups": []}, "loss": 0.1},
        "weights: read from 'model_state_dict'",
    ),
    "net": (lambda s: {"net": s, "acc": 91.0, "epoch": 7}, "weights: read from 'net'"),
    "a name of one's own": (lambda s: {"weights of mine": s}, "weights: read from 'weights of mine'"),
    "two deep": (lambda s: {"checkpoint": {"ema": s}}, "weights: read from 'checkpoint.ema'"),
    "the network before its average": (
        lambda s: {"model_ema": zeros(s), "model": s}, "weights: read from 'model', the file also has 'model_ema'",
    ),
    "teacher and student in one": (
        lambda s: {**prefixed("teacher.")(zeros(s)), **prefixed("student.")(s)},
        f"weights: prefix 'student.' removed, {len(mobilenet_v3_small().state_dict())} other tensors left out",
    ),
    "optimizer tensors beside": (lambda s: {"scaler": {"scale": torch.ones(1)}, "net": s}, "weights: read from 'net'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRAPPED)
def test_weights_are_found_and_the_user_is_told_where(tmp_path: Path, case: str) -> None:
    wrap, told = WRAPPED[case]
    theirs = model_of(seed=5).state_dict()
    torch.save(wrap(theirs), tmp_path / "w.pt")
    model, remarks = build_model(probe(tmp_path / "w.pt"), CLASSES)
    assert same_weights(body(model.state_dict()), body(theirs))
    assert remarks == [told, "weights: their head of 3 classes is dropped for a new one of 3"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    theirs = halves(dtype)(body(model_of(seed=5).state_dict()))
    torch.save(theirs, tmp_path / "w.pt")
    model, remarks = build_model(probe(tmp_path / "w.pt"), CLASSES)
    state = model.state_dict()
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}
    assert all(torch.equal(state[key], value.to(state[key].dtype)) for key, value in theirs.items())
    assert remarks == [f"weights: converted from {str(dtype).removeprefix('torch.')} to float32"]


def test_counters_of_batches_may_be_missing(tmp_path: Path) -> None:
    """Files from before PyTorch 0.4.1 have none."""
    theirs = {k: v for k, v in body(model_of(seed=5).state_dict()).items() if not k.endswith("num_batches_tracked")}
    torch.save(theirs, tmp_path / "w.pt")
    model, remarks = build_model(probe(tmp_path / "w.pt"), CLASSES)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in theirs.items())
    assert remarks == []


@pytest.mark.parametrize("key", ["features.0.0.weight", "features.12.1.running_var", "classifier.0.bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path, key: str, value: float) -> None:
    state = model_of().state_dict()
    state[key][(0,) * state[key].dim()] = value
    torch.save({"ema": state}, tmp_path / "w.pt")
    kind = "nan" if value != value else "inf"
    with pytest.raises(ConfigError) as caught:
        model_of(tmp_path / "w.pt")
    assert str(caught.value) == f"--weights {tmp_path / 'w.pt'}: holds values that are not numbers at '{key}' ({kind})"


def test_a_head_that_is_dropped_may_hold_anything(tmp_path: Path) -> None:
    state = model_of().state_dict()
    state[HEAD[0]].fill_(float("nan"))
    torch.save(state, tmp_path / "w.pt")
    assert model_of(tmp_path / "w.pt").state_dict()[HEAD[0]].isfinite().all()


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["conv_stem.weight", "bn1.weight", "blocks.0.0.conv_dw.weight"], "timm's MobileNetV3"),
        (["module.conv1.weight", "module.layer1.0.conv1.weight"], "a ResNet"),
        (["cls_token", "blocks.0.norm1.weight"], "a vision transformer"),
        ([FIRST, "features.1.block.0.0.weight", "features.16.0.weight"], "torchvision's MobileNetV3-Large"),
        ([FIRST, "features.1.conv.0.0.weight"], "torchvision's MobileNetV2"),
    ],
)
def test_other_networks_are_refused_by_name(tmp_path: Path, keys: list[str], name: str) -> None:
    torch.save({"model": {key: torch.zeros(16, 3, 3, 3) for key in keys}}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=f"not a MobileNetV3-Small .*; it looks like {name}"):
        model_of(tmp_path / "w.pt")
