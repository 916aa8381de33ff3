"""A split in shards on Ray gives what one Node gives; what was evaluated is kept; what fails once is tried again."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from projects import BOX, write_csv
from ray_runs import run_all, running, wait_for

from orchestrator.demo.dataset import DemoSize, SplitSize, write_demo
from orchestrator.faceapi.setup import EVALUATOR, NODE_DIR
from orchestrator.faceapi.shards import ROWS_PER_SHARD

pytestmark = [pytest.mark.ray, pytest.mark.node]
ONLY = ("--only", "faceapi_M1")
RESULTS = Path("models/faceapi_baseline/results/faceapi_M1_eval.csv")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose M1 test lists six drawn faces again and again, over two shards."""
    root = tmp_path_factory.mktemp("faces") / "project"
    none = SplitSize(0, 0, 0)
    write_demo(root, 7, DemoSize(M1=SplitSize(0, 0, 6), M2=none, K7=none), workers=1)
    splits = root / "data_shared/splits_csv/test_M1.csv"
    header, *rows = splits.read_text(encoding="utf-8").splitlines()
    count = ROWS_PER_SHARD + 6
    lines = [rows[i % len(rows)] for i in range(count)]
    splits.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


def test_shards_merged_are_one_run(faces: Path, tmp_path: Path) -> None:
    done = run_all(faces, tmp_path, *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    whole = tmp_path / "whole.csv"
    models = NODE_DIR / "node_modules/@vladmandic/face-api/model"
    splits = faces / "data_shared/splits_csv/test_M1.csv"
    subprocess.run(["node", NODE_DIR / EVALUATOR, splits, models, whole], check=True, stdout=subprocess.DEVNULL)
    merged = (tmp_path / RESULTS).read_bytes()
    assert merged == whole.read_bytes()
    assert b",1,0." in merged, "no face was detected at all"
    assert not list((tmp_path / ".emosweep/faceapi").iterdir()), "shards are left behind"


def test_a_killed_run_keeps_its_shards(faces: Path, tmp_path: Path) -> None:
    def shards() -> list[Path]:
        return sorted(tmp_path.glob(".emosweep/faceapi/faceapi_M1/*/*.json"))

    with running(faces, tmp_path, *ONLY, "--num-cpus", 1) as process:
        wait_for(shards)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = shards()[0]
    shard = json.loads(kept.read_text(encoding="utf-8"))
    rows = shard["rows"].splitlines()
    # A mark that only the kept shard can bring into the result.
    marked = [",".join([*row.split(",")[:3], "0.424242", *row.split(",")[4:]]) for row in rows]
    kept.write_text(json.dumps({**shard, "rows": "\n".join(marked) + "\n"}), encoding="utf-8")
    done = run_all(faces, tmp_path, *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / RESULTS).read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == ROWS_PER_SHARD + 6
    assert sum("0.424242" in line for line in lines) == len(rows)


def test_an_evaluator_that_fails_once_is_tried_again(project: Path, tmp_path: Path) -> None:
    (project / "models/faceapi_baseline").mkdir(parents=True)
    script = tmp_path / "eval.mjs"
    script.write_text(
        """import fs from 'node:fs';
const [splits, , results] = process.argv.slice(2);
if (!fs.existsSync('tried')) { fs.writeFileSync('tried', ''); process.exit(1); }
const rows = fs.readFileSync(splits, 'utf8').trim().split('\\n').slice(1);
const out = rows.map((r) => [r.split(',')[0], 'happy', 'happy', 0.9, 1, 0.5, 1].join(','));
fs.writeFileSync(results, ['image,gt_label,pred_label,score,face_detected,iou,correct', ...out].join('\\n'));
""",
        encoding="utf-8",
    )
    done = run_all(project, project, *ONLY, "--faceapi-script", script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((project / RESULTS).read_text(encoding="utf-8").splitlines()) == 4


def test_an_unreadable_photo_is_a_row_and_a_note(project: Path, tmp_path: Path) -> None:
    (project / "data_raw/photos/M1/1.jpg").write_bytes(b"no photo")
    done = run_all(project, tmp_path, *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / RESULTS).read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith("data_raw/photos/M1/1.jpg,happy,,0,0,0,0")
    assert "1 unreadable image(s)" in done.stdout


def test_korean_labels_and_a_label_of_ones_own(project: Path, tmp_path: Path) -> None:
    rows = [("data_raw/photos/M1/0.jpg", "기쁨", 1, 1, 90, 90), ("data_raw/photos/M1/1.jpg", "짜증", 1, 1, 90, 90)]
    write_csv(project / "data_shared/splits_csv/test_M1.csv", ("path", "orig_kor", *BOX), rows)
    done = run_all(project, tmp_path, *ONLY, "--faceapi-label", "짜증=angry")
    assert done.returncode == 0, done.stdout + done.stderr
    labels = [line.split(",")[1] for line in (tmp_path / RESULTS).read_text(encoding="utf-8").splitlines()[1:]]
    assert labels == ["happy", "angry"]
