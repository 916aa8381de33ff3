"""The pages in a real Chromium: they draw, ask for nothing, fit a phone and pass axe's checks of accessibility.

REPORT_SHOTS=FOLDER keeps the pictures.
"""

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
from by_hand import KOREAN, RUNS, write_faceapi, write_json, write_rows, write_run
from pages import Page
from PIL import Image

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.answers import Source
from orchestrator.reporting.pair_page import render_pairs
from orchestrator.reporting.pairs import compare_sources
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.skipif(not find_spec("playwright"), reason="playwright is not installed"),
]
NAMES = {"angry": "분노", "happy": "기쁨", "sad": "슬픔"}
ROWS, EPOCHS, TRIALS = 210, 30, 80
PHONE, DESK = 390, 1280
PAGES = ("index", "comparison")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report with every kind of panel, and a comparison of two results."""
    root = tmp_path_factory.mktemp("보고서")
    draw = np.random.default_rng(0)
    _write_images(root, draw)
    _write_m1(root, draw)
    _write_k7(root, draw)
    _write_sweep(root, draw)
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths, {"finetune_M2": "CUDA out of memory: 메모리가 모자랍니다. " * 9}))
    sides = [Source(f"결과/{name}", root / RUNS / name) for name in ("probe_M1_160", "finetune_M1_160")]
    comparison = root / "비교.html"
    found = [("실험", compare_sources(*sides))]
    comparison.write_text(render_pairs(("probe_M1", "finetune_M1"), found, ["probe_M2: 없음"], root), encoding="utf-8")
    return {"index": paths.index, "comparison": comparison}


def _write_images(root: Path, draw: np.random.Generator) -> None:
    (root / "faces").mkdir()
    for i in range(ROWS):
        blocks = np.kron(draw.integers(0, 255, (8, 8, 3), np.uint8), np.ones((20, 20, 1), np.uint8))
        Image.fromarray(blocks).save(root / "faces" / f"{i}.jpg")


def _write_m1(root: Path, draw: np.random.Generator) -> None:
    """A finetune that is better than FaceAPI, and a probe that gives one answer only."""
    true = [[*NAMES][i % 3] for i in range(ROWS)]
    answers = [name if draw.random() < 0.8 else [*NAMES][draw.integers(3)] for name in true]
    labels = [(NAMES[t], NAMES[p]) for t, p in zip(true, answers, strict=True)]
    write_run(root, "finetune_M1_160", (0.8, 0.8, 0.8), labels)
    write_run(root, "probe_M1_160", (0.2, 0.2, 0.3), [(label, "슬픔") for label, _ in labels])
    for folder in ("finetune_M1_160", "probe_M1_160"):
        write_json(root / RUNS / folder / "classes.json", {"classes": sorted(NAMES.values())})
    crops = [(f"faces/{i}.jpg", NAMES[name], 20 + i % 50, "여" if i % 2 else "남") for i, name in enumerate(true)]
    write_rows(root / "data_shared/cropped_faces_csv/test_M1.csv", ("path", "label", "age", "gender"), crops)
    photos = [(f"photos/{i}.jpg", name) for i, name in enumerate(true)]
    write_rows(root / "data_shared/splits_csv/test_M1.csv", ("path", "label"), photos)
    rows = [(f"photos/{i}.jpg", name, name if i % 2 else "neutral", 0.9, int(i % 3 > 0), 0.8 if i % 3 else 0, i % 2)
            for i, name in enumerate(true)]  # fmt: skip
    write_faceapi(root, "M1", rows)


def _write_k7(root: Path, draw: np.random.Generator) -> None:
    """With logits, whose answers are those of the predictions, and a history."""
    true = np.arange(ROWS) % 7
    answers = np.where(draw.random(ROWS) < 0.6, true, draw.integers(0, 7, ROWS))
    write_run(
        root, "finetune_K7_160", (0.6, 0.6, 0.6), [(KOREAN[t], KOREAN[p]) for t, p in zip(true, answers, strict=True)]
    )
    out = root / RUNS / "finetune_K7_160"
    logits = draw.normal(size=(ROWS, 7)).astype(np.float32) + 4 * np.eye(7, dtype=np.float32)[answers]
    columns = {f"logit_{name}": logits[:, i] for i, name in enumerate(KOREAN)}
    for part in ("val", "test"):
        table = pd.DataFrame({"path": "", "label": [KOREAN[t] for t in true], **columns})
        table.to_parquet(out / f"{part}_logits.parquet")
    epochs = [(e, 1 + (e > 2) + (e > 9), 2 / e, 1 + 1 / e, 0.6 - 0.5 / e, 1e-3) for e in range(1, EPOCHS + 1)]
    write_rows(out / "history.csv", ("epoch", "stage", "train_loss", "val_loss", "val_macro_f1", "lr_head"), epochs)


def _write_sweep(root: Path, draw: np.random.Generator) -> None:
    """Three parameters; half of the trials are stopped early."""
    names = ("trial", "lr_head", "lr_backbone", "weight_decay", "stage", "epochs", "best_val_macro_f1", "best_epoch",
             "seconds", "why_it_stopped", "folder")  # fmt: skip
    rows = [
        (n, *(f"{value:.3g}" for value in 10 ** draw.uniform(-5, -2, 3)), 3, EPOCHS >> n % 2, f"{draw.random():.4f}", 1,
         9.0, "halving: in the lower half at epoch 15" if n % 2 else "finished", f"t{n}")
        for n in range(TRIALS)
    ]  # fmt: skip
    write_rows(root / "reports/sweeps/finetune_K7_160.csv", names, rows)
    for n in range(TRIALS):
        curve = draw.random() * (1 - np.exp(-np.arange(1, 1 + (EPOCHS >> n % 2)) / 5)) + draw.normal(0, 0.01)
        write_json(root / f"t{n}" / "stopped.json", {"scores": curve.clip(0).tolist()})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def _load(browser: Any, file: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page; and what it complained of, or asked for. -s shows its size, and how long its first figure took."""
    page, complaints = browser.new_page(**options), []
    page.set_default_timeout(300_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    own = ("file:", "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
    page.goto(file.as_uri())
    page.locator("#theme").click(trial=True)
    page.evaluate("document.querySelector('.plot').scrollIntoView()")
    page.wait_for_function("document.querySelector('.plot svg')")
    seconds = page.evaluate("performance.now()") / 1000
    print(f"\n{file.name}: {file.stat().st_size / 1e6:.2f} MB, interactive after {seconds:.2f} s")
    return page, complaints


def _open_all(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details:not(.numbers)').forEach((part) => { part.open = true; })")
    page.evaluate("document.querySelectorAll('.plot').forEach(draw)")
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('svg'))")


def _picture(name: str, tmp_path: Path) -> Path:
    return Path(os.environ.get("REPORT_SHOTS", tmp_path)) / name


# Texts of figures that end outside of them, where they are cut off.
_CUT_OFF = """[...document.querySelectorAll('.plot')].flatMap((plot) => {
  const box = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('.xtick text, .ytick text, .xtitle, .ytitle, .legendtext')].filter((text) => {
    const own = text.getBoundingClientRect();
    return own.width && (own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1);
  }).map((text) => plot.dataset.figure + ': ' + text.textContent);
})"""
# Names of horizontal axes that a legend covers.
_COVERED = """[...document.querySelectorAll('.plot')].filter((plot) => {
  const [title, legend] = ['.xtitle', '.legend'].map((name) => plot.querySelector(name)?.getBoundingClientRect());
  return title && legend && title.bottom > legend.top + 1 && title.top < legend.bottom - 1;
}).map((plot) => plot.dataset.figure)"""


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (DESK, "light"),
        (PHONE, "dark"),
        pytest.param(PHONE, "light", marks=pytest.mark.nightly),
        pytest.param(DESK, "dark", marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("name", PAGES)
def test_it_draws_everything_fits_and_asks_for_nothing(
    name: str, width: int, scheme: str, browser: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    page, complaints = _load(browser, pages[name], viewport={"width": width, "height": 844}, color_scheme=scheme)
    _open_all(page)
    assert page.evaluate("document.querySelectorAll('.plot').length") >= {"index": 12, "comparison": 1}[name]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it has to be pushed sideways"
    assert page.evaluate(_CUT_OFF) == []
    assert page.evaluate(_COVERED) == []
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.screenshot(path=_picture(f"{name}-{width}-{scheme}.png", tmp_path), full_page=True)
    assert _violations(page) == []
    assert complaints == []
    page.close()


def _violations(page: Any) -> list[str]:
    """What axe finds, but in the figures: for it they are images with a text."""
    spec = find_spec("axe_core_python")
    if spec is None or not spec.submodule_search_locations:
        return []
    page.add_script_tag(content=Path(spec.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8"))
    options = "{exclude: ['.plot > *']}, {resultTypes: ['violations']}"
    found = page.evaluate(f"axe.run({options})")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['target']}" for each in found]


def test_it_can_be_used(browser: Any, pages: dict[str, Path]) -> None:
    """By keyboard: another theme, a sorted table, the numbers of a figure."""
    page, complaints = _load(browser, pages["index"], color_scheme="light")
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


@pytest.mark.parametrize("name", PAGES)
def test_it_prints(name: str, browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    page, complaints = _load(browser, pages[name], color_scheme="dark")
    page.pdf(path=_picture(f"{name}.pdf", tmp_path), format="A4")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('svg'))")
    widest = page.evaluate("Math.max(...[...document.querySelectorAll('.plot svg')].map((svg) => svg.clientWidth))")
    assert widest <= 640
    page.wait_for_function(_LIGHT_FIGURES, timeout=60_000)
    page.set_viewport_size({"width": 720, "height": 1000})  # of A4
    page.emulate_media(media="print")
    assert page.evaluate(_CRUSHED) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert complaints == []
    page.close()


# The names on the axes have the colour of the light page's text.
_LIGHT_FIGURES = """[...document.querySelectorAll('.plot .xtick text')].every(
  (text) => getComputedStyle(text).fill === getComputedStyle(document.body).color)"""
# Numbers that are broken into lines, since the table is too wide for the paper.
_CRUSHED = """[...document.querySelectorAll('#summary td.ours')].filter((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return new Set([...range.getClientRects()].map((box) => box.top)).size > 1;
}).map((cell) => cell.textContent)"""


def test_what_is_there_what_failed_and_what_is_missing(pages: dict[str, Path]) -> None:
    rows = Page(pages["index"]).named["summary"][1:]
    methods = {(row[0], row[1]): row[-1] for row in rows}
    assert methods["M2", "Finetune"].startswith("failed: CUDA out of memory: 메모리가")
    assert sum(note == "no result yet" for note in methods.values()) == 2


@pytest.mark.parametrize("name", PAGES)
def test_it_is_of_a_sensible_size(name: str, pages: dict[str, Path]) -> None:
    assert pages[name].stat().st_size < 6e6
