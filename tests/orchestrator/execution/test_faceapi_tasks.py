"""A split in parts on Ray gives what one process gives; what was evaluated is kept; what fails once is tried again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from projects import BOX, write_csv
from ray_runs import run_all, running, wait_for

from faceapi.contract.labels import labelled
from faceapi.contract.results import RESULT_COLUMNS
from faceapi.contract.settings import FaceApiSettings
from faceapi.node.process import EVALUATOR, NODE_DIR
from faceapi.python.engine import evaluate_rows
from faceapi.python.networks import load_networks
from faceapi.python.weights import NETWORKS
from orchestrator.demo.dataset import DemoSize, SplitSize, write_demo
from orchestrator.execution.faceapi_tasks import ROWS_PER_PART
from trainable.data.tables import load_table

pytestmark = [pytest.mark.ray, pytest.mark.node]
ONLY = ("--only", "faceapi_M1")
SLOW = (*ONLY, "--faceapi-engine", "node")  # the other one is done before it can be killed
MODELS = NODE_DIR / "node_modules/@vladmandic/face-api/model"
ANSWERS = ".emosweep/faceapi/answers/*/*.json"
RESULTS = Path("models/faceapi_baseline/results/faceapi_M1_eval.csv")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose M1 test lists six drawn faces again and again, with other boxes, in two parts."""
    root = tmp_path_factory.mktemp("faces") / "project"
    none = SplitSize(0, 0, 0)
    write_demo(root, 7, DemoSize(M1=SplitSize(0, 0, 6), M2=none, K7=none), workers=1)
    splits = root / "data_shared/splits_csv/test_M1.csv"
    repeat(splits, ROWS_PER_PART + 6)
    return root


def repeat(splits: Path, count: int) -> list[str]:
    """So many rows of the same photos, each with a box a little lower than the one before; returns their lines."""
    header, *rows = splits.read_text(encoding="utf-8").splitlines()
    assert header.endswith(",maxY")
    cells = [rows[i % len(rows)].rpartition(",") for i in range(count)]
    lines = [f"{rest},{float(bottom) + i / 1000}" for i, (rest, _, bottom) in enumerate(cells)]
    splits.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return lines


@pytest.mark.nightly
def test_nodes_parts_merged_are_one_run(faces: Path, tmp_path: Path) -> None:
    done = run_all(faces, tmp_path, *ONLY, "--faceapi-engine", "node")
    assert done.returncode == 0, done.stdout + done.stderr
    whole = tmp_path / "whole.csv"
    splits = faces / "data_shared/splits_csv/test_M1.csv"
    subprocess.run(["node", NODE_DIR / EVALUATOR, splits, MODELS, whole], check=True, stdout=subprocess.DEVNULL)
    merged = (tmp_path / RESULTS).read_bytes()
    assert merged == whole.read_bytes()
    assert b",1,0." in merged, "no face was detected at all"
    assert [folder.name for folder in (tmp_path / ".emosweep/faceapi").iterdir()] == ["answers"]


