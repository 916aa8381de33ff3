"""What a person reads of an error that another process, torch or the system raised."""

from __future__ import annotations

import errno
import traceback

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainable.base.errors import ExperimentError, Failure

CPP = """
CUDA error: an illegal memory access was encountered
CUDA kernel errors might be asynchronously reported at some other API call.
Exception raised from c10_cuda_check_implementation at CUDAException.cpp:43 (most recent call first):
frame #0: c10::Error::Error(c10::SourceLocation) + 0x98 (0x7f in libc10.so)
frame #1: clone + 0x40 (0x7f in /lib/x86_64-linux-gnu/libc.so.6)
"""
WORKER = """Caught KeyError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "/site-packages/torch/utils/data/worker.py", line 349, in _worker_loop
    data = fetcher.fetch(index)
           ^^^^^^^^^^^^^^^^^^^^
  File "/somewhere/rows.py", line 20, in __getitem__
    return self.rows[index]
KeyError: 'the row is not there'
"""
RAY = """\x1b[36mray::train()\x1b[39m (pid=10, ip=10.0.0.1)
  File "/somewhere/train.py", line 3, in train
ValueError: no such layer"""
ACTOR = """The actor died unexpectedly before finishing this task.
\tclass_name: StagedTrainable
\tpid: 4711
The actor never ran - it was cancelled before it started running."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CPP, "RuntimeError: CUDA error: an illegal memory access was encountered"),
        (WORKER, "KeyError: 'the row is not there'"),
        (RAY, "ValueError: no such layer"),
        (ACTOR, "RuntimeError: The actor died unexpectedly before finishing this task."),
        ("", "RuntimeError"),
    ],
    ids=["a C++ stack", "a worker's traceback", "a task's traceback", "a dead actor", "nothing"],
)
def test_a_failure_is_the_line_that_says_what_happened(text: str, message: str) -> None:
    failure = Failure.of(RuntimeError(text))
    assert failure.message == message
    assert text in failure.details


def test_a_failure_of_nothing_says_that_the_process_ended() -> None:
    assert Failure.of(None) == Failure("its process ended without a word")


def test_a_line_that_announces_the_next_is_shown_with_it() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(2, 2).load_state_dict({})
    assert Failure.of(caught.value).message == (
        'RuntimeError: Error(s) in loading state_dict for Linear: Missing key(s) in state_dict: "weight", "bias".'
    )


def test_a_real_traceback_within_a_message_ends_with_what_happened() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("no room\nfor more") from None
    except ValueError:
        text = traceback.format_exc()
    assert Failure.of(RuntimeError(text)).message == "ValueError: no room"


def test_an_error_of_the_system_says_where_and_why_without_its_number() -> None:
    assert Failure.of(PermissionError(errno.EACCES, "Permission denied", "/out")).message == "/out: Permission denied"
    assert Failure.of(OSError("no number")).message == "OSError: no number"


def test_an_error_of_ours_is_its_first_line_and_keeps_the_rest() -> None:
    assert Failure.of(ExperimentError("a.jpg: gone")) == Failure("a.jpg: gone")
    assert Failure.of(ExperimentError("a.jpg: gone\nand more")) == Failure("a.jpg: gone", "a.jpg: gone\nand more")
    assert Failure.of(ExperimentError()).message == "ExperimentError"


@given(st.text(), st.sampled_from([RuntimeError, ExperimentError, OSError]))
def test_a_message_is_one_short_line_and_the_whole_text_is_kept(text: str, kind: type[Exception]) -> None:
    failure = Failure.of(kind(text))
    assert 0 < len(failure.message) <= 300
    assert len(failure.message.splitlines()) == 1
    assert text.strip() in (failure.message, *failure.details.split("\0")) or text.strip() in failure.details
