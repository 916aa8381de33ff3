"""What the documents say exists: linked files and headings, named options, folders, the demo's commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_lines import all_options

from search_spaces.runbook import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
WITH_OPTIONS = ["README.md", "README.ko.md", "docs/data.md", "docs/sweeps.md", "docs/faceapi.md", "docs/performance.md"]
OTHER_PROGRAMS = ("npm ", "tensorboard ", "mlflow server ", "wandb sync ")
"""Lines about these name options that are none of ours."""


def benchmark_options() -> set[str]:
    """The options that the benchmarks' parsers declare."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").rglob("*.py"))
    return set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', sources))


def links(document: Path) -> list[str]:
    """The targets of a document's links that lead to files of ours, with their anchors."""
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    return [target for target in targets if "://" not in target]


def anchors(document: Path) -> set[str]:
    """What GitHub makes of a document's headings: lower case, no punctuation, a dash for each space."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.M):
        words = re.sub(r"\]\([^)]*\)", "", heading).casefold()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    files = [target.partition("#")[0] for target in links(document)]
    assert [file for file in files if not (document.parent / file).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_anchors_are_headings(document: Path) -> None:
    named = [target.partition("#") for target in links(document) if "#" in target]
    pages = [(document.parent / file if file else document, anchor) for file, _, anchor in named]
    assert [f"{page}#{anchor}" for page, anchor in pages if anchor not in anchors(page)] == []


def test_there_are_anchors_to_check() -> None:
    assert [target for document in DOCUMENTS for target in links(document) if "#" in target]


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_options_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    ours = [line for line in text.splitlines() if not any(program in line for program in OTHER_PROGRAMS)]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", "\n".join(ours)))
    assert named
    assert named - all_options() - benchmark_options() == set()


def test_readme_names_every_experiment_and_package() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [experiment.name for experiment in EXPERIMENTS if experiment.name not in text] == []
    folders = re.findall(r"^\| `(\w+)/`", text, re.M)
    assert folders
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_the_two_commands_are_makes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for readme in ("README.md", "README.ko.md"):
        commands = re.findall(r"^make (\w+)", (ROOT / readme).read_text(encoding="utf-8"), re.M)
        assert commands[:2] == ["demo", "test"]
        assert all(re.search(rf"^{command}:", makefile, re.M) for command in commands)
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_no_document_holds_a_machine_path_or_a_placeholder() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert not re.search(r"/(root|home/\w+|work)/|@@\w+@@|TODO", text), document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_modules_of_ours_exist(document: Path) -> None:
    """Paths between backticks or in commands, and modules after `python -m`. The runbook names files of its own."""
    text = document.read_text(encoding="utf-8").partition("[FILEPATH] docs/runbook.md")[0]
    named = set(re.findall(r"(?<![\w/.])(?:benchmarks|faceapi|orchestrator|tests|trainable)/[\w/]+\.\w+", text))
    modules = re.findall(r"python -m ((?:benchmarks|orchestrator|trainable)[\w.]*)", text)
    places = [ROOT / module.rstrip(".").replace(".", "/") for module in modules]
    missing = [str(place) for place in places if not (place.is_dir() or place.with_suffix(".py").is_file())]
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] + missing == []
