"""What the two command lines offer, as their parser sees it."""

from __future__ import annotations

from cyclopts import App
from cyclopts.argument import Argument

from orchestrator.cli.app import load_app
from trainable.__main__ import app as one_run


def commands() -> dict[str, App]:
    """The commands of `python -m orchestrator`, by name."""
    return {name: app for name, app in load_app().resolved_commands().items() if not name.startswith("-")}


def arguments(app: App) -> list[Argument]:
    """The options and positional arguments of a command."""
    found = app.assemble_argument_collection(default_parameter=load_app().default_parameter, parse_docstring=True)
    return [argument for argument in found if not argument.children]


def options_of(app: App) -> set[str]:
    """Every spelling of a command's options."""
    return {name for argument in arguments(app) for name in argument.names if name.startswith("-")}


def all_options() -> set[str]:
    """Every option of both command lines."""
    main = {name for name in load_app().resolved_commands() if name.startswith("--")}
    return main.union(*map(options_of, (*commands().values(), one_run)))
