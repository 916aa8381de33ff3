#!/usr/bin/env bash
# bash benchmarks/gpu_check.sh [--quick] [--device auto|cpu|cuda] [--only NAME ...] [--out FILE]
# Needs no installation: Python 3.11 or newer with PyTorch, torchvision and filelock. $PYTHON is used, else python3.
set -eu
cd "$(dirname "$0")/.."
export PYTHONPATH=".${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m benchmarks.gpu_check "$@"
