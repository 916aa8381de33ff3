"""The settings of a FaceAPI evaluation, and an evaluator whose weights and programs were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainable.base.errors import ConfigError


@dataclass(frozen=True)
class FaceApiSettings:
    """The options of a FaceAPI evaluation (runbook section 5.4).

    Args:
        input_size: side of the detector's square input, in pixels; a multiple of 32.
        score_threshold: a face counts as detected when the detector's score is greater, between 0 and 1.
        script: a user's own evaluator, which Node runs whatever `engine` says.
        models: the folder with the weights; None looks for them (`faceapi.setup.find_models`).
        labels: extra names for face-api's classes, name to class.
        engine: "onnx" (ONNX Runtime in Python) or "node" (face-api.js).

    Raises:
        ConfigError: a value is out of its range.
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
    """An evaluator that is ready to run with the weights in the folder `models`.

    The engine is ours in Python ("onnx"), ours in Node ("node"), or a user's own script ("script"). For the last two,
    the program `node` runs `script`.
    """

    engine: Literal["onnx", "node", "script"]
    models: Path
    node: str = ""
    script: Path = Path()

    @property
    def own_script(self) -> bool:
        return self.engine == "script"
