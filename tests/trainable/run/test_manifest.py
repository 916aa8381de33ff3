"""What a manifest says of the files beside it, and of the machine."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import pytest
import torch
from small_runs import CPU, RESULTS, TRIAL_RESULTS, probe, spec_of

from trainable.run.trainer import Trainer


@pytest.mark.parametrize(("test", "names"), [(True, RESULTS), (False, TRIAL_RESULTS)], ids=["run", "trial"])
def test_every_result_file_has_its_digest(shared_project: Path, tmp_path: Path, test: bool, names: set[str]) -> None:
    out = tmp_path / "실행"
    Trainer(spec_of(shared_project, out, probe(epochs=1), test=test), CPU).run()
    found = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    digests = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names - {"manifest.json"}}
    assert found["artifacts"] == digests


def test_the_processor_is_the_one_that_trained(shared_project: Path, tmp_path: Path) -> None:
    Trainer(spec_of(shared_project, tmp_path, probe(epochs=1)), CPU).run()
    processor = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["processor"]
    assert processor["instructions"] == torch.backends.cpu.get_cpu_capability()
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    if "model name" in cpuinfo:
        assert f"model name\t: {processor['model']}\n" in cpuinfo
    else:
        assert processor["model"] in (platform.processor(), platform.machine())
