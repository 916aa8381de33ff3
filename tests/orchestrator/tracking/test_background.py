"""A tracker that is slow, down or broken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked import Heard, ending, epoch

from orchestrator.tracking import background
from orchestrator.tracking.background import Background
from orchestrator.tracking.tracker import Ending, Epoch, Report, TrackedRun

RUN = TrackedRun("key", "probe_M1")
REPORT = Report("FINISHED")


class Down(Heard):
    """Raises at every call, and counts them."""

    calls = 0

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        self.calls += 1
        raise SystemExit("no route to host 서버")  # as some libraries do

    def end(self, run: TrackedRun, ending: Ending) -> None:
        super().end(run, ending)
        raise OSError("still none")


class Refused(Heard):
    def begin(self, run: TrackedRun) -> None:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise RuntimeError("wrapped " * 100) from error


class Hanging(Heard):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go, self.asked = threading.Event(), threading.Event()

    def begin(self, run: TrackedRun) -> None:
        self.asked.set()
        self.let_go.wait()
        super().begin(run)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    tracker = Hanging()
    yield tracker
    tracker.let_go.set()


def test_everything_is_told_in_its_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    tracker = Background(heard, tmp_path / "log")
    tracker.begin(RUN)
    for number in range(1, 100):
        tracker.epoch(RUN, epoch(number))
    tracker.end(RUN, ending(99))
    tracker.close(REPORT)
    assert heard.begun == [RUN]
    assert heard.epochs == [("probe_M1", number) for number in range(1, 100)]
    assert heard.ended == {"probe_M1": ending(99)}
    assert heard.reports == [REPORT]
    assert not caplog.records
    assert not (tmp_path / "log").exists()


def test_one_that_is_down_is_said_once_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    down, log = Down(), tmp_path / "logs" / "tracking.log"
    tracker = Background(down, log)
    for number in range(1, 6):
        tracker.epoch(RUN, epoch(number))
    tracker.end(RUN, ending(5))
    tracker.close(REPORT)
    assert down.calls == 1, "each try may take long, and the end brings the epochs again"
    assert down.ended and down.reports, "what comes after an error is told"
    [record] = caplog.records
    said = record.getMessage()
    assert said == (
        f"Heard: SystemExit: no route to host 서버; the run goes on, and its results are on disk (more in {log})"
    )
    written = log.read_text(encoding="utf-8")
    assert "no route to host 서버" in written
    assert "still none" in written
    assert "Traceback" in written


def test_the_systems_own_word_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = Background(Refused(), tmp_path / "log")
    tracker.begin(RUN)
    tracker.close(REPORT)
    assert caplog.text.count("Heard: Connection refused; the run goes on") == 1


def test_a_pause_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE_SECONDS", 0.0)
    down = Down()
    tracker = Background(down, tmp_path / "log")
    for number in range(1, 6):
        tracker.epoch(RUN, epoch(number))
    tracker.close(REPORT)
    assert down.calls == 5


def test_one_that_hangs_keeps_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hanging: Hanging
) -> None:
    """Neither a run, however much it has to tell, nor the end of the command."""
    tracker = Background(hanging, tmp_path / "log", calls=3, flush_seconds=0.5)
    tracker.begin(RUN)
    assert hanging.asked.wait(60)
    for number in range(1, 10):
        tracker.epoch(RUN, epoch(number))  # would hang here
    tracker.close(REPORT)  # and here
    assert len(caplog.records) == 1
    assert "too slow: 3 calls wait already" in caplog.text
    assert "not taken everything within 0 s" in (tmp_path / "log").read_text(encoding="utf-8")
    assert not hanging.reports


def test_a_log_that_cannot_be_written_costs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    down = Down()
    tracker = Background(down, tmp_path / "file" / "log")
    tracker.epoch(RUN, epoch(1))
    tracker.close(REPORT)
    assert down.reports
    assert len(caplog.records) == 1
