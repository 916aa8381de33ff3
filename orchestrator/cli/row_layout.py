"""The rows of a run as lines of a given width and number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from orchestrator.cli.sentences import about, amount, used
from orchestrator.cli.terminal import styled
from orchestrator.progress.pace import Left
from orchestrator.progress.row import Row
from orchestrator.progress.sparkline import sparkline
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Usage
from orchestrator.reporting.formats import duration, score
from trainable.base.text import one_line

_HEADINGS = {
    "name": "", "stage": "St", "bar": "", "done": "done", "rate": "img/s", "score": "val F1", "trend": "trend",
    "best": "best", "time": "time", "left": "left",
}  # fmt: skip
_WIDTHS = {
    "name": 17, "stage": 2, "bar": 6, "done": 9, "rate": 5, "score": 6, "trend": 8, "best": 6, "time": 8, "left": 7
}  # fmt: skip
_DROPPED = ("time", "trend", "rate", "bar", "stage", "score", "best", "done", "left")
"""What a narrow terminal does without, the first of them first."""
_LARGEST = {"bar": 24, "trend": 30}
_RIGHT = ("done", "rate", "score", "best", "time", "left")
_STYLES = {"running": "", "done": "green", "failed": "red", "waiting": "dim", "paused": "dim", "stopped": "dim"}
_WORDS = {"paused": "waiting"}
"""What a state is called where it has another name."""
_URGENT = ("running", "failed", "paused", "waiting", "stopped", "done")
"""Whose row is shown where there is no room for all of them."""


def draw(state: RunState, usage: Usage, now: float, width: int, height: int, *, plain: bool = False) -> list[Text]:
    """The lines that show the run: at most `height` of them, none wider than `width` columns.

    Args:
        plain: only characters that any console of the last decades has.
    """
    rows = state.rows(now)
    footer = summary(rows, now - state.began, state.left(now), usage)
    lines = draw_rows(rows, width, height - len(footer), plain=plain)
    return [*lines, *(_cut(styled((line, "dim")), width) for line in footer)][-max(0, height) :]


def draw_rows(rows: Sequence[Row], width: int, height: int, *, plain: bool = False) -> list[Text]:
    """The headings and a line for each row; where they are too many, a line says how many are left out."""
    if not rows or height < 1:
        return []
    columns = _columns(width)
    if plain:
        columns.pop("trend", None)
    shown, rest = _most_urgent(rows, height - 1)
    lines = [_line({name: Text(_HEADINGS[name], "dim") for name in columns}, columns, width)]
    lines += [_line(_cells(row, columns, plain=plain), columns, width) for row in shown]
    if rest:
        count = Counter(_WORDS.get(row.status, row.status) for row in rest)
        words = ", ".join(f"{number} {word}" for word, number in count.items())
        lines.append(_cut(styled((f"and {len(rest)} more: {words}", "dim")), width))
    return lines[:height]


def _most_urgent(rows: Sequence[Row], room: int) -> tuple[list[Row], list[Row]]:
    """The rows that are shown, in their order, and the others, for which one line is kept."""
    if len(rows) <= room:
        return list(rows), []
    order = sorted(range(len(rows)), key=lambda place: (_URGENT.index(rows[place].status), place))
    shown = set(order[: max(0, room - 1)])
    return [rows[i] for i in sorted(shown)], [row for i, row in enumerate(rows) if i not in shown]


def _columns(width: int) -> dict[str, int]:
    """The columns that fit, and their widths; a space is between each two."""
    columns = dict(_WIDTHS)
    for name in _DROPPED:
        if sum(columns.values()) + len(columns) - 1 <= width:
            break
        del columns[name]
    spare = width - sum(columns.values()) - len(columns) + 1
    for name, share in (("bar", 0.4), ("trend", 1.0)):
        if name in columns:
            more = max(0, min(round(share * spare), _LARGEST[name] - columns[name]))
            columns[name] += more
            spare -= more
    return columns


def _cells(row: Row, columns: dict[str, int], *, plain: bool) -> dict[str, Text]:
    style = _STYLES[row.status]
    left = about(row.left) if row.left is not None else _WORDS.get(row.status, row.status)
    texts = {
        "name": row.name,
        "stage": "" if row.stage is None else f"{row.stage}",
        "done": _done(row),
        "rate": "" if row.images_per_second is None or row.status != "running" else amount(row.images_per_second),
        "score": "" if row.score is None else score(row.score),
        "trend": sparkline(row.scores, columns.get("trend", 0)),
        "best": "" if row.best is None else score(row.best),
        "time": _elapsed(row),
        "left": left,
    }
    cells = {name: styled((text, style)) for name, text in texts.items()}
    cells["bar"] = _bar(row, columns.get("bar", 0), plain=plain)
    return cells | _note(row, columns)


def _elapsed(row: Row) -> str:
    if row.elapsed is None:
        return ""
    return _coarse(row.elapsed) if row.status == "running" else duration(row.elapsed)


def _done(row: Row) -> str:
    text = f"{row.done}/{row.total}"
    if len(text) <= _WIDTHS["done"]:
        return text
    return f"{amount(row.done)}/{amount(row.total)}" if row.total < 1e7 else amount(row.done)


def _note(row: Row, columns: dict[str, int]) -> dict[str, Text]:
    """What stands in the place of score and trend: how many trials, or why it failed."""
    if row.trials is not None:
        over, trials, running = row.trials
        more = f" trials, {running} run" if running and "trend" in columns else ""
        return {"score": styled((f"{over}/{trials}{more}", _STYLES[row.status]))}
    if row.status == "failed" and row.message:
        return {"score": styled((one_line(row.message), "red"))}
    return {}


def _bar(row: Row, width: int, *, plain: bool) -> Text:
    share = min(1.0, row.done / row.total) if row.total else 0.0
    filled = int(share * width)
    full, empty = ("#", "-") if plain else ("━", "─")
    return Text.assemble((full * filled, _STYLES[row.status] or "cyan"), (empty * (width - filled), "dim"))


def _line(cells: dict[str, Text], columns: dict[str, int], width: int) -> Text:
    """The cells side by side. One that is too wide for `score` goes on in `trend`, and others are cut."""
    parts: list[Text] = []
    names = list(columns)
    while names:
        name = names.pop(0)
        room, cell = columns[name], cells[name]
        right = name in _RIGHT
        if name == "score" and cell.cell_len > room and names[:1] == ["trend"]:
            room, right = room + 1 + columns[names.pop(0)], False
        cell.truncate(room, overflow="ellipsis")
        cell.align("right" if right else "left", room)
        parts.append(cell)
    return _cut(Text(" ").join(parts), width)


def _cut(line: Text, width: int) -> Text:
    line.no_wrap, line.overflow = True, "crop"
    line.truncate(max(0, width), overflow="ellipsis")
    return line


def summary(
    rows: Sequence[Row], elapsed: float, left: Left | None, usage: Usage, machine: str = "this machine"
) -> list[str]:
    """The lines below the rows: all of them together, and what of the machine is in use."""
    count = Counter(_WORDS.get(row.status, row.status) for row in rows)
    order = ("running", "waiting", "stopped", "done", "failed")
    words = [f"{count[word]} {word}" for word in order if count[word]]
    more = [f"{about(left)} left"] if left is not None and left.seconds else []
    return [", ".join([*words, f"{_coarse(elapsed)} so far", *more]), f"{machine}: {', '.join(used(usage))}"]


def _coarse(seconds: float) -> str:
    """A time that has passed, in minutes after the first one, so that it need not be redrawn every second."""
    return f"{int(seconds) // 10 * 10} s" if seconds < 60 else duration(seconds // 60 * 60)
