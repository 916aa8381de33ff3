"""`--space FILE.py:NAME`: which files and parameters are read, and the messages for those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.search.sample import Domain

from orchestrator.sweeps.user_space import load_space
from search_spaces.quantiles import describe, quantile
from trainable.base.errors import ConfigError


def load(folder: Path, text: str) -> Any:
    """Load a space with one parameter, the expression `text`."""
    file = folder / "space.py"
    file.write_text(f"from math import inf, nan\nfrom ray import tune\nSPACE = {{'x': {text}}}\n", encoding="utf-8")
    return load_space(f"{file}:SPACE")["x"]


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as found:
        load(folder, text)
    return str(found.value)


# -- choices, grids, constants


DOMAINS = [
    "tune.uniform(-1, 1)", "tune.quniform(0.1, 0.5, 0.1)", "tune.loguniform(1e-5, 1e-2)",
    "tune.qloguniform(0.01, 0.05, 0.01)", "tune.randn(5, 2)", "tune.qrandn(1, 0.5, 0.25)", "tune.randint(3, 9)",
    "tune.qrandint(8, 64, 8)", "tune.lograndint(1, 12)", "tune.qlograndint(8, 64, 8)", "tune.choice(['none', None])",
]  # fmt: skip


@pytest.mark.parametrize("text", DOMAINS)
def test_a_domain_of_tunes_is_returned_as_it_is(text: str, tmp_path: Path) -> None:
    found = load(tmp_path, text)
    assert isinstance(found, Domain)
    assert describe({"x": found}) == describe({"x": eval(text, {"tune": tune})})


def test_a_grid_search_is_returned_as_a_list(tmp_path: Path) -> None:
    assert load(tmp_path, "tune.grid_search([1e-3, 1e-2])") == {"grid_search": [1e-3, 1e-2]}
    assert load(tmp_path, "{'grid_search': (1, 2)}") == {"grid_search": [1, 2]}


@pytest.mark.parametrize("text", ["0.25", "8", "'cosine'", "None", "True"])
def test_constants(text: str, tmp_path: Path) -> None:
    assert load(tmp_path, text) == eval(text)
    assert not isinstance(load(tmp_path, text), Domain)


def test_numpys_numbers_become_pythons(tmp_path: Path) -> None:
    numpy = "__import__('numpy')"
    grid = load(tmp_path, f"tune.grid_search({numpy}.logspace(-4, -2, 3))")["grid_search"]
    assert [type(value) for value in grid] == [float] * 3
    assert type(load(tmp_path, f"{numpy}.float32(0.5)")) is float
    assert type(quantile(load(tmp_path, f"tune.randint({numpy}.int64(3), {numpy}.int64(4))"), 0.5)) is int


def test_a_space_is_a_mapping_of_any_kind_with_code_around_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom types import MappingProxyType\nfrom ray import tune\n"
        "@dataclass\nclass Wish:\n    low: float\n"
        "def wide(low): return tune.loguniform(low, 100 * low)\n"
        "A = MappingProxyType({'lr_head': wide(Wish(1e-4).low), 'batch': 8})\nB = {'batch': tune.choice([8, 16])}\n",
        encoding="utf-8",
    )
    assert quantile(load_space(f"{file}:A")["lr_head"], 0.5) == 1e-3
    assert list(load_space(f"{file}:A")) == ["lr_head", "batch"]
    assert list(load_space(f"{file}:B")) == ["batch"]


def test_reading_a_space_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """And a changed file is read anew. An import may not notice a change that keeps the file's size and second."""
    assert load(tmp_path, "tune.uniform(0, 1)").upper == 1
    assert load(tmp_path, "tune.uniform(0, 2)").upper == 2
    assert [path.name for path in tmp_path.iterdir()] == ["space.py"]


def test_a_file_is_found_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, "8")
    monkeypatch.chdir(tmp_path)
    assert load_space("space.py:SPACE") == {"x": 8}


# -- what is wrong with the file


