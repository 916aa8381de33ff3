"""The progress of a run, without its network."""

from __future__ import annotations

import json

from trainable.run.state import RunState


def test_a_checkpoint_gives_the_state_back() -> None:
    state = RunState(micro_batch=8, fallbacks=["less"])
    state.add_epoch({"epoch": 1, "val_macro_f1": 0.5})
    state.add_corrupt("val", {"b.jpg", "a.jpg"})
    saved = json.loads(json.dumps({**state.to_checkpoint(), "model": {}, "identity": {}}))
    assert RunState.from_checkpoint(saved) == state
    assert (state.epoch, state.corrupt["val"]) == (1, ["a.jpg", "b.jpg"])


def test_corrupt_images_are_noted_once() -> None:
    state = RunState()
    assert state.add_corrupt("train", {"b", "a"}) == ["a", "b"]
    assert state.add_corrupt("train", {"c", "a"}) == ["c"]
    assert state.add_corrupt("val", {"a"}) == ["a"]
    assert state.corrupt == {"train": ["a", "b", "c"], "val": ["a"], "test": []}


def test_the_earlier_epoch_is_the_best_on_a_tie() -> None:
    state = RunState()
    assert state.is_best(0.0)
    state.best = {"model": {}, "metrics": {"macro_f1": 0.5}}
    assert [state.is_best(score) for score in (0.4, 0.5, 0.6)] == [False, False, True]


def test_new_states_share_nothing() -> None:
    one, other = RunState(), RunState()
    one.add_epoch({})
    one.add_corrupt("train", {"a"})
    assert (other.history, other.corrupt["train"]) == ([], [])
