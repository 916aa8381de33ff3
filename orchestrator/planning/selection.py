"""`--only`: experiment names, the runbook's folder names and globs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ConfigError


def matching(pattern: str) -> list[Experiment]:
    """The experiments that a name, a folder name (with `_160`) or a glob means.

    Case matters as it does on disk. Quotation marks around the pattern are dropped: a shell that does not know them,
    such as Windows' `cmd`, passes them on.
    """
    pattern = pattern.strip().strip("'\"")
    return [e for e in EXPERIMENTS if fnmatchcase(e.name, pattern) or fnmatchcase(e.folder, pattern)]


def select(only: Sequence[str], said: str = "--only") -> tuple[Experiment, ...]:
    """The experiments of `--only` values, each one or several separated by commas; all where there are none.

    Args:
        said: where the values are from, for messages.

    Returns:
        In the runbook's order.

    Raises:
        ConfigError: a name that means no experiment, with all such names and what they may have meant.
    """
    parts = [part.strip().strip("'\"") for value in only for part in value.strip().strip("'\"").split(",")]
    patterns = [part for part in parts if part]
    if only and not patterns:
        raise ConfigError(f"{said} names no experiment")
    unknown = [pattern for pattern in patterns if not matching(pattern)]
    if unknown:
        raise ConfigError(f"{said} {', '.join(unknown)}: {no_such_experiment(unknown)}")
    chosen = {e.name for pattern in patterns for e in matching(pattern)}
    return tuple(e for e in EXPERIMENTS if not patterns or e.name in chosen)


def no_such_experiment(patterns: Sequence[str]) -> str:
    """The words that follow names which mean no experiment: the nearest names there are, and all of them."""
    near = list(dict.fromkeys(name for pattern in patterns for name in _nearest(pattern)))
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return f"no such experiment ({meant}there are: {' '.join(e.name for e in EXPERIMENTS)})"


def pattern_of(experiments: Collection[Experiment]) -> str:
    """A value of `--only` that means exactly these experiments: globs over splits or methods where they do."""
    names = {experiment.name for experiment in experiments}
    for globs in (
        dict.fromkeys(f"*_{e.split}" for e in EXPERIMENTS if e.name in names),
        dict.fromkeys(f"{e.method}_*" for e in EXPERIMENTS if e.name in names),
    ):
        if {e.name for glob in globs for e in matching(glob)} == names:
            return f"'{','.join(globs)}'"
    return ",".join(e.name for e in EXPERIMENTS if e.name in names)


def _nearest(pattern: str) -> list[str]:
    """What a name that means nothing may have meant: a split's or a method's glob, else names that look like it."""
    asked = _plain(pattern)
    parts = {_plain(e.split): f"'*_{e.split}'" for e in EXPERIMENTS}
    parts |= {e.method: f"'{e.method}_*'" for e in EXPERIMENTS}
    if asked in parts:
        return [parts[asked]]
    names = {_plain(e.name): e.name for e in EXPERIMENTS} | {_plain(e.folder): e.name for e in EXPERIMENTS}
    if asked in names:
        return [names[asked]]
    return list(dict.fromkeys(names[near] for near in get_close_matches(asked, names, n=2, cutoff=0.7)))


def _plain(text: str) -> str:
    """`text` without case and without what may stand between its words."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())
