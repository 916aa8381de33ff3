"""The address of a cluster as users give it, and the messages about it."""

from __future__ import annotations

import os
import socket

from trainable.base.errors import ConfigError


def check_address(address: str) -> None:
    """Raises ConfigError where nothing listens; Ray itself would try for two minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ConfigError(f"{said(address)}: must be host:port of the cluster's head, or auto{_unset(address)}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"{said(address)}: nothing answers there ({error}); does the cluster run?{_unset(address)}"
        ) from error


def said(address: str) -> str:
    """The address as it was given, for messages."""
    return f"$RAY_ADDRESS={address}" if _is_of_the_environment(address) else f"--address {address}"


def token_source() -> str:
    """Where Ray takes the cluster's token from."""
    variables = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    return next((f"${name}" for name in variables if os.environ.get(name)), "~/.ray/auth_token")


def _is_of_the_environment(address: str) -> bool:
    """`ray job` and others leave $RAY_ADDRESS behind, which the user may not know of."""
    return os.environ.get("RAY_ADDRESS") == address


def _unset(address: str) -> str:
    return " (unset RAY_ADDRESS to start a Ray here)" if _is_of_the_environment(address) else ""
