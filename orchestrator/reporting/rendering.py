"""Pages from templates: each is one file that opens from disk without a request to anywhere.

Figures are drawn by plotly.js: its wheel ships the script as a plain file, which vega's do not, and it has logarithmic
axes, intervals and parallel coordinates of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from orchestrator.reporting.figures import Figure
from orchestrator.reporting.formats import duration, percent, score
from trainable.base.text import visible

_PLOTLY = "plotly/package_data/plotly.min.js"


def render(template: str, values: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    """The HTML of a page; every text in `values` is escaped.

    Args:
        template: a file of `templates/` that extends base.html.j2.
        figures: all that the page shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )  # fmt: skip
    environment.filters |= {"score": score, "percent": percent, "duration": duration}
    shared = {
        "specs": {figure.id: figure.spec for figure in figures},
        "plotly": _plotly() if figures else None,
        "made": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    }
    return environment.get_template(template).render({**values, **shared})


def _plotly() -> Markup | None:
    """The script of plotly.js, without an import of its Python package; None where it is not installed."""
    try:
        file = Path(str(distribution("plotly").locate_file(_PLOTLY)))
        return Markup(file.read_text(encoding="utf-8"))
    except (PackageNotFoundError, OSError):  # the tables are worth a page without figures
        return None
