"""A run that is seen from outside, in rows and sentences, or as values for programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from rich.console import Console

from orchestrator.cli.row_layout import draw_rows, summary
from orchestrator.cli.sentences import about
from orchestrator.cli.terminal import say
from orchestrator.execution.notice import STALE_SECONDS, NodeUse, Notice, Seen
from orchestrator.progress.pace import Left
from orchestrator.progress.place import Place
from orchestrator.progress.row import Row
from orchestrator.progress.snapshot import Snapshot, Work
from orchestrator.reporting.formats import duration

NAMES = 6
"""How many trainings of a node are named."""
_DEVICES = {"cuda": "GPU", "cpu": "CPU"}


def print_run(console: Console, seen: Seen) -> None:
    """What there is to see of a run, in the terminal's width."""
    notice = seen.notice
    say(console, f"run {notice.run} on {notice.host}: {_state(seen)}")
    say(console, notice.command)
    say(console, f"results: {notice.output}")
    if not notice.progress:
        return
    snapshot = Snapshot.from_json(notice.progress)
    rows = snapshot.rows if seen.goes_on else [_over(row) for row in snapshot.rows]
    plain = not console.encoding.lower().startswith("utf")
    for line in draw_rows(rows, console.width, len(rows) + 1, plain=plain):
        console.print(line)
    left = snapshot.left if seen.goes_on else None
    all_rows, machine = summary(rows, snapshot.seconds, left, snapshot.usage, notice.host)
    say(console, all_rows)
    if seen.goes_on:
        for text in (machine, *_nodes(notice.nodes), *_where(snapshot.working), *_waiting(snapshot)):
            say(console, text)
    for text in _spent(snapshot):
        say(console, text)


def run_values(seen: Seen) -> dict[str, Any]:
    """The same as JSON values; docs/progress.md says what they mean."""
    notice = seen.notice
    values = {key: value for key, value in notice.to_json().items() if key not in ("progress", "version")}
    values |= {"began": _iso(notice.began), "written": _iso(notice.written), "under_way": seen.goes_on}
    if not notice.progress:
        return values
    snapshot = Snapshot.from_json(notice.progress)
    return {
        **values,
        "seconds": snapshot.seconds,
        "seconds_left": snapshot.left.seconds if snapshot.left is not None and seen.goes_on else None,
        "rows": [row.to_json() for row in snapshot.rows],
        "working": [{"name": work.name, **_place_values(work.place)} for work in snapshot.working],
        "waiting": [{"name": wait.name, "why": wait.why, "count": wait.count} for wait in snapshot.waiting],
        "gpu_hours": snapshot.device_seconds.get("cuda", 0.0) / 3600,
        "cpu_hours": snapshot.device_seconds.get("cpu", 0.0) / 3600,
        "cost": snapshot.cost,
        **snapshot.usage.to_json(),
    }


def _place_values(place: Place | None) -> dict[str, Any]:
    names = ("node", "address", "device", "amount", "accelerator")
    return {name: None if place is None else getattr(place, name) for name in names}


def _state(seen: Seen) -> str:
    notice = seen.notice
    since = f"since {_time(notice.began)}"
    if notice.state == "ended":
        return f"ended at {_time(notice.written)}, {_how_it_ended(notice)}"
    if seen.alive is False:
        return f"it was killed at about {_time(notice.written)}; the same command goes on"
    if seen.age >= STALE_SECONDS:
        gone = "" if seen.goes_on else ", and may have been killed"
        return f"{notice.state} {since}, but last heard of {duration(seen.age)} ago{gone}"
    if notice.state == "stopping":
        return f"{since}; stopping when the epochs in hand are saved"
    return f"{notice.state} {since}"


def _how_it_ended(notice: Notice) -> str:
    if notice.exit_code == 0:
        return "all done"
    if notice.exit_code == 130:
        return "interrupted; the same command goes on"
    if notice.message:
        return f"exit code {notice.exit_code}: {notice.message}"
    return "something has failed; the same command tries again"


def _over(row: Row) -> Row:
    """The row of a run that does not go on: what was in hand is not."""
    if row.status in ("done", "failed"):
        return row
    return replace(row, status="stopped", left=None, trials=None if row.trials is None else (*row.trials[:2], 0))


def _nodes(nodes: Sequence[NodeUse]) -> Iterator[str]:
    """What of the cluster is given away."""
    if not nodes:
        return
    parts = [f"CPUs {_of(nodes, 'cpus')}"]
    if any(node.gpus for node in nodes):
        parts.append(f"GPUs {_of(nodes, 'gpus')}")
    yield f"cluster: {len(nodes)} node{'s' if len(nodes) > 1 else ''}, {', '.join(parts)} given to trials"


def _of(nodes: Sequence[NodeUse], what: str) -> str:
    used, have = (sum(getattr(node, name) for node in nodes) for name in (f"{what}_used", what))
    return f"{used:g} of {have:g}"


def _where(working: Sequence[Work]) -> Iterator[str]:
    """What runs where, a line for each node and device."""
    groups = defaultdict(list)
    for work in working:
        groups[_where_it_is(work.place)].append(work.name)
    for where, names in groups.items():
        more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
        yield f"{where}: {', '.join(names[:NAMES])}{more}"


def _where_it_is(place: Place | None) -> str:
    if place is None:
        return "on a node not known before the first epoch"
    device = place.accelerator or _DEVICES.get(place.device, place.device)
    unit = "GPU" if place.device == "cuda" else f"thread{'s' if place.amount != 1 else ''}"
    amount = f"{place.amount:g} {unit}" + (" each" if place.amount != 1 else "")
    return f"on {place.node or 'this machine'} ({device}, {amount})"


def _waiting(snapshot: Snapshot) -> Iterator[str]:
    """What waits, a line for each reason."""
    groups = defaultdict(list)
    for wait in snapshot.waiting:
        groups[wait.why].append(f"{wait.name} ({wait.count})" if wait.count > 1 else wait.name)
    for why, names in groups.items():
        yield f"waiting{'' if why.startswith(('for ', 'to ')) else ', since'} {why}: {', '.join(names)}"


def _spent(snapshot: Snapshot) -> Iterator[str]:
    """What the run has taken."""
    parts = [
        f"{_DEVICES[device]} time {about(Left(snapshot.device_seconds[device]))}"
        for device in ("cuda", "cpu")
        if snapshot.device_seconds.get(device)
    ]
    if parts:
        yield f"trainings have taken {', '.join(parts)}"
    if snapshot.cost is not None:
        yield f"cost so far: {snapshot.cost:,.2f} at {snapshot.price_per_hour:,.2f} an hour"


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
