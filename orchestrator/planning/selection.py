"""`--only`: experiment names, the runbook's folder names and globs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ConfigError


def matching(pattern: str) -> list[Experiment]:
    """The experiments that a name, a folder name (with `_160`) or a glob means; case matters as it does on disk."""
    return [e for e in EXPERIMENTS if fnmatchcase(e.name, pattern) or fnmatchcase(e.folder, pattern)]


def select(only: Sequence[str], said: str = "--only") -> tuple[Experiment, ...]:
    """The experiments of `--only` values, each one or several separated by commas; all where there are none.

    Args:
        said: where the values are from, for messages.

    Returns:
        In the runbook's order.

    Raises:
        ConfigError: a name that means no experiment, with all such names.
    """
    patterns = [part.strip() for value in only for part in value.split(",") if part.strip()]
    if only and not patterns:
        raise ConfigError(f"{said} names no experiment")
    unknown = [pattern for pattern in patterns if not matching(pattern)]
    if unknown:
        names = " ".join(e.name for e in EXPERIMENTS)
        raise ConfigError(f"{said} {', '.join(unknown)}: no such experiment (there are: {names})")
    chosen = {e.name for pattern in patterns for e in matching(pattern)}
    return tuple(e for e in EXPERIMENTS if not patterns or e.name in chosen)
