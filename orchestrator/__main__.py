"""`python -m orchestrator`."""

from __future__ import annotations

import atexit
import io
import os
import sys
from contextlib import suppress

from trainable.base.errors import EmosweepError, InputError


def main() -> None:
    """Run the command line, and end the process without taking it apart: for torch, Ray and pandas that takes Python
    more than a second."""
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(code)


def run() -> None:
    """Errors of ours are one message on stderr and an exit code, never a traceback."""
    from orchestrator.cli.app import app

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a Korean console (CP949) lacks the tables' dash
    try:
        app()
    except InputError as error:
        print(error.summary(), file=sys.stderr)
        sys.exit(error.exit_code)
    except EmosweepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that cannot be written to
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
