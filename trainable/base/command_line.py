"""What both command lines share: how options are declared, and how a command ends (no torch, no Ray)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, get_args, get_origin

from cyclopts import App, CycloptsError, Parameter, Token
from cyclopts.exceptions import CoercionError, MissingArgumentError, UnusedCliTokensError

from trainable.base.errors import EmosweepError, InputError, InterruptedRun
from trainable.base.streams import lost_output, unbreakable_streams
from trainable.base.text import visible

DEFAULTS = Parameter(
    negative="",  # no --no-... twins
    allow_repeating=True,  # the last value counts, so that an alias or a script can be overridden
    show_choices=False,  # the help texts name them
)
"""What holds for every option of both command lines."""

LEAST_COLUMNS = 20


def make_app(name: str, help_text: str, **more: Any) -> App:
    """A command line whose errors are raised, for `run_app` to print."""
    return App(
        name=name,
        help=help_text,
        default_parameter=DEFAULTS,
        help_format="plaintext",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        **more,
    )


def installed_version() -> str:
    """The version of the installed package; "unknown" for a checkout that was never installed."""
    try:
        return version("emosweep")
    except PackageNotFoundError:
        return "unknown"


def option(help_text: str, **more: Any) -> Parameter:
    """An option with its help text."""
    return Parameter(help=help_text, **more)


def repeatable(help_text: str, **more: Any) -> Parameter:
    """An option of which every occurrence counts."""
    return Parameter(help=help_text, show_default=False, **more)


def whole(help_text: str, **more: Any) -> Parameter:
    """An option that takes a whole number; cyclopts itself would round 4.5 to 4."""
    return Parameter(help=help_text, converter=_whole_number, **more)


def flag(help_text: str, **more: Any) -> Parameter:
    """An option without a value."""
    return Parameter(help=help_text, show_default=False, **more)


def _whole_number(type_: Any, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError as error:
        raise CoercionError(token=tokens[0], target_type=int) from error


def run_app(load: Callable[[], App], arguments: Sequence[str], on_interrupt: Callable[[], None] = lambda: None) -> int:
    """Run a command line and return its exit code. What goes wrong is one message on stderr, never a traceback.

    Printing never ends a command (see `trainable.base.streams`). Where a full disk has cut its output off, stderr says
    so; a command that returns no exit code has nothing but its output to give, and has failed then.

    Args:
        load: imports and returns the app; an interrupt during the imports is one of the command.
        on_interrupt: called before the word that tells of an interrupt.
    """
    _widen()
    with unbreakable_streams():
        try:
            earned = _run(load, arguments)
        except KeyboardInterrupt:
            on_interrupt()
            return _say("interrupted", 130)
        except OSError as error:  # a full disk, a folder that cannot be written to
            return _say(f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}", 1)
        sys.stdout.flush()
        lost = lost_output()
        if lost is not None:
            _say(f"error: the output could not be written: {lost.strerror}")
        return earned if earned is not None else int(lost is not None)


def _widen() -> None:
    """Some editors set $COLUMNS to 0 or 1, which fits no text at all."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < LEAST_COLUMNS:
        del os.environ["COLUMNS"]


def _run(load: Callable[[], App], arguments: Sequence[str]) -> int | None:
    """The exit code that a command returns, if it returns one, or that its error stands for."""
    app = load()
    try:
        if not arguments and app.default_command is None:
            app.help_print([])
            return 2
        earned: int | None = app(list(arguments))
        return earned
    except CycloptsError as error:
        _say(f"error: {usage_message(error)}")
        if not isinstance(error, CoercionError):  # a wrong value's message says what is right
            _say(f"help: {' '.join([app.name[0], *(error.command_chain or ())])} --help")
        return 2
    except InputError as error:
        return _say(_shown(error).summary(), error.exit_code)
    except EmosweepError as error:
        return _say(f"{error}" if isinstance(error, InterruptedRun) else f"error: {error}", error.exit_code)
    except RuntimeError as error:
        if "home directory" not in str(error):  # as pathlib and platformdirs both say
            raise
        return _say("error: this user has no home folder for caches: set HOME to a folder that can be written to")


def _say(text: str, code: int = 2) -> int:
    """Print a message on stderr, literally, and return the exit code."""
    print(visible(text, keep="\n"), file=sys.stderr)
    return code


def _shown(error: InputError) -> InputError:
    """The problems, each of them in one line, whatever is in a label or a file's name."""
    return InputError(
        [replace(p, message=visible(p.message), file=visible(p.file), hint=visible(p.hint)) for p in error.problems]
    )


def usage_message(error: CycloptsError) -> str:
    """One line that says which option or command is wrong, with the nearest that exists."""
    if isinstance(error, CoercionError) and get_origin(error.target_type) is Literal and error.token is not None:
        *first, last = get_args(error.target_type)
        return f"{error.token.keyword} must be {', '.join(first)} or {last}, not {error.token.value!r}"
    if isinstance(error, CoercionError) and error.token is not None:
        kind = {int: "a whole number", float: "a number"}.get(error.target_type or str, "readable")
        return f"{error.token.keyword} must be {kind}, not {error.token.value!r}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        return f"{name} needs a value" if error.argument.tokens or error.keyword else f"{name} is missing"
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected extra argument: {' '.join(error.unused_tokens or ())}"
    text = str(error).strip().rstrip(".")
    for theirs, ours in (("Unknown option: ", "no such option: "), ("Unknown command ", "no such command: ")):
        text = text.replace(theirs, ours)
    return text
