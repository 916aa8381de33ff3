"""What a user fills in is marked, counted in the file's first lines, and in docs/clouds.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("no", "one", "two", "three", "four", "five", "six")
FILES = ("cluster.yaml", "clusters/aws.yaml", "clusters/gcp.yaml", "clusters/kuberay.yaml", "clusters/slurm.sbatch")


def marked(name: str) -> int:
    """The places in the file that a user fills in."""
    return len(re.findall(r"# EDIT(?::|$)", (ROOT / name).read_text(encoding="utf-8"), re.M))


@pytest.mark.parametrize("name", FILES)
def test_the_first_lines_count_them(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").replace("\n# ", " ")
    assert re.findall(r"Fill in the (\w+) places marked EDIT", lines) == [WORDS[marked(name)]]


@pytest.mark.parametrize("name", FILES)
def test_the_page_counts_them(name: str) -> None:
    page = (ROOT / "docs/clouds.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| \[{re.escape(name)}\]\(.*$", page, re.M)
    assert f"| {marked(name)}: " in row
