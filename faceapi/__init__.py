"""The FaceAPI baseline of runbook section 5.4: TinyFaceDetector and FaceExpressionNet of face-api.js.

`contract` is shared by both evaluators; `node` runs face-api.js itself, `python` the same networks on ONNX Runtime.
"""
