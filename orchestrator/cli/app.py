"""The command line: options in, calls out. Torch and Ray are imported only by what needs them."""

from __future__ import annotations

from collections.abc import Callable

import typer

from orchestrator.cli.run_commands import plan, run_all, sweep
from orchestrator.cli.tool_commands import cache, demo_data, faceapi, report

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="FaceAPI vs MobileNetV3 on M1, M2 and K7: seven experiments and their sweeps, one command.",
)
COMMANDS: dict[str, Callable[..., None]] = {
    "run-all": run_all,
    "plan": plan,
    "sweep": sweep,
    "report": report,
    "faceapi": faceapi,
    "demo-data": demo_data,
    "cache": cache,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
