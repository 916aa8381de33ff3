"""What Ray must be told so that its worker processes start at all, and import what this process has imported."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainable.base.errors import ConfigError

PACKAGES = ("faceapi", "orchestrator", "search_spaces", "trainable")
_HOME = Path(__file__).resolve().parents[2]
_LATER = ("PIL", "onnxruntime", "pandas", "pyarrow", "scipy", "sklearn", "torch", "torchvision")
"""What workers import and this process perhaps has not."""
_UNQUOTABLE = "'\"\\"


def worker_environment(*, local: bool, executable: str = sys.executable) -> dict[str, Any] | None:
    """The `runtime_env` for `ray.init`; None where plain workers do, which Ray starts sooner.

    Args:
        local: Ray is started here, so that the workers run this process's Python.
        executable: that Python.

    Raises:
        ConfigError: Ray cannot start a Python that lies there.
    """
    found: dict[str, Any] = {}
    if local and sys.platform != "win32":
        if any(character in executable for character in _UNQUOTABLE):
            raise ConfigError(
                f"Ray cannot start its processes with {executable}: there is a quotation mark or a backslash in the "
                "path; install this project elsewhere"
            )
        if shlex.quote(executable) != executable:  # Ray hands it to a shell as it is
            found["py_executable"] = shlex.quote(executable)
    if hides_modules(Path()):
        found["worker_process_setup_hook"] = _forget_folder(str(Path.cwd()))
    return found or None


def hides_modules(folder: Path) -> bool:
    """Whether a file or folder there has the name of a module that this process or its workers import from elsewhere.

    Ray puts the working folder before everything else on its workers' path.
    """
    try:
        if folder.resolve() == _HOME:
            return False
        names = {path.name.partition(".")[0] for path in folder.iterdir()}
    except OSError:  # what has gone, or may not be listed, is not imported from either
        return False
    return not names.isdisjoint({*PACKAGES, *_LATER, *(name for name in sys.modules if "." not in name)})


def _forget_folder(folder: str) -> Callable[[], None]:
    """What a worker calls before its first task. It travels by value, since nothing can be imported before it."""
    packages = PACKAGES

    def forget() -> None:
        import importlib
        import sys
        from importlib.machinery import ModuleSpec, PathFinder

        class Elsewhere:
            """Looks everywhere on the path but in the folder, which Ray puts there again with the first task."""

            @staticmethod
            def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
                if path is not None:  # inside a package
                    return None
                return PathFinder.find_spec(name, [entry for entry in sys.path if entry != folder])

        sys.path[:] = [entry for entry in sys.path if entry != folder]
        for name in packages:  # an editable install is found after everything on the path
            importlib.import_module(name)
        sys.meta_path.insert(0, Elsewhere)  # a class serves as well as an object

    return forget
