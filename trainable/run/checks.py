"""All that can be wrong with one run's inputs, found before it starts (no torch)."""

from __future__ import annotations

import os

from trainable.base.config import RunSpec
from trainable.base.errors import InputError, Problem
from trainable.cache.folder import check_cache
from trainable.data.checks import check_tables
from trainable.data.tables import ImageTable, load_table


def check_run(spec: RunSpec) -> dict[str, ImageTable]:
    """The tables of `spec`.

    Raises:
        InputError: with every problem found. ConfigError: a setting of the cache is not usable.
    """
    check_cache()
    problems = []
    if not spec.project_root.is_dir():
        raise InputError([Problem("no such folder", f"--project-root {spec.project_root}")])
    lowest = next(folder for folder in (spec.out, *spec.out.absolute().parents) if folder.exists())
    if not lowest.is_dir():
        problems.append(Problem(f"{lowest} is a file, but must be a folder", f"--out {spec.out}"))
    elif not os.access(lowest, os.W_OK | os.X_OK):
        problems.append(Problem(f"may not write into {lowest}", f"--out {spec.out}"))
    tables, found = check_tables(spec.csvs, spec.project_root)
    if problems + found:
        raise InputError(problems + found)
    return tables


def read_tables(spec: RunSpec) -> dict[str, ImageTable]:
    """The tables of the parts that `spec` reads, each checked by itself.

    Raises:
        InputError: with the problems of the first CSV that has any.
    """
    return {part: load_table(spec.csvs[part], spec.project_root) for part in spec.parts}
