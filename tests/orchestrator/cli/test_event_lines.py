"""A run without a terminal: a line an event with its time, one at least every minute, and JSON that is whole."""

from __future__ import annotations

import io
import json
import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import EVERYTHING, Clock, epoch_row, evaluation, histories, run, trial

from orchestrator.cli.event_lines import JsonLines, TextLines, write_json_line
from orchestrator.cli.progress import ProgressView
from orchestrator.cli.terminal import Terminal
from orchestrator.progress.event import Event
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Machine
from trainable.base.errors import Failure

NOON = datetime(2026, 7, 1, 12, 0, 0)
STAMP = re.compile(r"2026-07-01 12:00:00  (.*)")
MACHINE = Machine()
FIELDS = Path(__file__).parents[3] / "docs/progress.md"


class Told:
    """A view on a file, whose clock is set by hand and whose printer ticks when it is told to."""

    def __init__(self, kind: str, encoding: str = "utf-8") -> None:
        self.bytes, self.clock = io.BytesIO(), Clock()
        self.file = io.TextIOWrapper(self.bytes, encoding=encoding, errors="replace", write_through=True)
        state = RunState()
        lines: Any = TextLines(Terminal(file=self.file, width=80), state, MACHINE, lambda: NOON)
        if kind == "json":
            lines = JsonLines(self.file, state, MACHINE, lambda: NOON)
        self.lines, self.view = lines, ProgressView(state, lines, MACHINE, self.clock)
        self.encoding = encoding

    @property
    def printed(self) -> list[str]:
        return self.bytes.getvalue().decode(self.encoding).split("\n")[:-1]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line, parse_constant=refused) for line in self.printed]

    def hear(self, event: Event) -> None:
        self.view.state.apply(event, self.clock.now)
        self.lines.show(event, self.clock.now)


def refused(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_a_line_an_event_with_its_time() -> None:
    told = Told("text")
    told.view.log = Path("/로그/a.log")
    told.view.add([run(), evaluation(), trial(1)])
    for now, call in enumerate([
        lambda view: view.say("measuring 감정 [bold]"),
        lambda view: view.started("finetune_M1"),
        lambda view: view.epoch("finetune_M1", epoch_row(run(), 1)),
        lambda view: view.epoch("finetune_M1", epoch_row(run(), 2)),
        lambda view: view.waiting("finetune_M1#1", 60, "no node has room"),
        lambda view: view.retried("finetune_M1#1", Failure("was lost")),
        lambda view: view.stopped("finetune_M1#1", "below the\nmedian", None),
        lambda view: view.failed("faceapi_M1", Failure("no such model")),
        lambda view: view.finished("finetune_M1"),
    ]):  # fmt: skip
        told.clock.now = 10.0 * now
        call(told.view)
    assert [match[1] for match in map(STAMP.fullmatch, told.printed) if match] == [
        "measuring 감정 [bold]",
        "finetune_M1: started",
        "finetune_M1: epoch 1/10 stage 1: loss 1.0000, train accuracy 0.500, val F1 0.5000, 10.0 s, 24.0 images/s",
        "finetune_M1: epoch 2/10 stage 2: loss 1.0000, train accuracy 0.500, val F1 0.5000, 10.0 s, 24.0 images/s, "
        "~11 min left",
        "finetune_M1#1: has waited 60 s; no node has room",
        "finetune_M1#1: is tried again after: was lost (log: /로그/a.log)",
        "finetune_M1#1: below the median",
        "faceapi_M1: failed: no such model (log: /로그/a.log)",
        "finetune_M1: done, best val F1 0.5000",
    ]
    assert len(told.printed) == 9
    assert set(told.view.failures) == {"faceapi_M1"}


@pytest.mark.parametrize("kind", ["text", "json"])
@given(gaps=st.lists(st.floats(0, 100), max_size=20))
def test_no_minute_is_silent(kind: str, gaps: list[float]) -> None:
    """However the events lie, with a tick every second."""
    told = Told(kind)
    told.view.add([run()])
    told.view.started("finetune_M1")
    known, spoke = len(told.printed), 0.0
    events = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    for second in range(int(sum(gaps)) + 130):
        told.clock.now = float(second)
        for _ in [time for time in events if second - 1 < time <= second]:
            told.view.say("an event")
        told.lines.tick(told.clock.now)
        if len(told.printed) > known:
            known, spoke = len(told.printed), told.clock.now
        assert told.clock.now - spoke < 60
    last = [line for line in told.printed if "an event" not in line][-1]
    assert "finetune_M1" in last and ("running for" in last or '"status"' in last)


@given(histories())
def test_every_event_is_a_json_object_with_its_name(history: list[tuple[float, Event]]) -> None:
    told = Told("json")
    told.view.add(EVERYTHING)
    for now, event in history:
        told.clock.now = now
        told.hear(event)
    status, *records = told.records
    assert [row["name"] for row in status["rows"]] == [row.name for row in told.view.state.rows(0.0)][-11:]
    expected = [event for _, event in history if event.kind not in ("decoded", "progress")]
    named = [record for record in records if record["event"] not in ("decoded", "progress")]
    assert [(record["event"], record.get("name", "")) for record in named] == [(e.kind, e.name) for e in expected]
    for record, event in zip(named, expected, strict=True):
        assert datetime.fromisoformat(record["time"]).astimezone() == NOON.astimezone()
        values = {key: value for key, value in event.values.items() if key not in ("scores", "place")}
        same = {key: None if value != value else value for key, value in values.items()}
        assert {key: record[key] for key in same} == same


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "ascii"])
@given(text=st.text(st.characters() | st.sampled_from('감정😀\n"\\\u2028\ud800')))
def test_any_text_comes_back_from_json(encoding: str, text: str) -> None:
    told = Told("json", encoding)
    told.view.say(text)
    assert [record["text"] for record in told.records] == [text]


