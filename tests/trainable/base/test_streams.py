"""Standard streams that take any text at any time: real pipes, files and devices that refuse it."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TextIO

import pytest

from trainable.base.streams import lost_output, unbreakable, unbreakable_streams

FULL = Path("/dev/full")


def without_a_reader() -> TextIO:
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", encoding="utf-8")


def read_only() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")


def closed() -> TextIO:
    with Path(os.devnull).open("w", encoding="utf-8") as stream:
        return stream


def full() -> TextIO:
    if not FULL.exists():
        pytest.skip("this system has no /dev/full")
    return FULL.open("w", encoding="utf-8")


@pytest.mark.parametrize("make", [without_a_reader, read_only, closed, full, lambda: None])
def test_a_stream_that_refuses_text_raises_nothing(make) -> None:  # type: ignore[no-untyped-def]
    stream = unbreakable(make())
    for text in ("first\n", "x" * 100_000, "last"):
        assert stream.write(text) == len(text)
        stream.flush()
        print(text, file=stream, flush=True)
    assert stream.isatty() is False
    if not stream.closed:
        stream.close()  # Python does so when it ends, and writes what is left


@pytest.mark.parametrize(("make", "lost"), [(without_a_reader, False), (full, True), (read_only, True)])
def test_a_reader_that_left_is_no_loss_and_a_full_disk_is(
    make,
    lost: bool,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setattr(sys, "stdout", unbreakable(make()))
    print("text", flush=True)
    assert (lost_output() is not None) == lost


@pytest.mark.parametrize(
    ("encoding", "written"), [("cp949", "기쁨 ? ½ ?"), ("ascii", "?? ? ? ?"), ("utf-8", "기쁨 – ½ ?")]
)
def test_characters_that_the_encoding_lacks_are_question_marks(encoding: str, written: str) -> None:
    buffer = io.BytesIO()
    stream = unbreakable(io.TextIOWrapper(buffer, encoding=encoding))
    stream.write("기쁨 – ½ \udcff")
    stream.flush()
    assert buffer.getvalue().decode(encoding) == written


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_everything() -> None:
    """Node leaves its children's pipes so; a write into a full one would raise BlockingIOError."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    text, got = "0123456789" * 100_000, bytearray()

    def reader() -> None:
        while data := os.read(read, 65536):
            got.extend(data)

    thread = threading.Thread(target=reader)
    stream = unbreakable(os.fdopen(write, "w", encoding="utf-8"))
    writer = threading.Thread(target=lambda: print(text, file=stream, end="", flush=True))
    writer.start()
    thread.start()
    writer.join(60)
    stream.close()
    thread.join(60)
    assert bytes(got).decode() == text


def test_a_signal_handler_may_print_in_the_middle_of_a_print() -> None:
    """Python refuses that with a RuntimeError, which must not end the run."""

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

    stream = unbreakable(Interrupted())
    assert stream.write("stopping") == 8


def test_a_wrapped_stream_is_wrapped_once() -> None:
    stream = unbreakable(io.StringIO())
    assert unbreakable(stream) is stream


def test_the_streams_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with unbreakable_streams():
        print("printed")
        assert (sys.stdout, sys.stderr) != before
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "printed\n"


def test_what_the_descriptor_is_redirected_to_later_is_written_again(tmp_path: Path) -> None:
    """A run redirects stdout to its log and back; a full disk under the log must not cost the table."""
    stream = without_a_reader()
    wrapped = unbreakable(stream)
    print("lost", file=wrapped, flush=True)
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), stream.fileno())
    print("kept", file=wrapped, flush=True)
    wrapped.close()
    assert (tmp_path / "out").read_text(encoding="utf-8") == "kept\n"


def test_sigpipe_is_left_to_python() -> None:
    """The rules above need an error from `write`, not a signal that ends the process."""
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
