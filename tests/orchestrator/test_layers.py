"""The rules of the house that keep the packages apart, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "search_spaces", "trainable")
SOURCES = sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LINES, FUNCTION_LINES = 290, 60

# Who may know Ray: the adapter, and the modules that execute steps.
RAY = {
    "trainable/ray_trainable.py",
    "orchestrator/training.py",
    "orchestrator/loggers.py",
    "orchestrator/pool.py",
    "orchestrator/sweeps/user_space.py",  # reads a user's space in ray.tune's syntax
    "orchestrator/faceapi/shards.py",
    "orchestrator/ray_session.py",
}
# What a package may not import of our own.
FORBIDDEN = {"trainable": ("orchestrator", "search_spaces"), "search_spaces": ("orchestrator",), "orchestrator": ()}
HEAVY = ("ray", "torch", "torchvision", "sklearn", "pandas", "numpy", "PIL")


def tree(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"), source)


def imports(node: ast.AST) -> Iterator[str]:
    """Top-level packages that are imported anywhere below `node`, in functions too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            assert part.level == 0, f"line {part.lineno}: relative imports hide what a module depends on"
            yield (part.module or "").partition(".")[0]


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 30
    assert set(SOURCES) >= RAY


def test_layers() -> None:
    wrong = {s: {*imports(tree(s))} & set(FORBIDDEN[s.partition("/")[0]]) for s in SOURCES}
    assert not {source: names for source, names in wrong.items() if names}


def test_only_the_execution_layer_knows_ray() -> None:
    assert {source for source in SOURCES if "ray" in imports(tree(source))} == RAY


def test_search_spaces_are_data() -> None:
    for source in SOURCES:
        if source.startswith("search_spaces/"):
            assert not {*imports(tree(source))} & set(HEAVY), source


def test_joining_ray_is_left_until_it_is_needed() -> None:
    """`orchestrator.ray_session` sets Ray's environment before the import."""
    module = tree("orchestrator/ray_session.py")
    outside = [node for node in module.body if not isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert not any("ray" in imports(node) for node in outside)


def test_the_driver_asks_for_processes_without_torch() -> None:
    """Importing it takes seconds, which the first trial would wait for."""
    code = "import sys, orchestrator.training as t; t.loggers(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_module_holds_the_errors() -> None:
    for source in SOURCES:
        if source != "trainable/errors.py":
            bases = [ast.unparse(b) for n in ast.walk(tree(source)) if isinstance(n, ast.ClassDef) for b in n.bases]
            assert not [base for base in bases if base.endswith(("Error", "Exception"))], source


def test_files_and_functions_can_be_read_at_a_sitting() -> None:
    long = []
    for source in SOURCES:
        lines = len((ROOT / source).read_text(encoding="utf-8").splitlines())
        long += [f"{source}: {lines} lines"] if lines > LINES else []
        for node in ast.walk(tree(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                long += [f"{source}:{node.lineno} {node.name}: {lines} lines"] if lines > FUNCTION_LINES else []
    assert not long
