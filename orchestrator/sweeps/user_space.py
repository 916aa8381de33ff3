"""`--space my_space.py:space`: a user's own space in `ray.tune` syntax."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.planning.ray_environment import set_environment
from search_spaces.quantiles import Space, grid_values, is_domain, plain, quantile_function
from trainable.base.errors import ConfigError
from trainable.data.spelling import spelled


def load_space(text: str, option: str = "--space") -> Space:
    """Read the space that `FILE.py:NAME` names. Its `ray.tune` domains are returned as they are.

    Raises:
        ConfigError: the file does not run, there is no such name in it, or a parameter is nothing that can be drawn.
    """
    file, _, name = text.rpartition(":")
    where = f"{option} {text}"
    set_environment()  # the file imports Ray, which reads its environment then
    if not file.endswith(".py") or not name.isidentifier():
        raise ConfigError(f"{where}: must be lr, lr-grid, recipe, or FILE.py:NAME")
    path = spelled(Path(file))
    if not path.is_file():
        raise ConfigError(f"{where}: no such file: {file}")
    space = _run(path, where).get(name)
    if not isinstance(space, Mapping):
        found = "nothing" if space is None else type(space).__name__
        raise ConfigError(f"{where}: {name} must be a dict of parameters, but {file} has {found} of that name")
    return {str(key): _checked(value, f"{where}: {key}") for key, value in space.items()}


def _run(file: Path, where: str) -> dict[str, Any]:
    """Run the file and return its globals. An import would leave a __pycache__ beside the file, and could read one. The
    file may import others of its folder."""
    folder = str(file.parent.resolve())
    sys.path.append(folder)
    try:
        return runpy.run_path(str(file))
    except (Exception, SystemExit) as error:  # a user's file may do anything
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        place = f", line {lines[-1].lineno} ({lines[-1].line})" if lines else ""
        raise ConfigError(f"{where}: {file} does not run{place}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)


def _checked(value: Any, where: str) -> Any:
    """The parameter, if it can be drawn; a grid and a constant with Python's numbers for NumPy's.

    Raises:
        ConfigError: it cannot be drawn.
    """
    try:
        if is_domain(value):
            quantile_function(value)
            return value
        values = grid_values(value)
        if values is not None:
            return {"grid_search": list(values)}
        if isinstance(value, Mapping):
            raise ConfigError("a parameter is a range, a choice, a grid_search or one value, not a dict")
        return plain(value)
    except (ConfigError, TypeError) as error:  # TypeError: a bound is no whole number, or a grid holds no list
        raise ConfigError(f"{where}: {error}") from error
