"""`compare --html`: the comparison of two results, or of two folders of results, as a page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from by_hand import KOREAN, RUNS, Cli, write_json, write_run
from pages import Page
from PIL import Image

from orchestrator.reporting.answers import Source
from orchestrator.reporting.pair_page import GROUPS, PICTURES, render_pairs
from orchestrator.reporting.pairs import Pair, compare_sources


def write(root: Path, folder: str, wrong: Sequence[int], answers: Sequence[str] = KOREAN) -> Source:
    """140 rows of seven classes, of which those in `wrong` are answered by the next class but one."""
    true = [KOREAN[i % 7] for i in range(140)]
    labels = [(name, answers[(i + 2) % 7] if i in wrong else name) for i, name in enumerate(true)]
    write_run(root, folder, (0.5, 0.5, 0.5), labels)
    write_json(root / RUNS / folder / "classes.json", {"classes": [*dict.fromkeys((*KOREAN, *answers))]})
    return Source(folder, root / RUNS / folder)


def text_of(tmp_path: Path, found: Sequence[tuple[str, Pair]], refused: Sequence[str] = ()) -> tuple[str, Page]:
    file = tmp_path / "비교.html"
    file.write_text(render_pairs(("가", "나"), found, refused, tmp_path), encoding="utf-8")
    page = Page(file)
    return html.unescape(page.text), page


def test_it_says_what_the_comparison_says(tmp_path: Path) -> None:
    pair = compare_sources(write(tmp_path, "가", range(60)), write(tmp_path, "나", range(20)))
    text, page = text_of(tmp_path, [("가", pair)])
    assert "B is better than A: macro-F1 0.857 against 0.571 on all 140 rows" in text
    found = pair.comparison
    (_, before, after, difference, verdict) = page.named["pair-0-scores"][1]
    f1 = found.scores["macro_f1"]
    assert (before, after, verdict) == (f"{f1.reference:.4f}", f"{f1.candidate:.4f}", "better")
    assert difference.startswith(f"{f1.difference.value:+.4f} [")
    assert [row[0] for row in page.named["pair-0-classes"][1:]] == list(KOREAN)
    assert "Both are right on 80 rows, only A on 0, only B on 40, neither on 20." in text


def test_each_row_has_its_picture_and_both_answers_and_the_rest_are_counted(tmp_path: Path) -> None:
    pair = compare_sources(write(tmp_path, "가", range(60)), write(tmp_path, "나", [*range(19), 139]))
    (tmp_path / "faces").mkdir()
    Image.new("RGB", (160, 160), "red").save(tmp_path / "faces" / "139.jpg")
    text, _ = text_of(tmp_path, [("가", pair)])
    most = PICTURES // len(GROUPS)
    assert f"Only B is right: 41 rows, of which the first {most} are shown (--csv FILE writes all)" in text
    assert text.count("<li><b>") + text.count("<li><img") == most + 1
    assert "Only A is right: 1 row<" in text
    assert text.count("data:image/jpeg;base64,") == 1, "of the others there is no image"
    true, other = KOREAN[139 % 7], KOREAN[(139 + 2) % 7]
    assert f"<b>{true}</b><br>A: {true}<br>B: {other}<br><small>faces/139.jpg</small>" in text


def test_the_page_of_many_pairs_is_no_larger(tmp_path: Path) -> None:
    pair = compare_sources(write(tmp_path, "가", range(140)), write(tmp_path, "나", ()))
    text, _ = text_of(tmp_path, [(f"실험{i}", pair) for i in range(7)], ["probe_M2: 없음"])
    assert 0 < text.count("<small>faces/") <= PICTURES
    assert "probe_M2: 없음" in text
    assert "실험6: B is better than A" in text


def test_the_same_answers(tmp_path: Path) -> None:
    pair = compare_sources(write(tmp_path, "가", range(9)), write(tmp_path, "나", range(9)))
    text, page = text_of(tmp_path, [("가", pair)])
    assert "A and B gave identical answers on all 140 rows." in text
    assert "pair-0-classes" not in page.named
    assert "0 of 140 test rows." in text


def test_text_of_files_is_no_markup(tmp_path: Path) -> None:
    odd = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", *KOREAN[2:])
    pair = compare_sources(write(tmp_path, "<b>가</b>", range(60), odd), write(tmp_path, "나", range(20), odd))
    text = render_pairs(("<b>가</b>", "나"), [("<b>가</b>", pair)], ["<i>"], tmp_path)
    assert odd[0].replace("<", "&lt;").replace(">", "&gt;") in text
    assert not any(each in text for each in ("<b>가", "<img src=x", "</script><script>alert", "<i>"))


def test_the_command_writes_it(tmp_path: Path, cli: Cli) -> None:
    for name, wrong in (("가", range(60)), ("나", range(20))):
        write(tmp_path / name, "probe_M1_160", wrong)
        write(tmp_path / name, "finetune_K7_160", wrong)
    file = tmp_path / "새 폴더" / "비교.html"
    done = cli("compare", tmp_path / "가", tmp_path / "나", "--html", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(file) in done.stdout
    text = Page(file).text
    assert "probe_M1: B is better than A" in text
    assert "finetune_K7: B is better than A" in text
    again = cli("compare", tmp_path / "가", tmp_path / "나", "--html", file)
    assert (again.returncode, "--html" in again.stderr, again.stdout) == (2, True, "")
    twice = tmp_path / "new.csv"
    same = cli("compare", tmp_path / "가", tmp_path / "나", "--html", twice, "--csv", twice)
    assert (same.returncode, "the same file" in same.stderr, twice.exists()) == (2, True, False)


def test_what_has_no_interval_says_why(tmp_path: Path) -> None:
    one, other = write(tmp_path, "가", [3]), write(tmp_path, "나", [4])
    text, _ = text_of(tmp_path, [("가", compare_sources(one, other))])
    assert "It cannot be told whether B is better than A (" in text
    assert "no interval: " in text
