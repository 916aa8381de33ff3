"""`python -m orchestrator`."""

from __future__ import annotations

import sys
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
    try:
        from orchestrator.cli.terminal import restore_terminal
        from trainable.base.command_line import run_app
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)

    def load() -> App:
        from orchestrator.cli.app import load_app

        return load_app()

    sys.exit(run_app(load, sys.argv[1:], restore_terminal))


if __name__ == "__main__":
    main()
