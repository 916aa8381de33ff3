"""The rules of the house that keep the packages apart, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("faceapi", "orchestrator", "search_spaces", "trainable")
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "node_modules" not in path.parts
)
LINES, FUNCTION_LINES = 250, 40

# Who may know Ray: the adapter, the search spaces, and the modules that execute steps.
RAY = {
    "trainable/ray_trainable.py",
    "trainable/ray_disk.py",  # the driver's disk as an actor
    "trainable/ray_node.py",
    "search_spaces/quantiles.py",  # spaces are written in ray.tune's domains, by us and by users
    "search_spaces/spaces.py",
    "orchestrator/execution/cluster_board.py",
    "orchestrator/execution/driver_disk.py",
    "orchestrator/execution/tuner.py",
    "orchestrator/execution/loggers.py",
    "orchestrator/execution/dispatch.py",
    "orchestrator/execution/asha.py",
    "orchestrator/execution/nodes.py",
    "orchestrator/execution/session.py",
    "orchestrator/execution/start.py",
    "orchestrator/execution/waiting.py",
}
# Every folder, the lowest first: a module imports from its own folder and from those above it in this list.
FLOORS = (
    "trainable/base",
    "trainable/data",
    "trainable/cache",
    "trainable/pieces",
    "trainable/network/tiled",
    "trainable/network",
    "trainable/feed",
    "trainable/run",
    "trainable/remote",
    "trainable/probes",
    "trainable",
    "search_spaces",
    "faceapi/contract",
    "faceapi/node",
    "faceapi/python",
    "faceapi",
    "orchestrator/statistics",
    "orchestrator/history",
    "orchestrator/planning",
    "orchestrator/sweeps",
    "orchestrator/reporting",
    "orchestrator/tracking",
    "orchestrator/execution",
    "orchestrator/simulation",
    "orchestrator/verification",
    "orchestrator/progress",
    "orchestrator/demo",
    "orchestrator/cli",
    "orchestrator",
)
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


def imported_modules(source: str) -> Iterator[str]:
    """The modules of ours that a file imports anywhere, as files."""
    for node in ast.walk(tree(source)):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        paths = [name.replace(".", "/") for name in names]
        yield from ({f"{path}.py" for path in paths} | {f"{path}/__init__.py" for path in paths}) & set(SOURCES)


def test_every_folder_has_a_floor() -> None:
    assert {str(Path(source).parent) for source in SOURCES} == set(FLOORS)


def test_folders_import_downward_only() -> None:
    floor = {folder: number for number, folder in enumerate(FLOORS)}
    upward = [
        f"{source} imports {module}"
        for source in SOURCES
        for module in imported_modules(source)
        if floor[str(Path(module).parent)] > floor[str(Path(source).parent)]
    ]
    assert upward == []


def test_modules_import_each_other_in_no_circle() -> None:
    arrows = {source: set(imported_modules(source)) - {source} for source in SOURCES}
    while leaves := [source for source, needed in arrows.items() if not needed & set(arrows)]:
        for source in leaves:
            del arrows[source]
    assert sorted(arrows) == []


def test_only_the_execution_layer_knows_ray() -> None:
    assert {source for source in SOURCES if "ray" in imports(tree(source))} == RAY


def test_search_spaces_are_data() -> None:
    for source in SOURCES:
        if source.startswith("search_spaces/"):
            allowed = {"ray"} if source in RAY else set()
            assert not {*imports(tree(source))} & set(HEAVY) - allowed, source


def test_the_search_spaces_bring_ray_only_to_the_planning_of_a_sweep() -> None:
    """Ray takes seconds to import, and reads its environment then, which `plan_spaces` sets before."""
    importing = {source for source in SOURCES if "search_spaces/spaces.py" in imported_modules(source)}
    assert importing == {"orchestrator/sweeps/configurations.py"}
    modules = "orchestrator.cli.run_commands, search_spaces.runbook, search_spaces.demo, search_spaces.quantiles"
    code = f"import sys, {modules}; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_joining_ray_is_left_until_it_is_needed() -> None:
    """`orchestrator.execution.session` sets Ray's environment before the import."""
    module = tree("orchestrator/execution/session.py")
    outside = [node for node in module.body if not isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert not any("ray" in imports(node) for node in outside)


def test_the_driver_asks_for_processes_without_torch() -> None:
    """Importing it takes seconds, which the first trial would wait for."""
    code = "import sys, orchestrator.execution.tuner as t; t.loggers(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_one_module_holds_the_errors() -> None:
    for source in SOURCES:
        if source != "trainable/base/errors.py":
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
