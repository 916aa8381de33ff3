"""`--help` tells what there is, on a terminal of 80 columns; a slip of the keyboard is met with a hint."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer.main
from by_hand import Cli
from rich.cells import cell_len

import trainable.__main__
from orchestrator.cli.app import app

MAIN = typer.main.get_command(app)
COMMANDS = sorted(MAIN.commands)  # type: ignore[attr-defined]
ONE_RUN = typer.main.get_command(trainable.__main__.app)


def help_of(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--help"],
        capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        env={**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_commands() -> None:
    assert {"run-all", "plan", "report", "demo-data"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_says_what_it_is_for(name: str) -> None:
    command = MAIN.commands[name]  # type: ignore[attr-defined]
    assert command.help
    assert not [param.name for param in command.params if not getattr(param, "help", None)]


def test_every_option_of_one_run_says_what_it_is_for() -> None:
    assert ONE_RUN.help
    assert not [param.name for param in ONE_RUN.params if not getattr(param, "help", None)]


def test_plan_takes_every_option_of_run_all_that_decides_results() -> None:
    """So that `plan` can be called with the options of the run it is about."""
    options = {name: {param.name for param in MAIN.commands[name].params} for name in ("run-all", "plan")}  # type: ignore[attr-defined]
    only_about_where = {
        "address", "device", "workers", "num_cpus", "cpus_per_trial", "gpus_per_trial", "plain", "verbose",
        "trials_per_gpu", "max_concurrent", "time_budget",
    }  # fmt: skip
    assert options["run-all"] - options["plan"] == only_about_where


def test_the_help_of_all() -> None:
    text = help_of("orchestrator")
    assert all(name in text for name in COMMANDS)
    assert max(map(cell_len, text.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [("orchestrator", "run-all"), ("trainable",)], ids=" ".join)
def test_help_fits_a_terminal_of_80_columns(arguments: tuple[str, ...]) -> None:
    """The two with the longest options, as a terminal would show them."""
    text = help_of(*arguments)
    command = ONE_RUN if arguments == ("trainable",) else MAIN.commands["run-all"]  # type: ignore[attr-defined]
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "…" not in text
    for param in command.params:
        assert all(option in text for option in param.opts), f"{param.opts} is cut off"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, cli: Cli) -> None:
    done = cli(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for param in MAIN.commands[name].params:  # type: ignore[attr-defined]
        assert param.opts[0] in done.stdout


def test_nothing_asked_is_help(cli: Cli) -> None:
    done = cli()
    assert done.returncode == 2
    assert "run-all" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run-all", "--epoch", "3"), ("No such option: --epoch", "--epochs")),
        (("run-all", "--outputroot", "x"), ("No such option: --outputroot", "--output-root")),
        (("runall",), ("No such command 'runall'", "run-all")),
        (("plan", "--batch"), ("Option '--batch' requires an argument",)),
        (("report", "--only", "probe_M1"), ("No such option: --only",)),
        (("demo-data",), ("Missing argument",)),
    ],
)
def test_a_slip_of_the_keyboard(arguments: tuple[str, ...], words: tuple[str, ...], cli: Cli) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
