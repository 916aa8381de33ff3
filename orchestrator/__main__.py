"""`python -m orchestrator`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App


def main() -> None:
    """Run the command line (see `run`) and end the process with its exit code."""
    run()


def run() -> None:
    """Call the command that `sys.argv` names; always raises SystemExit.

    Everything is imported within, so that Ctrl-C ends the first seconds, too, in one word and with 130.
    """
    forget_working_folder()
    try:
        from orchestrator.cli.terminal import restore_terminal
        from trainable.base.command_line import run_app
    except KeyboardInterrupt:
        with suppress(OSError, ValueError):  # nobody may be there to read it
            print("interrupted", file=sys.stderr)
        sys.exit(130)

    def load() -> App:
        from orchestrator.cli.app import load_app

        return load_app()

    sys.exit(run_app(load, sys.argv[1:], restore_terminal))


def forget_working_folder() -> None:
    """Take the working folder off the path, where `python -m` puts it first: a file there may have the name of a module
    that is imported from elsewhere. A checkout that is the working folder stays."""
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 (before any import)
    with suppress(OSError):  # a working folder that has gone
        if os.path.realpath(sys.path[0]) == os.path.realpath(os.curdir) != home:
            del sys.path[0]


if __name__ == "__main__":
    main()
