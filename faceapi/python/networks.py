"""Both networks as ONNX models, converted once for each set of weights and input size, then cached."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faceapi.python.weights import DETECTOR, EXPRESSION, load_weights, weights_digest
from trainable.base.errors import ConfigError
from trainable.base.files import replacing

VERSION = 1
"""A part of the cache's keys. Increase it with every change of the graphs."""


@dataclass(frozen=True)
class Networks:
    """Both models as ONNX bytes, 2 MB in all; `key` identifies their content."""

    detector: bytes
    expression: bytes
    input_size: int
    key: str


def load_networks(models: Path, input_size: int, cache: Path) -> Networks:
    """Load the networks of a folder of weights from `cache`, or convert them and keep them there.

    Args:
        models: a folder with face-api's manifests and shards.
        input_size: side of the detector's input, in pixels.
        cache: a folder for converted networks; created when needed.

    Raises:
        ConfigError: the weights cannot be read, or are not face-api's.
    """
    key = f"{weights_digest(models)[:32]}-v{VERSION}"
    detector = _cached(cache / f"{DETECTOR}-{key}-{input_size}.onnx", models, DETECTOR, input_size)
    expression = _cached(cache / f"{EXPRESSION}-{key}.onnx", models, EXPRESSION, input_size)
    return Networks(detector, expression, input_size, f"{key}-{input_size}")


def _cached(file: Path, models: Path, network: str, input_size: int) -> bytes:
    """Read a converted network from `file`, or convert it and write the file, where that can be written.

    The file is written beside its place and moved in, so a file that exists is whole.
    """
    if file.is_file():
        return file.read_bytes()
    from faceapi.python.onnx_graphs import detector_graph, expression_graph

    weights = load_weights(models, network)
    try:
        model = detector_graph(weights, input_size) if network == DETECTOR else expression_graph(weights)
    except KeyError as error:
        raise ConfigError(f"models folder {models}: {network} has no tensor {error}; is it face-api's?") from error
    except ValueError as error:
        raise ConfigError(f"models folder {models}: {network}: {error}") from error
    with suppress(OSError), replacing(file) as temporary:
        temporary.write_bytes(model)
    return model
