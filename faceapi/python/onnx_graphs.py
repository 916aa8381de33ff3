"""Builds TinyFaceDetector and FaceExpressionNet as ONNX graphs (face-api: src/tinyYolov2, src/faceFeatureExtractor).

Spatial sizes are fixed, so that every padding is explicit and ONNX Runtime may choose its blocked layout; the batch
is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceapi.python.weights import FACE_SIZE

Weights = Mapping[str, NDArray[np.float32]]

OPSET, IR_VERSION = 17, 8
_DETECTOR_MEAN = (117.001, 114.697, 97.404)
_EXPRESSION_MEAN = (122.782, 117.001, 104.298)
_SLOPE = 0.1


class _Graph:
    """Collects nodes one after another; each method adds some and returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], **attributes: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[np.float32]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def normalised(self, source: str, mean: Sequence[float]) -> str:
        """Compute (pixel - mean) / 255 for each channel."""
        centred = self.node("Sub", [source, self.constant(np.array(mean, np.float32).reshape(1, 3, 1, 1))])
        return self.node("Div", [centred, self.constant(np.array(255, np.float32))])

    def conv(self, source: str, name: str, *, stride: int = 1, pads: Sequence[int] = (0, 0, 0, 0)) -> str:
        filters = self.constant(self.weights[f"{name}/filters"].transpose(3, 2, 0, 1))
        bias = self.constant(self.weights[f"{name}/bias"])
        return self.node("Conv", [source, filters, bias], strides=[stride, stride], pads=list(pads))

    def separable(self, source: str, name: str, *, stride: int = 1, pads: Sequence[int] = (1, 1, 1, 1)) -> str:
        """Add a depthwise convolution without bias, then a pointwise convolution with bias."""
        depthwise = self.weights[f"{name}/depthwise_filter"]
        filters = self.constant(depthwise.transpose(2, 3, 0, 1))
        wide = self.node(
            "Conv", [source, filters], strides=[stride, stride], pads=list(pads), group=depthwise.shape[2]
        )  # fmt: skip
        pointwise = self.constant(self.weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1))
        return self.node("Conv", [wide, pointwise, self.constant(self.weights[f"{name}/bias"])])

    def leaky(self, source: str) -> str:
        return self.node("LeakyRelu", [source], alpha=_SLOPE)

    def relu(self, source: str) -> str:
        return self.node("Relu", [source])

    def model(self, name: str, size: int, output: str, shape: Sequence[object]) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, size, size])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *shape])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ValueError(f"the tensors do not fit together: {' '.join(str(error).split())}") from error
        return bytes(model.SerializeToString())


def detector_graph(weights: Weights, input_size: int) -> bytes:
    """Build TinyFaceDetector: pixels (batch, 3, input_size, input_size) float32 0..255 to (batch, cells, cells, 25).

    The first convolution is unpadded; the poolings round up (tfjs' "same").

    Raises:
        KeyError: a tensor is missing.
        ValueError: tensors do not fit together.
    """
    graph = _Graph(weights)
    out = graph.leaky(graph.conv(graph.normalised("pixels", _DETECTOR_MEAN), "conv0"))
    side = input_size - 2
    for number in range(1, 6):
        odd = side % 2
        out = graph.node("MaxPool", [out], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, odd, odd])
        side = (side + 1) // 2
        out = graph.leaky(graph.separable(out, f"conv{number}"))
    out = graph.node("MaxPool", [out], kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
    head = graph.node("Transpose", [graph.conv(out, "conv8")], perm=[0, 2, 3, 1])
    return graph.model("TinyFaceDetector", input_size, head, (side, side, 25))


def expression_graph(weights: Weights) -> bytes:
    """Build FaceExpressionNet: pixels (batch, 3, 112, 112) float32 0..255 to seven probabilities in face-api's order.

    Raises:
        KeyError: a tensor is missing.
        ValueError: tensors do not fit together.
    """
    graph = _Graph(weights)
    out = graph.normalised("pixels", _EXPRESSION_MEAN)
    for block in range(4):
        out = _dense_block(graph, out, f"dense{block}", first=block == 0)
    out = graph.node("AveragePool", [out], kernel_shape=[7, 7])
    out = graph.node("Flatten", [out])
    fc = [graph.constant(weights["fc/weights"]), graph.constant(weights["fc/bias"])]
    out = graph.node("Softmax", [graph.node("Gemm", [out, *fc])], axis=1)
    return graph.model("FaceExpressionNet", FACE_SIZE, out, (7,))


def _dense_block(graph: _Graph, source: str, name: str, *, first: bool) -> str:
    """Add four convolutions, each on the sum of those before it. The first one halves the sides."""
    halve = graph.conv if first else graph.separable
    # An even side at stride 2 is padded at its end only.
    out1 = graph.relu(halve(source, f"{name}/conv0", stride=2, pads=(0, 0, 1, 1)))
    out2 = graph.separable(out1, f"{name}/conv1")
    out3 = graph.separable(graph.relu(graph.node("Add", [out1, out2])), f"{name}/conv2")
    sum3 = graph.node("Add", [out1, graph.node("Add", [out2, out3])])
    out4 = graph.separable(graph.relu(sum3), f"{name}/conv3")
    sum4 = graph.node("Add", [out2, graph.node("Add", [out3, out4])])
    return graph.relu(graph.node("Add", [out1, sum4]))
