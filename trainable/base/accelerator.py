"""How Ray names the type of a node's GPUs (no Ray, no torch)."""

from __future__ import annotations

from collections.abc import Iterable

ACCELERATOR = "accelerator_type:"
"""A node with GPUs has a resource of this name, with their type behind it."""


def accelerator_of(resources: Iterable[str]) -> str:
    """The type of a node's GPUs, such as A10G, by the names of its resources; "" where Ray does not know it."""
    return next((name.removeprefix(ACCELERATOR) for name in resources if name.startswith(ACCELERATOR)), "")
