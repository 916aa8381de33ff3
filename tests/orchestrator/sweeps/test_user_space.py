"""`--space FILE.py:NAME`: what Tune would draw is what we draw."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from ray import tune

from orchestrator.sweeps.user_space import load_space
from search_spaces.domains import Domain, Grid
from trainable.base.errors import ConfigError

EVERYWHERE = [i / 2000 for i in range(2000)]
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(folder: Path, text: str) -> Any:
    """What `text`, an expression of tune, becomes as a parameter."""
    file = folder / "space.py"
    file.write_text(f"from math import inf, nan\nfrom ray import tune\nSPACE = {{'x': {text}}}\n", encoding="utf-8")
    return load_space(f"{file}:SPACE")["x"]


def drawn(folder: Path, text: str) -> list[Any]:
    domain = load(folder, text)
    assert isinstance(domain, Domain)
    return [domain.at(u) for u in EVERYWHERE]


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as found:
        load(folder, text)
    return str(found.value)


# -- ranges


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("tune.uniform(0.1, 0.2)", 0.1, 0.2),
        ("tune.uniform(-1, 1)", -1, 1),
        ("tune.uniform(0.123456, 0.123457)", 0.123456, 0.123457),
        ("tune.loguniform(1e-5, 1e-2)", 1e-5, 1e-2),
        ("tune.loguniform(1.23456e-5, 1.23457e-5)", 1.23456e-5, 1.23457e-5),
    ],
)
def test_ranges(text: str, low: float, high: float, tmp_path: Path) -> None:
    values = drawn(tmp_path, text)
    assert all(type(value) is float and low <= value <= high for value in values)
    assert values == sorted(values)
    assert (values[0], values[-1]) == pytest.approx((low, high), rel=1e-2)


def test_ranges_are_even_in_what_they_say(tmp_path: Path) -> None:
    assert drawn(tmp_path, "tune.uniform(0, 4)")[1000] == 2
    assert drawn(tmp_path, "tune.loguniform(1e-4, 1e-2)")[1000] == 1e-3
    assert drawn(tmp_path, "tune.lograndint(1, 10000)")[1000] == 100


def test_a_normal_distribution(tmp_path: Path) -> None:
    values = drawn(tmp_path, "tune.randn(5, 2)")
    assert values == sorted(values)
    assert values[1000] == pytest.approx(5)
    within = sum(3 <= value <= 7 for value in values) / len(values)
    assert within == pytest.approx(0.6827, abs=0.002)
    assert all(map(math.isfinite, values))
    assert drawn(tmp_path, "tune.randn()")[1000] == pytest.approx(0, abs=1e-9)


# -- whole numbers and steps: exactly Tune's values, its upper bound left out where it leaves it out

FINITE = [
    ("tune.randint(3, 9)", range(3, 9)),
    ("tune.randint(-3, 2)", range(-3, 2)),
    ("tune.randint(5, 6)", [5]),
    ("tune.lograndint(1, 12)", range(1, 12)),
    ("tune.lograndint(5, 8)", range(5, 8)),
    ("tune.qrandint(8, 64, 8)", range(8, 65, 8)),
    ("tune.qrandint(5, 23, 4)", range(8, 21, 4)),
    ("tune.qrandint(3, 9, 1)", range(3, 9)),
    ("tune.qrandint(3, 9)", range(3, 9)),
    ("tune.qrandint(-8, 8, 4)", range(-8, 9, 4)),
    ("tune.qlograndint(8, 64, 8)", range(8, 65, 8)),
    ("tune.quniform(0.1, 0.5, 0.1)", [0.1, 0.2, 0.3, 0.4, 0.5]),
    ("tune.quniform(0, 20, 5)", [0.0, 5.0, 10.0, 15.0, 20.0]),
    ("tune.quniform(1, 1.0003, 0.0001)", [1.0, 1.0001, 1.0002, 1.0003]),
    ("tune.qloguniform(0.01, 0.05, 0.01)", [0.01, 0.02, 0.03, 0.04, 0.05]),
]


@pytest.mark.parametrize(("text", "values"), FINITE, ids=[text for text, _ in FINITE])
def test_what_is_finite_has_all_of_tunes_values(text: str, values: Any, tmp_path: Path) -> None:
    found = drawn(tmp_path, text)
    assert found == sorted(found)
    assert list(dict.fromkeys(found)) == list(values)
    assert {type(value) for value in found} == {type(value) for value in values}
    samples = {value for _ in range(10) for value in eval(text).sample(size=50)}
    assert {round(value, 9) for value in samples} <= set(values)


@pytest.mark.parametrize("text", ["tune.randint(3, 8)", "tune.qrandint(8, 40, 8)", "tune.choice([1, 2, 3, 4, 5])"])
def test_what_is_finite_is_drawn_as_often(text: str, tmp_path: Path) -> None:
    assert set(Counter(drawn(tmp_path, text)).values()) == {400}


def test_steps_of_a_large_range_are_not_rounded_to_four_digits(tmp_path: Path) -> None:
    values = drawn(tmp_path, "tune.quniform(10000, 12000, 1)")
    assert len(set(values)) > 1500
    assert all(value == int(value) for value in values)


def test_steps_of_a_normal_distribution(tmp_path: Path) -> None:
    values = drawn(tmp_path, "tune.qrandn(1, 0.5, 0.25)")
    assert all(value % 0.25 == 0 for value in values)
    assert values == sorted(values)
    assert values[1000] == 1


@REUSED
@given(low=st.integers(-50, 50), width=st.integers(0, 50), q=st.integers(1, 9), u=st.floats(0, 1, exclude_max=True))
@example(low=5, width=6, q=4, u=0.0)
def test_a_step_is_a_multiple_within_the_bounds(low: int, width: int, q: int, u: float, tmp_path: Path) -> None:
    high = low + width
    assume(any(value % q == 0 for value in range(low, high + (q > 1))))
    value = load(tmp_path, f"tune.qrandint({low}, {high}, {q})").at(u)
    assert low <= value <= high
    assert value % q == 0
    assert q > 1 or value < high


@REUSED
@given(low=st.integers(1, 10**6), width=st.integers(1, 10**6), u=st.floats(0, 1, exclude_max=True))
@example(low=5, width=1, u=0.0)
def test_a_logarithmic_whole_number_is_within_its_bounds(low: int, width: int, u: float, tmp_path: Path) -> None:
    assert low <= load(tmp_path, f"tune.lograndint({low}, {low + width})").at(u) < low + width


# -- choices, grids, constants


def test_choices_and_grids(tmp_path: Path) -> None:
    assert list(dict.fromkeys(drawn(tmp_path, "tune.choice(['none', 'inverse'])"))) == ["none", "inverse"]
    assert load(tmp_path, "tune.grid_search([1e-3, 1e-2])") == Grid((1e-3, 1e-2))
    assert load(tmp_path, "{'grid_search': (1, 2)}") == Grid((1, 2))


@pytest.mark.parametrize("text", ["0.25", "8", "'cosine'", "None", "True"])
def test_constants(text: str, tmp_path: Path) -> None:
    assert load(tmp_path, text) == eval(text)
    assert not isinstance(load(tmp_path, text), Domain)


def test_numpys_numbers_are_pythons(tmp_path: Path) -> None:
    numpy = "__import__('numpy')"
    assert {type(value) for value in drawn(tmp_path, f"tune.choice(list({numpy}.arange(3)))")} == {int}
    assert [type(value) for value in load(tmp_path, f"tune.grid_search({numpy}.logspace(-4, -2, 3))").values] == [
        float
    ] * 3
    assert type(load(tmp_path, f"{numpy}.float32(0.5)")) is float
    assert drawn(tmp_path, f"tune.randint({numpy}.int64(3), {numpy}.int64(4))")[0] == 3


def test_a_space_is_a_mapping_of_any_kind_with_code_around_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom types import MappingProxyType\nfrom ray import tune\n"
        "@dataclass\nclass Wish:\n    low: float\n"
        "def wide(low): return tune.loguniform(low, 100 * low)\n"
        "A = MappingProxyType({'lr_head': wide(Wish(1e-4).low), 'batch': 8})\nB = {'batch': tune.choice([8, 16])}\n",
        encoding="utf-8",
    )
    assert load_space(f"{file}:A")["lr_head"].at(0.5) == 1e-3
    assert list(load_space(f"{file}:A")) == ["lr_head", "batch"]
    assert list(load_space(f"{file}:B")) == ["batch"]


def test_reading_a_space_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """And it is read anew: Python's own cache of an import knows a file by its size and second."""
    assert load(tmp_path, "tune.uniform(0, 1)").high == 1
    assert load(tmp_path, "tune.uniform(0, 2)").high == 2
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


def test_tune_itself_draws_what_we_hold_it_against() -> None:
    """A change in Tune shows here rather than in a sweep."""
    assert set(tune.qrandint(8, 24, 8).sample(size=200)) == {8, 16, 24}
    assert set(tune.randint(3, 5).sample(size=200)) == {3, 4}
