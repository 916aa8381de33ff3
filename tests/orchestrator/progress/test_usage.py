"""What of the machine is in use: figures that make sense, and nothing where there are none."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.progress.usage import NVIDIA_SMI, Gpu, Machine, gpus_of


def nvidia_smi(folder: Path, body: str) -> Path:
    """A program of that name: there is no GPU where most tests run."""
    program = folder / NVIDIA_SMI
    program.write_text(f"#!{sys.executable}\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


def test_this_machine() -> None:
    machine = Machine()
    machine.look()
    usage = machine.usage
    assert usage.cpu is None or 0 <= usage.cpu <= 1
    assert usage.used is not None and usage.memory is not None
    assert 0 < usage.used <= usage.memory <= psutil.virtual_memory().total


def test_gpus_as_nvidia_smi_lists_them() -> None:
    assert gpus_of("87, 30720, 81559\n0, 3, 81559\n") == (
        Gpu(0.87, 30720 * 2**20, 81559 * 2**20),
        Gpu(0.0, 3 * 2**20, 81559 * 2**20),
    )
    assert gpus_of("[N/A], 3, 81559\n") == gpus_of("") == gpus_of("No devices were found\n") == ()


def test_a_driver_is_asked_with_its_own_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "import sys; assert sys.argv[1].startswith('--query-gpu=utilization.gpu,'); print('50, 1024, 2048')"
    monkeypatch.setenv("PATH", str(nvidia_smi(tmp_path, body)))
    machine = Machine()
    machine.look()
    assert machine.usage.gpus == (Gpu(0.5, 2**30, 2**31),)


def test_a_driver_that_fails_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    monkeypatch.setenv("PATH", str(nvidia_smi(tmp_path, f"open({str(asked)!r}, 'a').write('x'); raise SystemExit(9)")))
    machine = Machine()
    for _ in range(3):
        machine.look()
        assert machine.usage.gpus == ()
    assert asked.read_text(encoding="utf-8") == "x"
