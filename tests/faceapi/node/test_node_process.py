"""An evaluator's process: its time limit, its exit code, its environment, and its results file."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from projects import make_photos

from faceapi.contract.results import ShardResult
from faceapi.contract.settings import Evaluator
from faceapi.node.process import node_environment, read_results, run_own_script
from orchestrator.planning.paths import ProjectPaths
from search_spaces.runbook import EXPERIMENTS
from trainable.base.errors import ExperimentError
from trainable.data.tables import load_table

HEADER = "image,gt_label,pred_label,score,face_detected,iou,correct"
GOOD = "a.jpg,happy,happy,0.9,1,0.5,1"


def own_script(project: Path, text: str, limit: float | None = None) -> ShardResult:
    """Run a user's evaluator on the three photos of M1."""
    make_photos(project, "M1")
    paths = ProjectPaths(project, project)
    paths.faceapi_baseline.mkdir(parents=True, exist_ok=True)
    script = project / "own.mjs"
    script.write_text(text, encoding="utf-8")
    program = shutil.which("node")
    if program is None:
        pytest.skip("NOT TESTED: node is not on the PATH")
    evaluator = Evaluator("script", paths.faceapi_baseline / "models", program, script)
    table = load_table(paths.faceapi_csv("M1"), project, boxes=True)
    places = paths.faceapi_baseline, paths.faceapi_csv("M1"), paths.faceapi_results(EXPERIMENTS[0])
    return run_own_script(evaluator, *places, len(table), None, limit)


@pytest.mark.node
def test_a_script_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    # The child of the script would hold its pipes open for ever, were it not ended too.
    text = "import { spawn } from 'node:child_process';\nimport fs from 'node:fs';\n"
    text += "const child = spawn('sleep', ['300'], { stdio: 'inherit' });\nfs.writeFileSync('pid', `${child.pid}`);\n"
    with pytest.raises(ExperimentError, match="did not end within 5 s"):  # in which Node starts on a busy machine, too
        own_script(tmp_path, text + "setInterval(() => {}, 1000);", limit=5)
    pid = (tmp_path / "models/faceapi_baseline/pid").read_text()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the script's child goes on"
        time.sleep(0.05)


@pytest.mark.node
def test_a_script_that_works_for_long_is_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("faceapi.node.process.SILENT_SECONDS", 0.2)
    with pytest.raises(ExperimentError, match="did not end within 2 s"):
        own_script(tmp_path, "console.error('slow'); setInterval(() => {}, 1000);", limit=2)
    script = tmp_path / "own.mjs"
    assert caplog.messages == [
        f"{script} has worked for {seconds} s; it is given up after 2 s" for seconds in (0, 0, 1, 2)
    ]


@pytest.mark.node
def test_what_a_slow_script_said_before_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceapi.node.process.SILENT_SECONDS", 0.1)
    script = "console.error('early'); setTimeout(() => { console.error('late'); process.exit(5); }, 500);"
    with pytest.raises(ExperimentError, match=r"ended with 5: early / late$"):
        own_script(tmp_path, script)


@pytest.mark.node
def test_a_script_that_fails_is_quoted_and_earlier_results_are_restored(tmp_path: Path) -> None:
    results = tmp_path / "models/faceapi_baseline/results/faceapi_M1_eval.csv"
    results.parent.mkdir(parents=True)
    results.write_text("earlier", encoding="utf-8")
    script = "import fs from 'node:fs'; fs.writeFileSync(process.argv[4], 'half'); console.error('out of luck');"
    with pytest.raises(ExperimentError, match="ended with 3: out of luck"):
        own_script(tmp_path, script + "process.exit(3);")
    assert results.read_text(encoding="utf-8") == "earlier"


FULL = "import fs from 'node:fs'; console.error('one remark');"


@pytest.mark.node
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f"{FULL} fs.writeFileSync('/dev/full', 'x');", "ended with 1: Error: ENOSPC: no space left on device, write$"),
        (f"{FULL} await fs.promises.writeFile('/dev/full', 'x');", "with 1: .*Error: ENOSPC: no space left on device"),
        (f"{FULL} fs.readFileSync('gone.json');", "ended with 1: Error: ENOENT: no such file or directory, open 'gone"),
        (f"{FULL} JSON.parse('x');", "ended with 1: SyntaxError: .*JSON"),
        (f"{FULL} console.error('two\\n\\nthree'); process.exit(4);", "ended with 4: one remark / two / three$"),
    ],
    ids=["full", "full later", "missing", "no json", "no error"],
)
def test_the_reason_is_told_and_not_the_stack(script: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=message):
        own_script(tmp_path, script)


@pytest.mark.node
def test_a_script_that_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="no readable faceapi_M1_eval"):
        own_script(tmp_path, "")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param([HEADER.replace(",iou", ""), "a.jpg,happy,happy,0.9,1,1"], "lacks the column.s. iou", id="column"),
        pytest.param([HEADER, GOOD, GOOD], "has 2 rows for 1 images", id="rows"),
        pytest.param([HEADER], "lacks the column", id="nothing"),
        pytest.param([HEADER, GOOD.replace("0.5", "half")], ":2: iou and correct must be numbers", id="number"),
        pytest.param([HEADER, "a.jpg,happy"], ":2: iou and correct must be numbers", id="short"),
    ],
)
def test_results_that_cannot_be_used(lines: list[str], message: str, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ExperimentError, match=message):
        read_results(file, 1)


def test_columns_are_put_in_the_runbooks_order(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    columns = HEADER.split(",")
    turned = [",".join(["extra", *reversed(columns)]), ",".join(["x", *reversed(GOOD.split(","))])]
    file.write_text("\ufeff" + "\r\n".join(turned), encoding="utf-8")
    assert read_results(file, 1) == GOOD + "\n"


@pytest.mark.parametrize(
    ("value", "left"),
    [("/x/ray/core/libjemalloc.so", None), ("/opt/libtcmalloc.so", "/opt/libtcmalloc.so")],
    ids=["rays", "the-users"],
)
def test_only_rays_own_allocator_is_kept_from_node(value: str, left: str | None) -> None:
    found = node_environment({"LD_PRELOAD": value, "PATH": "/bin"})
    assert found == {"PATH": "/bin", **({"LD_PRELOAD": left} if left else {})}
