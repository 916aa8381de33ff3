"""`--only`: what means which experiments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.selection import pattern_of, select
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.errors import ConfigError

ALL = ("faceapi_M1", "probe_M1", "finetune_M1", "faceapi_M2", "probe_M2", "finetune_M2", "finetune_K7")


def names(*only: str) -> tuple[str, ...]:
    return tuple(experiment.name for experiment in select(only))


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        pytest.param((), ALL, id="nothing-means-all"),
        pytest.param(("probe_M1",), ("probe_M1",), id="name"),
        pytest.param(("probe_M1_160",), ("probe_M1",), id="folder-name"),
        pytest.param(("finetune_*",), ("finetune_M1", "finetune_M2", "finetune_K7"), id="glob"),
        pytest.param(("*_M1",), ("faceapi_M1", "probe_M1", "finetune_M1"), id="glob-over-methods"),
        pytest.param(("*_160",), tuple(n for n in ALL if "faceapi" not in n), id="glob-over-folder-names"),
        pytest.param(("*_M[12]",), tuple(n for n in ALL if "K7" not in n), id="glob-with-a-set"),
        pytest.param(("*",), ALL, id="glob-for-all"),
        pytest.param(("probe_M2,faceapi_M1",), ("faceapi_M1", "probe_M2"), id="commas"),
        pytest.param((" probe_M2 , faceapi_M1 ,",), ("faceapi_M1", "probe_M2"), id="spaces-and-a-last-comma"),
        pytest.param(("finetune_K7", "faceapi_M1"), ("faceapi_M1", "finetune_K7"), id="repeated-option"),
        pytest.param(("probe_M1", "probe_M1_160,probe_*"), ("probe_M1", "probe_M2"), id="named-more-than-once"),
        pytest.param(("", "probe_M1"), ("probe_M1",), id="an-empty-one-beside-a-name"),
        pytest.param(("'*_M1'",), ("faceapi_M1", "probe_M1", "finetune_M1"), id="quotes-that-a-shell-passed-on"),
        pytest.param(('"probe_M1,faceapi_M1"',), ("faceapi_M1", "probe_M1"), id="quotes-around-several"),
        pytest.param(("'probe_M1_160','probe_M2'",), ("probe_M1", "probe_M2"), id="quotes-around-each"),
    ],
)
def test_what_is_meant(only: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert names(*only) == expected


@given(st.lists(st.sampled_from(ALL), min_size=1), st.booleans())
def test_order_is_the_runbooks_however_it_is_asked(wanted: list[str], in_one_option: bool) -> None:
    only = [",".join(wanted)] if in_one_option else wanted
    assert names(*only) == tuple(name for name in ALL if name in wanted)


@pytest.mark.parametrize("only", [("Probe_M1",), ("probe_K7",), ("probe",), ("faceapi_M1_160",), ("faceapi_K7",)])
def test_what_means_nothing_is_refused(only: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=f"--only {only[0]}: no such experiment"):
        select(only)


def test_all_unknown_names_are_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        select(["probe_M1,nosuch", "other_*"])
    text = str(caught.value)
    assert "nosuch, other_*" in text
    assert all(experiment.name in text for experiment in EXPERIMENTS)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("finetuneM1", "finetune_M1"),
        ("finetune_m1", "finetune_M1"),
        ("FINETUNE-M1-160", "finetune_M1"),
        ("fintune_K7", "finetune_K7"),
        ("faceapi_K7", "faceapi_M2 or faceapi_M1"),
        ("M1", "'*_M1'"),
        ("k7", "'*_K7'"),
        ("*_m2", "'*_M2'"),
        ("probe", "'probe_*'"),
        ("FaceAPI", "'faceapi_*'"),
    ],
)
def test_a_name_that_means_nothing_is_met_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        select([name])
    assert f"--only {name}: no such experiment (did you mean {nearest}? there are: faceapi_M1 " in str(caught.value)
    for suggestion in nearest.split(" or "):
        assert names(suggestion)


def test_what_is_like_no_name_is_met_with_all_names() -> None:
    with pytest.raises(ConfigError, match=r"sweep nosuch: no such experiment \(there are: "):
        select(["nosuch"], "sweep")


@given(st.sets(st.sampled_from(EXPERIMENTS), min_size=1))
def test_a_pattern_means_the_experiments_it_was_made_for(chosen: set[Experiment]) -> None:
    assert set(select([pattern_of(chosen)])) == chosen


@pytest.mark.parametrize(
    ("only", "pattern"),
    [
        ("*_M1", "'*_M1'"),
        ("*_M1,*_K7", "'*_M1,*_K7'"),
        ("probe_*,finetune_*", "'probe_*,finetune_*'"),
        ("probe_M1,finetune_M2", "probe_M1,finetune_M2"),
    ],
)
def test_a_pattern_is_of_splits_or_methods_where_these_are_whole(only: str, pattern: str) -> None:
    assert pattern_of(select([only])) == pattern


@pytest.mark.parametrize("only", [("",), (" , ",), ("", ",")])
def test_naming_nothing_is_not_naming_all(only: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="names no experiment"):
        select(only)