def test_onnx_parts_merged_are_one_run_and_need_no_node(faces: Path, tmp_path: Path) -> None:
    """With weights from a folder, as they lie in a user's project, and no `node` on the PATH."""
    models = tmp_path / "models"
    models.mkdir()
    for network in NETWORKS:
        for file in MODELS.glob(f"{network}*"):
            shutil.copy(file, models)
    here = Path(sys.executable).parent
    assert shutil.which("node", path=str(here)) is None
    env = {"PATH": os.pathsep.join([str(here), "/usr/sbin", "/sbin"])}
    assert shutil.which("node", path=env["PATH"]) is None
    done = run_all(faces, tmp_path, *ONLY, "--faceapi-models", models, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = FaceApiSettings()
    rows = labelled(load_table(faces / "data_shared/splits_csv/test_M1.csv", faces, boxes=True), settings)
    whole = evaluate_rows(rows, settings.score_threshold, load_networks(models, settings.input_size, tmp_path / "n"))
    header, _, merged = (tmp_path / RESULTS).read_text(encoding="utf-8").partition("\n")
    assert header == ",".join(RESULT_COLUMNS)
    assert merged == whole.rows
    assert ",1,0." in merged, "no face was detected at all"
    manifest = json.loads((tmp_path / RESULTS).with_suffix(".manifest.json").read_text(encoding="utf-8"))
    assert manifest["identity"]["config"]["engine"] == "onnx"
    again = run_all(faces, tmp_path, *ONLY, "--faceapi-models", models, env=env)
    assert "done before: faceapi_M1" in again.stdout


@pytest.mark.nightly
def test_a_killed_worker_costs_its_part_only(faces: Path, tmp_path: Path) -> None:
    """The first worker that evaluates is killed in the middle; the split ends with the rows of a run that was not."""
    splits = faces / "data_shared/splits_csv/test_M1.csv"
    project = tmp_path / "project"
    (project / "data_shared/splits_csv").mkdir(parents=True)
    (project / "data_raw").symlink_to(faces / "data_raw")
    shutil.copy(splits, project / "data_shared/splits_csv/test_M1.csv")
    lines = repeat(project / "data_shared/splits_csv/test_M1.csv", 8 * ROWS_PER_PART)
    with running(project, project, *ONLY) as process:
        wait_for(lambda: list(project.glob(ANSWERS)))
        kept = {file: file.stat().st_mtime_ns for file in project.glob(ANSWERS)}
        wait_for(lambda: evaluating(process.pid))
        os.kill(evaluating(process.pid)[0], signal.SIGKILL)
        seen = dict(kept)
        while process.poll() is None:
            time.sleep(0.05)
            for file in kept:
                if file.exists():
                    seen[file] = file.stat().st_mtime_ns
        output = process.communicate()[0]
    assert process.returncode == 0, output
    assert seen == kept, "a part that was finished is written again"
    found = [line.split(",")[:4] for line in (project / RESULTS).read_text(encoding="utf-8").splitlines()[1:]]
    assert len(found) == len(lines)
    assert found[:6] == found[6 * 30 : 6 * 31]


def evaluating(ancestor: int) -> list[int]:
    """Ray's processes below `ancestor` that evaluate a shard, by their title."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    table = {int(pid): (int(parent), title) for pid, parent, title in (x.split(None, 2) for x in lines.splitlines())}

    def below(pid: int) -> bool:
        while pid in table and pid != ancestor:
            pid = table[pid][0]
        return pid == ancestor

    return [pid for pid, (_, title) in table.items() if title.startswith("ray::_evaluate_onnx") and below(pid)]


def test_a_killed_run_keeps_its_answers(faces: Path, tmp_path: Path) -> None:
    with running(faces, tmp_path, *SLOW, "--num-cpus", 1) as process:
        wait_for(lambda: list(tmp_path.glob(ANSWERS)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept, *_ = tmp_path.glob(ANSWERS)
    answers = json.loads(kept.read_text(encoding="utf-8"))
    # A mark that only the kept answers can bring into the result.
    marked = {question: {**answer, "score": "0.424242"} for question, answer in answers.items()}
    kept.write_text(json.dumps(marked), encoding="utf-8")
    done = run_all(faces, tmp_path, *SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / RESULTS).read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == ROWS_PER_PART + 6
    assert sum("0.424242" in line for line in lines) == len(answers)


def test_korean_labels_a_label_of_ones_own_and_an_unreadable_photo(project: Path, tmp_path: Path) -> None:
    rows = [(f"data_raw/photos/M1/{i}.jpg", label, 1, 1, 90, 90) for i, label in enumerate(("기쁨", "짜증", "슬픔"))]
    write_csv(project / "data_shared/splits_csv/test_M1.csv", ("path", "orig_kor", *BOX), rows)
    (project / "data_raw/photos/M1/2.jpg").write_bytes(b"no photo")
    done = run_all(project, tmp_path, *ONLY, "--faceapi-label", "짜증=angry", "--allow-corrupt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 unreadable image(s)" in done.stdout
    lines = (tmp_path / RESULTS).read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == ["happy", "angry", "sad"]
    assert lines[2] == "data_raw/photos/M1/2.jpg,sad,,0,0,0,0"
