"""index.html, read by its tags."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """Rows of cells of each table, by the table's place on the page and by its id; whether every tag was closed."""

    EMPTY = ("meta", "br", "img", "link")

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.named: dict[str | None, list[list[str]]] = {}
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)
        assert not self.open, "tags left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.named[dict(attrs).get("id")] = self.tables[-1]
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += f" {data.strip()}" if self.open[-1] == "span" else data.strip()