def test_korean_is_readable_where_the_encoding_has_it() -> None:
    assert [told.printed for encoding in ("utf-8", "cp949") if (told := heard(encoding)) and "감정" in told.printed[0]]
    assert "\\uac10" in heard("ascii").printed[0]


def heard(encoding: str) -> Told:
    told = Told("json", encoding)
    told.view.say("감정")
    return told


@given(st.recursive(st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_what_is_no_number_is_null(value: Any) -> None:
    out = io.StringIO()
    write_json_line(out, NOON, "x", {"value": value})
    back = json.loads(out.getvalue(), parse_constant=refused)["value"]
    assert json.dumps(back) == json.dumps(json.loads(json.dumps(value), parse_constant=lambda name: None))


def test_images_are_told_of_a_tenth_at_a_time() -> None:
    told = Told("json")
    told.view.add([evaluation(rows=6400)])
    for done in range(0, 6401, 64):
        told.view.progress("faceapi_M1", done, 6400)
        told.view.decoded(done, 6400)
    for kind in ("progress", "decoded"):
        assert [record["done"] for record in told.records if record["event"] == kind] == list(range(640, 6401, 640))


def test_every_field_is_documented() -> None:
    """And every kind of event."""
    told, page = Told("json"), FIELDS.read_text(encoding="utf-8")
    told.view.add(EVERYTHING)
    told.view.started("finetune_M1")
    told.view.epoch("finetune_M1", epoch_row(run(), 1))
    told.view.progress("faceapi_M1", 640, 640)
    told.view.decoded(9, 9)
    told.view.stopped("finetune_M1#1", "why", None)
    told.view.failed("finetune_M1#2", Failure("why"))
    for record in told.records:
        for key in (record["event"], *record, *(key for row in record.get("rows", []) for key in row)):
            assert f"`{key}`" in page, key


@pytest.mark.parametrize("broken", ["open", "added", "show", "tick", "close"])
def test_a_printer_that_fails_ends_nothing(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told("text")
    told.lines.period = 0.01

    def fail(*arguments: object) -> None:
        raise ValueError(f"{broken} went wrong")

    setattr(told.lines, broken, fail)
    with told.view as view:
        view.add([run()])
        view.failed("finetune_M1", Failure("its own reason"))
        told.clock.now = math.inf if broken == "tick" else 0.0
        ticked(told)
    assert view.failures == {"finetune_M1": Failure("its own reason")}
    assert "its own reason" in capsys.readouterr().err


def ticked(told: Told) -> None:
    """A tick as the view's thread makes it."""
    told.view._try(told.view.printer.tick)


def test_the_whole_failure_is_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A run's stderr is the log that the message names."""
    told = Told("text")
    told.view.add([run()])
    told.view.failed("finetune_M1", Failure("short", details="Traceback (most recent call last): all of it"))
    told.view.retried("finetune_M1", Failure("shorter", details="and this"))
    assert capsys.readouterr().err.splitlines() == [
        "finetune_M1: Traceback (most recent call last): all of it", "finetune_M1: and this",
    ]  # fmt: skip


def test_events_of_many_threads_are_shown_one_after_the_other() -> None:
    told = Told("text")
    shown: list[str] = []

    def show(event: Event, now: float) -> None:
        shown.append("begins")
        threading.Event().wait(0.001)  # lets another thread go on, if it may
        shown.append("ends")

    told.lines.show = show
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(told.view.say, ["text"] * 40))
    assert shown == ["begins", "ends"] * 40