@pytest.mark.parametrize("text", ["nosuch", "lr_grid", "space.py", "space.py:", "space:SPACE", "space.py:a b", ""])
def test_neither_a_name_nor_a_file(text: str) -> None:
    with pytest.raises(ConfigError, match=r"must be lr, lr-grid, recipe, or FILE\.py:NAME"):
        load_space(text)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: .*nosuch\.py"):
        load_space(f"{tmp_path}/nosuch.py:SPACE")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ConfigError, match="no such file"):
        load_space(f"{tmp_path}/folder.py:SPACE")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("OTHER = {}", "SPACE must be a dict of parameters, but .* has nothing of that name"),
        ("SPACE = None", "has nothing of that name"),
        ("SPACE = [1]", "has list of that name"),
        ("from ray import tune\nSPACE = tune.uniform(0, 1)", "has Float of that name"),
        ("import nosuch_module", r"does not run, line 1 \(import nosuch_module\): ModuleNotFoundError"),
        ("def f():\n    raise ValueError('no')\nf()", r"line 2 \(raise ValueError\('no'\)\): ValueError: no"),
        ("SPACE = {", "does not run: SyntaxError: .*line 1"),
        ("raise SystemExit(3)", r"line 1 \(raise SystemExit\(3\)\): SystemExit: 3"),
        ("SPACE = '\0'", "does not run"),
    ],
)
def test_files_that_are_no_good(content: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as found:
        load_space(f"{file}:SPACE")
    assert str(found.value).startswith(f"--space {file}:SPACE: ")


# -- what is wrong with a parameter; Tune itself refuses some of it, which is an error in the file's line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tune.sample_from(lambda _: 1)", "x: tune.sample_from cannot be drawn here (ranges, normal, choice and grid"),
        ("{'nested': tune.uniform(0, 1)}", "x: a parameter is a range, a choice, a grid_search or one value, not"),
        ("{'grid_search': [1], 'more': 2}", "x: a parameter is a range"),
        ("{}", "x: a parameter is a range"),
        ("tune.choice([])", "x: a choice must have something to choose from"),
        ("{'grid_search': []}", "x: a grid must have at least one value"),
        ("{'grid_search': 3}", "x: 'int' object is not iterable"),
        ("tune.uniform(2, 1)", "x: a range must have low <= high, not 2.0 and 1.0"),
        ("tune.loguniform(1e-2, 1e-4)", "x: a logarithmic range must have 0 < low <= high, not 0.01 and 0.0001"),
        ("tune.quniform(2, 1, 1)", "x: a range must have low <= high"),
        ("tune.randint(5, 5)", "x: there is no whole number from 5 to 4"),
        ("tune.lograndint(5, 5)", "x: there is no whole number above 0 from 5 to 4"),
        ("tune.qrandint(5, 7, 4)", "x: there is no whole number"),
        ("tune.randint(nan, 5)", "x: 'float' object cannot be interpreted as an integer"),
        ("tune.randint(0.5, 3)", "x: 'float' object cannot be interpreted as an integer"),
        ("tune.qrandint(0, 8, 0)", "x: steps must be more than 0, not 0"),
        ("tune.qrandint(0, 8, -2)", "x: steps must be more than 0, not -2"),
        ("tune.qrandn(0, 1, 0)", "x: steps must be more than 0, not 0"),
        ("tune.qrandint(0, 8, 0.5)", "x: 'float' object cannot be interpreted as an integer"),
        ("tune.uniform(nan, 1)", "line 3 (SPACE = {'x': tune.uniform(nan, 1)}): ValueError: Uniform requires a lower"),
        ("tune.uniform(0, inf)", "ValueError: Uniform requires a upper bound"),
        ("tune.loguniform(0, 1)", "line 3 (SPACE = {'x': tune.loguniform(0, 1)}): ValueError: LogUniform requires"),
        ("tune.loguniform(-1, 1)", "ValueError: LogUniform requires"),
        ("tune.lograndint(0, 5)", "ValueError: LogUniform requires"),
        ("tune.quniform(0, 1, 0.3)", "is not divisible by quantization factor 0.3"),
        ("tune.randn(0, -1)", "line 3 (SPACE = {'x': tune.randn(0, -1)}): AssertionError"),
    ],
)  # fmt: skip
def test_parameters_that_are_no_good(text: str, words: str, tmp_path: Path) -> None:
    said = refused(tmp_path, text)
    assert words in said
    assert "x" in said.partition(":SPACE")[2]
    assert len(said.splitlines()) == 1
