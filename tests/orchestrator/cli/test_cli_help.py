"""`--help` tells what there is, on a terminal of 80 columns; a slip of the keyboard is met with a hint."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from by_hand import Cli
from command_lines import arguments, commands, options_of
from rich.cells import cell_len

from orchestrator.cli.options import Machine
from trainable.__main__ import app as one_run

COMMANDS = commands()


def help_of(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--help"],
        capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        env={**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_commands() -> None:
    assert list(COMMANDS) == [
        "run-all",
        "plan",
        "sweep",
        "status",
        "stop",
        "report",
        "verify",
        "history",
        "compare",
        "faceapi",
        "demo-data",
        "cache",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_says_what_it_is_for(name: str) -> None:
    assert COMMANDS[name].help
    assert [argument.name for argument in arguments(COMMANDS[name]) if not argument.parameter.help] == []


def test_every_option_of_one_run_says_what_it_is_for() -> None:
    assert arguments(one_run)
    assert [argument.name for argument in arguments(one_run) if not argument.parameter.help] == []


def test_no_option_has_a_twin_that_switches_it_off() -> None:
    options = set().union(*map(options_of, (*COMMANDS.values(), one_run)))
    assert {"--fresh", "--plain", "--verbose", "--compare", "--clear"} <= options
    assert [option for option in options if option.startswith(("--no-", "--empty-"))] == []


def test_plan_takes_every_option_of_run_all_that_decides_results() -> None:
    """So that `plan` can be called with the options of the run it is about."""
    only_about_where = {
        "--address", "--device", "--workers", "--num-cpus", "--cpus-per-trial", "--plain", "--accelerator-type",
        "--verbose", "--allow-corrupt", "--deterministic", "--log-format", "--detach", "--mlflow", "--trackio",
        "--wandb",
    }  # fmt: skip
    assert options_of(COMMANDS["run-all"]) - options_of(COMMANDS["plan"]) == only_about_where
    assert options_of(COMMANDS["plan"]) - options_of(COMMANDS["run-all"]) == {"--simulate"}


def test_sweep_takes_the_options_of_run_all_that_concern_training() -> None:
    of_sweep, of_all = options_of(COMMANDS["sweep"]), options_of(COMMANDS["run-all"])
    assert of_sweep - of_all == {"--space"}
    assert {option for option in of_all - of_sweep if not option.startswith("--faceapi")} == {"--sweep", "--only"}


def test_the_help_of_all() -> None:
    text = help_of("orchestrator")
    assert all(name in text for name in COMMANDS)
    assert max(map(cell_len, text.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [("orchestrator", "run-all"), ("trainable",)], ids=" ".join)
def test_help_fits_a_terminal_of_80_columns(arguments: tuple[str, ...]) -> None:
    """The two with the longest options, as a terminal would show them."""
    text = help_of(*arguments)
    command = one_run if arguments == ("trainable",) else COMMANDS["run-all"]
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "…" not in text
    assert [option for option in options_of(command) if option not in text] == []


@pytest.mark.parametrize("asked", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, asked: str, cli: Cli) -> None:
    done = cli(name, asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert [argument.name for argument in arguments(COMMANDS[name]) if argument.name not in done.stdout] == []


def test_the_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{version('emosweep')}\n", "")


@pytest.mark.parametrize(("shell", "file"), [("bash", ".local/share/bash-completion/completions/emosweep"),
                                             ("fish", ".config/fish/completions/emosweep.fish")])  # fmt: skip
def test_shells_complete_the_installed_command(
    shell: str, file: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = cli("--install-completion", "--shell", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / file) in done.stdout.replace("\n", "")
    script = (tmp_path / file).read_text(encoding="utf-8")
    assert [name for name in (*COMMANDS, "trials-per-gpu", "cuda") if name not in script] == []


def test_nothing_asked_is_help(cli: Cli) -> None:
    done = cli()
    assert done.returncode == 2
    assert "run-all" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run-all", "--epoch", "3"), ("no such option: --epoch. Did you mean --epochs?",)),
        (("run-all", "--outputroot", "x"), ("no such option: --outputroot. Did you mean --output-root?",)),
        (("runall",), ('no such command: "runall". Did you mean "run-all"?', "status")),
        (("plan", "--batch"), ("--batch needs a value",)),
        (("plan", "--batch", "--seed", "1"), ("--batch needs a value",)),
        (("report", "--only", "probe_M1"), ("no such option: --only",)),
        (("cache", "all"), ("unexpected extra argument: all",)),
        (("demo-data",), ("ROOT is missing",)),
        (("sweep",), ("EXPERIMENTS is missing",)),
    ],
)
def test_a_slip_of_the_keyboard(arguments: tuple[str, ...], words: tuple[str, ...], cli: Cli) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    command = "orchestrator" if arguments == ("runall",) else f"orchestrator {arguments[0]}"
    message, help_line = done.stderr.splitlines()
    assert message.startswith("error: ")
    assert help_line == f"help: python -m {command} --help"
    assert done.stdout == ""


def test_the_last_value_of_an_option_counts(cli: Cli, shared_project: Path) -> None:
    plan = ("plan", "--project-root", shared_project, "--weights", "none", "--only", "probe_M1")
    done = cli(*plan, "--batch", "8", "--batch", "16")
    assert done.returncode == 0
    assert " 16 " in done.stdout


@pytest.mark.parametrize("address", ["", "127.0.0.1:1"])
def test_the_address_of_the_environment(
    address: str, cli: Cli, shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$RAY_ADDRESS fills --address unless it is empty; --num-cpus goes against an address."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    files = ("--project-root", shared_project, "--output-root", tmp_path, "--weights", f"{tmp_path}/nosuch.pt")
    done = cli("run-all", *files, "--num-cpus", "2")
    assert done.returncode == 2
    assert ("--num-cpus is for a Ray that is started here" in done.stderr) == bool(address)


def test_an_empty_address_is_none() -> None:
    """Ray would be asked to join a cluster at ''."""
    assert Machine(address="").hardware.address is None
