"""The environment variables that Ray must find when it is imported. This module does not import Ray."""

from __future__ import annotations

import os

# Read by Ray when it is imported; a user's own setting wins.
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Unset, Ray decides by what it finds, and differently on each node.
    "RAY_AUTH_MODE": "token",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # see orchestrator.execution.loggers
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Ray runs itself on the jemalloc it brings; trials keep what they free with it (trainable/run/allocator.py).
    "RAY_LD_PRELOAD_ON_WORKERS": "1",
    # Under `uv run` Ray would pack the working folder and build the environment again for each worker.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray holds lines back for seconds and takes two trials' lines for one, whose numbers alone differ.
    "RAY_DEDUP_LOGS": "0",
}


_LOCAL = {
    # Ray 2.60 replaces 127.0.0.1 by an address that other machines reach, except where it takes the system for one
    # without clusters.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


def set_environment(*, local: bool = False) -> None:
    """Set the variables that the user has not set.

    Call this before anything imports Ray: a session, the built-in search spaces, or a user's file with a space.

    Args:
        local: a Ray will be started here, for this machine alone; no cluster is joined.
    """
    for name, value in (_ENVIRONMENT | (_LOCAL if local else {})).items():
        os.environ.setdefault(name, value)
