"""`reports/`: what is in each file, for programs and for readers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from by_hand import FINISHED, KOREAN, RUNS, Cli, read_rows, write_faceapi, write_json, write_rows, write_run
from pages import Page

from orchestrator.planning.paths import ProjectPaths
from orchestrator.reporting.report import write_reports
from orchestrator.reporting.results import collect

EXPERIMENTS = (
    "faceapi_M1", "probe_M1_160", "finetune_M1_160", "faceapi_M2", "probe_M2_160", "finetune_M2_160", "finetune_K7_160"
)  # fmt: skip
KINDS = ("cm_counts", "cm_row_normalized", "per_class_metrics")


def report(root: Path, failures: dict[str, str] | None = None) -> Path:
    paths = ProjectPaths(root, root)
    write_reports(paths, collect(paths, failures))
    return root / "reports"


def matrix(file: Path) -> tuple[list[str], dict[str, list[str]]]:
    """The predicted classes, and by true class the cells."""
    header, *rows = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()]
    return header[1:], {row[0]: row[1:] for row in rows}


# -- files


def test_every_file_and_no_other(seven: Path) -> None:
    expected = {f"{name}_{kind}.csv" for name in EXPERIMENTS for kind in KINDS}
    expected |= {"summary_overall_7exp.csv", "per_class_all_7exp.csv", "faceapi_rows_per_class.csv", "index.html"}
    assert {path.name for path in report(seven).iterdir()} == expected


def test_utf_8_without_bom_and_unix_line_ends(seven: Path) -> None:
    for file in report(seven).iterdir():
        data = file.read_bytes()
        assert not data.startswith(b"\xef\xbb\xbf"), file.name
        assert b"\r" not in data, file.name
        assert data.decode("utf-8").endswith("\n" if file.suffix == ".csv" else ("</html>", "</html>\n")), file.name
    for name in ("finetune_K7_160_cm_counts.csv", "per_class_all_7exp.csv", "index.html"):
        assert "기쁨" in (seven / "reports" / name).read_text(encoding="utf-8")


def test_again_gives_the_same_csvs(seven: Path) -> None:
    before = {file.name: file.read_bytes() for file in report(seven).glob("*.csv")}
    assert {file.name: file.read_bytes() for file in report(seven).glob("*.csv")} == before


def test_details_of_results_that_have_gone_go_too(seven: Path) -> None:
    report(seven)
    (seven / RUNS / "probe_M1_160" / "test_metrics.json").unlink()
    left = {file.name for file in report(seven).iterdir()}
    assert not {name for name in left if name.startswith("probe_M1")}
    assert {f"probe_M2_160_{kind}.csv" for kind in KINDS} <= left
    assert "probe_M1_160" not in {row["experiment"] for row in read_rows(seven / "reports" / "per_class_all_7exp.csv")}


def test_what_else_lies_in_the_folder_stays(seven: Path) -> None:
    (seven / "reports").mkdir()
    (seven / "reports" / "notes.txt").write_text("mine", encoding="utf-8")
    report(seven)
    assert (seven / "reports" / "notes.txt").read_text(encoding="utf-8") == "mine"


# -- classes and confusion


def test_per_class(seven: Path) -> None:
    """probe_M1: angry is right twice and called sad once, happy is right once, sad has no row."""
    rows = read_rows(report(seven) / "probe_M1_160_per_class_metrics.csv")
    assert rows == [
        {"class": "angry", "precision": "1.0", "recall": "0.666667", "f1": "0.8", "support": "3"},
        {"class": "happy", "precision": "1.0", "recall": "1.0", "f1": "1.0", "support": "1"},
        {"class": "sad", "precision": "0.0", "recall": "0.0", "f1": "0.0", "support": "0"},
    ]


def test_per_class_of_all(seven: Path) -> None:
    rows = read_rows(report(seven) / "per_class_all_7exp.csv")
    assert list(rows[0]) == ["experiment", "class", "precision", "recall", "f1", "support"]
    assert list(dict.fromkeys(row["experiment"] for row in rows)) == list(EXPERIMENTS)
    assert [row["class"] for row in rows if row["experiment"] == "finetune_K7_160"] == list(KOREAN)
    for name in EXPERIMENTS:
        own = [{k: v for k, v in row.items() if k != "experiment"} for row in rows if row["experiment"] == name]
        assert own == read_rows(seven / "reports" / f"{name}_per_class_metrics.csv")


def test_counts_have_true_classes_down(seven: Path) -> None:
    across, down = matrix(report(seven) / "probe_M1_160_cm_counts.csv")
    assert across == ["angry", "happy", "sad"]
    assert down == {"angry": ["2", "0", "1"], "happy": ["0", "1", "0"], "sad": ["0", "0", "0"]}


def test_korean_classes_keep_their_order(seven: Path) -> None:
    """The browser client indexes by it."""
    across, down = matrix(report(seven) / "finetune_K7_160_cm_counts.csv")
    assert across == list(down) == list(KOREAN)
    assert down["슬픔"] == ["0", "0", "0", "0", "0", "1", "1"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_shares_are_the_counts_divided_by_the_row(name: str, seven: Path) -> None:
    folder = report(seven)
    _, counts = matrix(folder / f"{name}_cm_counts.csv")
    _, shares = matrix(folder / f"{name}_cm_row_normalized.csv")
    assert counts.keys() == shares.keys()
    for label, row in shares.items():
        total = sum(map(int, counts[label]))
        assert sum(map(float, row)) == pytest.approx(1 if total else 0, abs=1e-5)
        assert [float(share) * total for share in row] == pytest.approx(list(map(int, counts[label])), abs=1e-5)
    assert 0 in {sum(map(int, row)) for row in counts.values()} or name == "faceapi_M2", "no row without support"


def test_faceapi_without_a_match(tmp_path: Path) -> None:
    """A detector may find none of the faces; the report says so and goes on."""
    write_faceapi(tmp_path, "M1", [("a.jpg", "sad", "", 0, 0, 0, 0)])
    folder = report(tmp_path)
    summary = read_rows(folder / "summary_overall_7exp.csv")[0]
    assert (summary["n"], summary["test_top1"], summary["coverage"], summary["top1_all_rows"]) == (
        "1", "0.0", "0.0", "0.0"
    )  # fmt: skip
    assert read_rows(folder / "faceapi_M1_per_class_metrics.csv") == []


# -- the page


def test_the_table_of_the_page(seven: Path) -> None:
    """Ours come first, and the published figures of 39,154 rows are not beside those of three."""
    page = Page(report(seven) / "index.html")
    rows = page.tables[0]
    assert rows is page.named["summary"]
    assert len(rows) == 8
    assert rows[1] == [
        "M1", "FaceAPI (matched)", "–", "50.00%", "25.00%", "50.00%", "fewer than 100 test rows", "–", "4", "–", "–",
        "12 s", "–", "",
    ]  # fmt: skip
    assert rows[7] == [
        "K7", "Finetune", "0.5222", "66.67%", "66.67%", "–", "fewer than 100 test rows", "0.5111", "3", "50", "1024",
        "1:01", "–", "",
    ]  # fmt: skip
    assert "68.65%" not in page.text


def test_published_figures_stand_beside_results_of_as_many_rows(tmp_path: Path) -> None:
    labels = [("happy", "happy"), ("sad", "happy"), ("angry", "angry"), ("sad", "sad")] * 9_000
    write_run(tmp_path, "probe_M1_160", (0.4, 0.5, 0.75), labels)
    write_run(tmp_path, "probe_M2_160", (0.4, 0.5, 0.75), labels[:200])
    header, *rows = Page(report(tmp_path) / "index.html").named["summary"]
    assert header[11:16] == ["published macro-F1", "ours − published", "published Top-1", "ours − published",
                             "published coverage"]  # fmt: skip
    assert rows[1][11:16] == ["0.4597", "+0.0403", "50.34%", "+24.66", "–"]
    assert rows[4][11:16] == ["–"] * 5, "200 rows are not the runbook's data"


def test_the_matrices_of_the_page(seven: Path) -> None:
    page = Page(report(seven) / "index.html")
    (k7,) = [table for table in page.tables if table[0] == ["", *KOREAN]]
    assert k7[6] == ["슬픔", "0", "0", "0", "0", "0", "1 50%", "1 50%"]


def test_without_results_the_page_has_dashes(tmp_path: Path) -> None:
    page = Page(report(tmp_path) / "index.html")
    assert len(page.tables) == 1
    for row in page.tables[0][1:]:
        assert set(row[2:13]) == {"–"}
        assert row[-1] == "no result yet"
    assert "nothing can be compared: FaceAPI has no result (not run yet)" in page.text
    assert len(page.text) < 50_000, "nothing is drawn, so the page has no library to draw"


def test_the_page_needs_nothing_from_elsewhere(seven: Path) -> None:
    """tests/orchestrator/reporting/test_browser.py sees that a browser asks for nothing, too."""
    page = Page(report(seven) / "index.html")
    assert not page.tags & {"link", "iframe", "object"}
    assert not re.search(r"(src|href)=\"(?!#|data:)", page.text[: page.text.index("<script")])
    assert "default-src 'none'" in page.text


def test_labels_and_notes_are_text_not_html(seven: Path) -> None:
    classes = ["<b>", "a&b", '"x"']
    out = seven / RUNS / "probe_M1_160"
    write_json(out / "classes.json", {"classes": classes})
    write_rows(out / "test_preds.csv", ("path", "true", "pred"), [("a.jpg", "<b>", "a&b"), ("b.jpg", '"x"', '"x"')])
    page = Page(report(seven, {"probe_M2": "<script>alert(1)</script>"}) / "index.html")
    assert "b" not in page.tags
    assert "<script>alert" not in page.text
    assert "&lt;b&gt;" in page.text
    assert ["", *classes] in [table[0] for table in page.tables]
    assert "failed: <script>alert(1)</script>; the figures are of an earlier run" in page.tables[0][5][-1]
    assert r"\u003cb\u003e" in page.text[page.text.index('id="figures"') :], "a label must not end the data's script"


def test_labels_with_commas_and_quotes_survive_the_csvs(tmp_path: Path) -> None:
    write_run(tmp_path, "probe_M1_160", (0.5, 0.5, 0.5), [('a,"b"', "c\nd"), ("c\nd", "c\nd")])
    write_json(tmp_path / RUNS / "probe_M1_160" / "classes.json", {"classes": ['a,"b"', "c\nd"]})
    rows = read_rows(report(tmp_path) / "probe_M1_160_per_class_metrics.csv")
    assert [row["class"] for row in rows] == ['a,"b"', "c\nd"]


# -- the command


def test_the_command_rebuilds_all(seven: Path, cli: Cli) -> None:
    done = cli("report", "--project-root", seven)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"report: {seven}/reports/index.html" in done.stdout
    assert "74.94%" in done.stdout
    assert len(list((seven / "reports").iterdir())) == 25


def test_the_command_where_nothing_ran_yet(shared_project: Path, tmp_path: Path, cli: Cli) -> None:
    done = cli("report", "--project-root", shared_project, "--output-root", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["notes"] for row in read_rows(tmp_path / "reports" / "summary_overall_7exp.csv")] == [
        "no result yet"
    ] * 7


def test_results_elsewhere_than_the_data(seven: Path, tmp_path: Path, cli: Cli) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert cli("report", "--project-root", data, "--output-root", seven).returncode == 0
    assert not list(data.iterdir())
    manifest = json.loads((seven / RUNS / "probe_M1_160" / "manifest.json").read_text(encoding="utf-8"))
    row = read_rows(seven / "reports" / "summary_overall_7exp.csv")[1]
    assert float(row["seconds"]) == manifest["seconds"]


# -- FaceAPI, row by row


def test_what_became_of_every_faceapi_row(seven: Path) -> None:
    manifest = seven / "models/faceapi_baseline/results/faceapi_M2_eval.manifest.json"
    remarks = ["unreadable: c.jpg: no such file", "unreadable: b.jpg and more: no such file"]
    write_json(manifest, {"identity": {}, "finished": FINISHED, "unreadable_images": remarks})
    rows = read_rows(report(seven) / "faceapi_rows_per_class.csv")
    assert [" ".join(row.values()) for row in rows] == [
        # experiment class rows matched correct iou_below undetected unreadable coverage matched_top1 top1_all_rows
        "faceapi_M1 all 4 2 1 1 1 0 0.5 0.5 0.25",
        "faceapi_M1 happy 2 2 1 0 0 0 1.0 0.5 0.5",
        "faceapi_M1 sad 2 0 0 1 1 0 0.0 0.0 0.0",
        "faceapi_M2 all 3 1 1 0 1 1 0.333333 1.0 0.333333",
        "faceapi_M2 happy 1 1 1 0 0 0 1.0 1.0 1.0",
        "faceapi_M2 sad 2 0 0 0 1 1 0.0 0.0 0.0",
    ]
    table = Page(seven / "reports" / "index.html").named["faceapi-rows"]
    assert table[1] == ["M1", "all", "4", "2", "1", "1", "1", "0", "50.00%", "50.00%", "25.00%"]
    assert len(table) == 7


def test_without_faceapi_results_there_is_no_such_table(seven: Path) -> None:
    for split in ("M1", "M2"):
        (seven / f"models/faceapi_baseline/results/faceapi_{split}_eval.csv").unlink()
    assert read_rows(report(seven) / "faceapi_rows_per_class.csv") == []
    assert "faceapi-rows" not in Page(seven / "reports" / "index.html").named
