"""How the baseline is evaluated, and with what: settings, and an evaluator that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainable.base.errors import ConfigError


@dataclass(frozen=True)
class FaceApiSettings:
    """How the FaceAPI baseline is evaluated (runbook section 5.4).

    `script` is a user's own evaluator, run by Node whatever `engine` says; `models` is the weights' folder, `labels`
    are extra names for face-api's classes.
    """

    input_size: int = 416
    score_threshold: float = 0.5
    script: Path | None = None
    models: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    engine: str = "onnx"

    def __post_init__(self) -> None:
        if self.engine not in ("onnx", "node"):
            raise ConfigError(f"--faceapi-engine must be onnx or node, not {self.engine!r}")
        if self.input_size < 32 or self.input_size % 32:
            raise ConfigError(f"--faceapi-input-size must be a multiple of 32, not {self.input_size}")
        if not 0 < self.score_threshold < 1:
            raise ConfigError(f"--faceapi-score-threshold must be between 0 and 1, not {self.score_threshold}")


@dataclass(frozen=True)
class Evaluator:
    """A ready evaluation with the weights in `models`: ours in Python ("onnx") or in Node ("node"), or a user's script.

    Except for "onnx", `node` runs `script`.
    """

    engine: Literal["onnx", "node", "script"]
    models: Path
    node: str = ""
    script: Path = Path()

    @property
    def own_script(self) -> bool:
        return self.engine == "script"
