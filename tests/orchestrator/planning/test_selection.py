"""`--only`: what means which experiments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.selection import select
from search_spaces.runbook import EXPERIMENTS
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


@pytest.mark.parametrize("only", [("",), (" , ",), ("", ",")])
def test_naming_nothing_is_not_naming_all(only: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="names no experiment"):
        select(only)
