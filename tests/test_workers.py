"""How pytest-xdist divides the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path

HERE = Path(__file__).parent

SUITE = """
import os, pytest
from pathlib import Path

@pytest.mark.{kind}
@pytest.mark.parametrize("number", range(3))
def test_one(number):
    Path(f"{kind} {number} {{number}}").write_text("{{PYTEST_XDIST_WORKER}} {{EMOSWEEP_CACHE}}".format_map(os.environ))
"""


def test_all_tests_with_a_ray_go_to_one_worker_and_each_worker_has_its_cache(tmp_path: Path) -> None:
    for kind, number in product(("node", "ray"), range(3)):
        (tmp_path / f"test_{kind}_{number}.py").write_text(SUITE.format(kind=kind, number=number), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  ray\n  node\n", encoding="utf-8")
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-n", "2", "--dist", "loadfile"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    workers, caches = defaultdict(set), defaultdict(set)
    for kind, number, test in product(("node", "ray"), range(3), range(3)):
        worker, cache = (tmp_path / f"{kind} {number} {test}").read_text(encoding="utf-8").split(" ", 1)
        workers["ray" if kind == "ray" else number].add(worker)
        caches[worker].add(cache)
    assert [len(found) for found in workers.values()] == [1, 1, 1, 1]
    assert all(len(found) == 1 for found in caches.values())
    (one,), (other,) = caches["gw0"], caches["gw1"]
    assert one != other
    assert not Path(one).exists() and not Path(other).exists(), "a worker deletes its cache"
