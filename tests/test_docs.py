"""What the documents say exists: linked files, named options, folders, the demo's commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from orchestrator.cli.app import app
from search_spaces.runbook import EXPERIMENTS
from trainable.__main__ import app as trainable_app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def options() -> set[str]:
    """Every option of the two command lines."""
    commands = [typer.main.get_command(app), typer.main.get_command(trainable_app)]
    commands += list(getattr(commands[0], "commands", {}).values())
    return {name for command in commands for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "README.ko.md", ROOT / "docs/data.md"], ids=str)
def test_options_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))
    assert named
    assert named - options() - {"--version", "--install-completion"} == set()  # these two come with the parser


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
