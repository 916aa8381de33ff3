"""The command line: options in, calls out. Torch and Ray are imported only by what needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App

from orchestrator.cli.compare_command import compare
from orchestrator.cli.history_command import history
from orchestrator.cli.run_commands import plan, run_all, sweep
from orchestrator.cli.status_command import status, stop
from orchestrator.cli.tool_commands import cache, demo_data, faceapi, report
from orchestrator.cli.verify_command import verify
from trainable.base.command_line import installed_version, make_app, option

SCRIPT = "emosweep"
"""The command that an installation brings; shells complete the options of commands, not of `python -m`."""


def command_line(name: str) -> App:
    """All commands, with the name under which the help texts call them."""
    app = make_app(
        name,
        "FaceAPI vs MobileNetV3 on M1, M2 and K7: seven experiments and their sweeps, one command.",
        version=installed_version,
    )
    for command in (run_all, plan, sweep, status, stop, report, verify, history, compare, faceapi, demo_data, cache):
        app.command(command, name=command.__name__.replace("_", "-"), sort_key=len(app.resolved_commands()))
    return app


def load_app() -> App:
    """The command line as it was called: `python -m orchestrator` or `emosweep`."""
    called = Path(sys.argv[0]).stem
    app = command_line(SCRIPT if called == SCRIPT else "python -m orchestrator")
    app.command(
        install_completion,
        name="--install-completion",
        sort_key=100,
        help=f"Let the shell complete {SCRIPT}'s options.",
    )
    return app


def install_completion(
    *,
    shell: Annotated[
        Literal["bash", "fish", "powershell", "zsh"] | None,
        option("bash, fish, powershell or zsh. Default: the shell in use."),
    ] = None,
) -> None:
    """Write the completions of the command `emosweep` where the shell looks for them."""
    from cyclopts.completion.install import create_install_completion_command

    create_install_completion_command(command_line(SCRIPT).install_completion, add_to_startup=True)(shell=shell)
