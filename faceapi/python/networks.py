"""Both networks ready for ONNX Runtime, converted once per weights and input size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceapi.python.weights import DETECTOR, EXPRESSION, load_weights, weights_digest
from trainable.base.errors import ConfigError
from trainable.base.files import replacing

VERSION = 1
"""Part of the cache's key: raise it with every change of the graphs."""


@dataclass(frozen=True)
class Networks:
    """The two models as ONNX bytes, small enough (2 MB) to travel; `key` names their content."""

    detector: bytes
    expression: bytes
    input_size: int
    key: str


def load_networks(models: Path, input_size: int, cache: Path) -> Networks:
    """The networks of a weights folder, from `cache` or converted into it.

    Raises:
        ConfigError: the weights cannot be read or are of another network.
    """
    key = f"{weights_digest(models)[:32]}-v{VERSION}"
    detector = _cached(cache / f"{DETECTOR}-{key}-{input_size}.onnx", models, DETECTOR, input_size)
    expression = _cached(cache / f"{EXPRESSION}-{key}.onnx", models, EXPRESSION, input_size)
    return Networks(detector, expression, input_size, f"{key}-{input_size}")


def _cached(file: Path, models: Path, network: str, input_size: int) -> bytes:
    """What `file` holds, or the converted network, which is then kept there; it is moved in whole, so what is there is
    right."""
    if file.is_file():
        return file.read_bytes()
    from faceapi.python.graphs import detector_graph, expression_graph

    weights = load_weights(models, network)
    try:
        model = detector_graph(weights, input_size) if network == DETECTOR else expression_graph(weights)
    except KeyError as error:
        raise ConfigError(f"models folder {models}: {network} has no tensor {error}; is it face-api's?") from error
    except ValueError as error:
        raise ConfigError(f"models folder {models}: {network}: {error}") from error
    with replacing(file) as temporary:
        temporary.write_bytes(model)
    return model
