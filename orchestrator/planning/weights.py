"""Whether `--weights` can be had, found out before anything starts and without torch (runbook section 4)."""

from __future__ import annotations

import threading

from trainable.base.config import NAMED_WEIGHTS
from trainable.base.text import one_line
from trainable.network.weight_files import IMAGENET_URL, check_format, imagenet_file
from trainable.run.identity import weights_identity

ANSWER_SECONDS = 1.5
"""How long `plan` waits for the server of the ImageNet weights."""


def check_weights(weights: str) -> None:
    """Look at what `--weights` names: a file must be there and look like PyTorch's files.

    Raises:
        ConfigError: it is none of them. ImageNet's weights are looked for by `imagenet_file`.
    """
    weights_identity(weights)
    if weights not in NAMED_WEIGHTS:
        check_format(weights)


def imagenet_remark(url: str = IMAGENET_URL, seconds: float = ANSWER_SECONDS) -> str | None:
    """How a run will get ImageNet's weights, for `plan`; None where torch.hub has them already."""
    file = imagenet_file()
    if file.is_file():
        return None
    trouble = unreachable(url, seconds)
    if trouble is None:
        return f"ImageNet weights will be downloaded to {file.parent}"
    return (
        f"ImageNet weights cannot be had: {file} is missing and {url} cannot be reached ({trouble}); "
        "download it there by other means, or choose --weights none or --weights PATH"
    )


def unreachable(url: str, seconds: float) -> str | None:
    """Why nothing can be downloaded from `url`; None where it answers within `seconds`.

    The question is asked in a thread of its own, since looking up a name may take longer than any time limit.
    """
    found: list[str | None] = [f"no answer within {seconds:g} s"]
    asking = threading.Thread(target=lambda: found.append(_ask(url, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return found[-1]


def _ask(url: str, seconds: float) -> str | None:
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return None
    except (OSError, ValueError) as error:
        return one_line(str(getattr(error, "reason", error)))
