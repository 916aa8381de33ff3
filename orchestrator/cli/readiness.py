"""What a run needs besides its data: room on the disks, and weights."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console

from orchestrator.cli.terminal import say
from orchestrator.execution.hardware import Hardware
from orchestrator.planning.planner import Planner
from orchestrator.planning.room import cache_remark, check_output_room
from orchestrator.planning.steps import Step, trainings
from orchestrator.planning.weights import imagenet_remark
from trainable.base.errors import ConfigError
from trainable.base.limits import usable_cpus
from trainable.network.weight_files import imagenet_file


def check_room(todo: Sequence[Step], planner: Planner, hardware: Hardware, console: Console) -> None:
    """Raises ConfigError where the output folder's disk has no room for `todo`; says so where the cache has none."""
    training = trainings(todo)
    if training:
        at_once = hardware.max_concurrent or hardware.num_cpus or usable_cpus()
        check_output_room(planner.paths.output, len(training), min(len(training), at_once))
    if training and not hardware.plain:
        tables = [planner.inputs.training[split] for split in {step.experiment.split for step in training}]
        files = [{row.file for parts in tables for row in parts[part].rows} for part in ("train", "val", "test")]
        staged = any(step.config.mode == "finetune" for step in training)
        remark = cache_remark(len(files[0]), len(files[1] | files[2]), staged=staged)
        if remark:
            say(console, remark)


def wants_imagenet(todo: Sequence[Step]) -> bool:
    """Whether some training begins with ImageNet's weights."""
    return any(step.config.weights == "imagenet" for step in trainings(todo))


def say_how_imagenet_comes(console: Console) -> None:
    """Say so where torch.hub does not have ImageNet's weights yet."""
    remark = imagenet_remark()
    if remark:
        say(console, f"{remark}{_weights_variable()}")


def fetch_imagenet(console: Console) -> None:
    """Download ImageNet's weights where torch.hub does not have them.

    Raises:
        ConfigError: they cannot be downloaded.
    """
    if not imagenet_file().is_file():
        from trainable.network.model import load_weights

        say(console, f"downloading ImageNet weights to {imagenet_file().parent}{_weights_variable()}")
        try:
            load_weights("imagenet")
        except ConfigError as error:
            raise ConfigError(f"{error}{_weights_variable()}") from error


def _weights_variable() -> str:
    """The variable that says where torch.hub keeps weights, in brackets; "" where none is set."""
    return next((f" (${name} says where)" for name in ("TORCH_HOME", "XDG_CACHE_HOME") if os.environ.get(name)), "")
