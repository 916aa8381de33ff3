"""The page in a real Chromium: it draws, asks for nothing, fits a phone and passes axe's checks of accessibility."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_hand import KOREAN, RUNS, write_faceapi, write_json, write_run

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.skipif(not find_spec("playwright"), reason="playwright is not installed"),
]
HISTORY = (
    "epoch,stage,train_loss,val_loss,val_macro_f1,lr_head\n1,1,2,2,0.1,0.001\n2,2,1,1.5,0.4,0.001\n3,3,1,1,0.3,0.001\n"
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of panel: 140 rows, logits, histories, a sweep of 80 trials over three values."""
    root = tmp_path_factory.mktemp("보고서")
    draw = np.random.default_rng(0)
    true = [KOREAN[i % 7] for i in range(140)]
    answers = [name if draw.random() < 0.6 else KOREAN[draw.integers(7)] for name in true]
    write_run(root, "finetune_K7_160", (0.6, 0.6, 0.6), list(zip(true, answers, strict=True)))
    write_faceapi(root, "M1", [(f"{i}.jpg", "happy", "happy", 0.9, 1, 0.8, 1) for i in range(9)])
    out = root / RUNS / "finetune_K7_160"
    (out / "history.csv").write_text(HISTORY, encoding="utf-8")
    logits = {f"logit_{name}": draw.normal(size=140).astype(np.float32) for name in KOREAN}
    for part in ("val", "test"):
        pd.DataFrame({"path": "", "label": true, **logits}).to_parquet(out / f"{part}_logits.parquet")
    _write_sweep(root, draw)
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths))
    return paths.index


def _write_sweep(root: Path, draw: np.random.Generator) -> None:
    sweeps = root / "reports" / "sweeps"
    sweeps.mkdir(parents=True)
    rows = [(n, *10 ** draw.uniform(-5, -2, 3), 3, 30, draw.random(), 1, 9.0, "finished", f"t{n}") for n in range(80)]
    names = ("trial", "lr_head", "lr_backbone", "weight_decay", "stage", "epochs", "best_val_macro_f1", "best_epoch",
             "seconds", "why_it_stopped", "folder")  # fmt: skip
    pd.DataFrame(rows, columns=names).to_csv(sweeps / "finetune_K7_160.csv", index=False)
    for n in range(80):
        write_json(root / f"t{n}" / "stopped.json", {"scores": draw.random(30).tolist()})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def _open(browser: Any, index: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page with all its parts open and drawn; and what it complained of, or asked for."""
    page, complaints = browser.new_page(**options), []
    page.set_default_timeout(120_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    own = ("file:", "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
    page.goto(index.as_uri())
    page.evaluate("document.querySelectorAll('details:not(.numbers)').forEach((part) => { part.open = true; })")
    page.evaluate("document.querySelectorAll('.plot').forEach(draw)")
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('svg'))")
    return page, complaints


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (1280, "dark")])
def test_it_draws_everything_fits_and_asks_for_nothing(
    width: int, scheme: str, browser: Any, index: Path, tmp_path: Path
) -> None:
    size = {"width": width, "height": 844}
    page, complaints = _open(browser, index, viewport=size, color_scheme=scheme)
    assert page.evaluate("document.querySelectorAll('.plot').length") >= 9
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it has to be pushed sideways"
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    shots = Path(os.environ.get("REPORT_SHOTS", tmp_path))
    page.screenshot(path=shots / f"page-{width}-{scheme}.png", full_page=True)
    assert complaints == []
    page.close()


@pytest.mark.skipif(not find_spec("axe_core_python"), reason="axe-core-python is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: str, browser: Any, index: Path) -> None:
    spec = find_spec("axe_core_python")
    assert spec is not None and spec.submodule_search_locations
    script = Path(spec.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")
    page, _ = _open(browser, index, viewport={"width": 1280, "height": 844}, color_scheme=scheme)
    page.add_script_tag(content=script)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [(each["id"], each["nodes"][0]["target"]) for each in found] == []
    page.close()


def test_it_can_be_used(browser: Any, index: Path) -> None:
    """By keyboard: another theme, a sorted table, the numbers of a figure."""
    page, complaints = _open(browser, index, color_scheme="light")
    page.locator("#theme").press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    head = page.locator("#summary th", has_text="Method")
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    names = page.locator("#summary tbody td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)
    page.locator("[data-numbers=intervals] summary").press("Enter")
    with page.expect_download() as waiting:
        page.locator("[data-csv=intervals]").press("Enter")
    table = pd.read_csv(waiting.value.path())
    assert list(table.columns) == ["experiment", "score", "value", "low", "high"]
    assert "K7 Finetune" in set(table["experiment"])
    assert complaints == []
    page.close()


def test_it_prints(browser: Any, index: Path, tmp_path: Path) -> None:
    page, complaints = _open(browser, index, color_scheme="dark")
    shots = Path(os.environ.get("REPORT_SHOTS", tmp_path))
    page.pdf(path=shots / "page.pdf", format="A4")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    widest = page.evaluate("Math.max(...[...document.querySelectorAll('.plot svg')].map((svg) => svg.clientWidth))")
    assert widest <= 640
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert complaints == []
    page.close()


def test_it_is_of_a_sensible_size(index: Path) -> None:
    assert index.stat().st_size < 6e6
