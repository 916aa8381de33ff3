"""The main job with a real Ray and a real Node: seven experiments, done means done, failures stay alone."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from filelock import FileLock
from ray_runs import RUNS, run_all, trained

from faceapi.contract.results import RESULT_COLUMNS
from orchestrator.reporting.summary import COLUMNS

pytestmark = [pytest.mark.ray, pytest.mark.node]
MOBILENET = ("probe_M1_160", "finetune_M1_160", "probe_M2_160", "finetune_M2_160", "finetune_K7_160")
ARTIFACTS = {
    "best.pt", "val_metrics_best.json", "test_metrics.json", "test_preds.csv", "classes.json", "history.csv",
    "manifest.json", "val_logits.parquet", "test_logits.parquet",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """(project, output, what was printed) of one whole run."""
    output = tmp_path_factory.mktemp("output")
    done = run_all(shared_project, output, "--epochs", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    return shared_project, output, done.stdout + done.stderr


def test_seven_results_in_the_runbooks_folders(finished: tuple[Path, Path, str]) -> None:
    _, output, _ = finished
    for folder in MOBILENET:
        assert {path.name for path in (output / RUNS / folder).iterdir()} == ARTIFACTS
    for split in ("M1", "M2"):
        results = output / f"models/faceapi_baseline/results/faceapi_{split}_eval.csv"
        with results.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            assert tuple(reader.fieldnames or ()) == RESULT_COLUMNS
            assert [row["image"] for row in reader] == [f"data_raw/photos/{split}/{i}.jpg" for i in range(3)]
    with (output / "reports/summary_overall_7exp.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 7
    assert tuple(rows[0]) == COLUMNS
    assert all(row["n"] for row in rows)
    # Some epochs without any weights to begin with teach a model one class.
    assert {row["notes"].partition(":")[0] for row in rows} <= {"", "predicts one class only"}


def test_korean_classes_in_order(finished: tuple[Path, Path, str]) -> None:
    _, output, _ = finished
    text = (output / RUNS / "finetune_K7_160" / "classes.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"classes": ["기쁨", "분노", "슬픔"]}
    assert "기쁨" in text
    assert "기쁨" in (output / "reports/index.html").read_text(encoding="utf-8")


def test_the_terminal_is_quiet(finished: tuple[Path, Path, str]) -> None:
    """Started, done, the table and two paths; what Ray and its libraries say is in the log file."""
    _, output, printed = finished
    for word in ("WARNING", "INFO", "raylet", "pid=", "Traceback", "ray.init", "/tmp/ray"):
        assert word not in printed
    log = printed.split("Ray's log: ")[1].splitlines()[0]
    assert Path(log).is_file()
    assert Path(log).is_relative_to(output)


def test_again_runs_nothing_and_touches_nothing(finished: tuple[Path, Path, str]) -> None:
    project, output, _ = finished
    models = sorted((output / "models").rglob("*"))
    before = [(path, path.stat().st_mtime_ns) for path in models]
    done = run_all(project, output, "--epochs", 3)
    assert done.returncode == 0
    assert "Ray's log" not in done.stdout, "Ray was started for nothing"
    assert [(path, path.stat().st_mtime_ns) for path in sorted((output / "models").rglob("*"))] == before


def test_what_ray_trained_is_what_one_process_trains(finished: tuple[Path, Path, str], tmp_path: Path) -> None:
    project, output, _ = finished
    data = project / "data_shared/cropped_faces_csv"
    flags = ["--mode", "finetune", "--epochs", "3", "--batch", "8", "--weights", "none", "--threads", "1"]
    for part in ("train", "val", "test"):
        flags += [f"--{part}-csv", str(data / f"{part}_M1.csv")]
    flags += ["--out", str(tmp_path / RUNS / "finetune_M1_160"), "--project-root", str(project)]
    subprocess.run([sys.executable, "-m", "trainable", *flags], check=True)
    assert trained(tmp_path, "finetune_M1_160") == trained(output, "finetune_M1_160")


@pytest.mark.skipif(
    not (Path(ray.__file__).parent / "core/libjemalloc.so").is_file(), reason="no jemalloc with Ray here"
)
def test_trials_run_on_rays_jemalloc(finished: tuple[Path, Path, str]) -> None:
    _, output, _ = finished
    manifests = [json.loads((output / RUNS / folder / "manifest.json").read_text("utf-8")) for folder in MOBILENET]
    assert {manifest["allocator"] for manifest in manifests} == {"jemalloc"}


def test_one_failure_leaves_the_others_alone(project: Path, tmp_path: Path) -> None:
    """The evaluator of the user fails for M1, and for M2 only once; both trainings finish; the exit code says 1."""
    baseline = project / "models/faceapi_baseline"
    baseline.mkdir(parents=True)
    script = tmp_path / "eval.mjs"
    script.write_text(
        """import fs from 'node:fs';
const [splits, models, results] = process.argv.slice(2);
if (splits.includes('M1')) { console.error('no such model'); process.exit(3); }
if (!fs.existsSync('tried')) { fs.writeFileSync('tried', ''); process.exit(1); }
fs.writeFileSync('seen.txt', JSON.stringify([process.cwd(), splits, models, results]));
const rows = fs.readFileSync(splits, 'utf8').trim().split('\\n').slice(1);
const out = rows.map((r) => [r.split(',')[0], 'happy', 'happy', 0.9, 1, 0.5, 1].join(','));
fs.writeFileSync(results, ['image,gt_label,pred_label,score,face_detected,iou,correct', ...out].join('\\n'));
""",
        encoding="utf-8",
    )
    package = Path(__file__).resolve().parents[3] / "faceapi/node/node_modules/@vladmandic/face-api/model"
    shutil.copytree(package, baseline / "models")
    done = run_all(project, project, "--only", "faceapi_*,probe_*", "--epochs", 1, "--faceapi-script", script)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "faceapi_M1: failed" in done.stdout
    assert "no such model" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    # Runbook section 5.4, to the letter.
    seen = json.loads((baseline / "seen.txt").read_text())
    assert seen == [str(baseline.resolve()), "../../data_shared/splits_csv/test_M2.csv", "models",
                    "results/faceapi_M2_eval.csv"]  # fmt: skip
    assert (project / RUNS / "probe_M1_160/manifest.json").is_file()
    assert (project / RUNS / "probe_M2_160/manifest.json").is_file()
    assert not (baseline / "results/faceapi_M1_eval.csv").exists()
    assert (baseline / "tried").exists()
    assert len((baseline / "results/faceapi_M2_eval.csv").read_text(encoding="utf-8").splitlines()) == 4
    with (project / "reports/summary_overall_7exp.csv").open(encoding="utf-8", newline="") as stream:
        notes = {row["experiment"]: row["notes"] for row in csv.DictReader(stream)}
    assert "failed" in notes["faceapi_M1"]
    assert not notes["faceapi_M2"]


def test_a_second_run_in_the_same_folder_is_refused(shared_project: Path, tmp_path: Path) -> None:
    (tmp_path / ".emosweep").mkdir()
    with FileLock(tmp_path / ".emosweep" / "run.lock"):
        done = run_all(shared_project, tmp_path, "--only", "probe_M1", "--epochs", 1)
    assert done.returncode == 2
    assert "another run" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.nightly  # test_local_runs.py has the same without Ray
def test_resources_nobody_has_are_refused(shared_project: Path, tmp_path: Path) -> None:
    wishes = ("--cpus-per-trial", 64)
    done = run_all(shared_project, tmp_path, "--only", "probe_M1", "--epochs", 1, *wishes)
    assert done.returncode == 2
    assert "--cpus-per-trial 64" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "ray://127.0.0.1:10001"])
def test_no_cluster_at_the_address(address: str, shared_project: Path, tmp_path: Path) -> None:
    done = run_all(shared_project, tmp_path, "--only", "probe_M1", "--address", address, cpus=False)
    assert done.returncode == 2
    assert f"--address {address}: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.nightly  # test_local_runs.py has the same without Ray
def test_fresh_runs_again_what_is_done(finished: tuple[Path, Path, str]) -> None:
    project, output, _ = finished
    manifest = output / RUNS / "probe_M1_160" / "manifest.json"
    before, numbers = manifest.stat().st_mtime_ns, trained(output, "probe_M1_160")
    done = run_all(project, output, "--epochs", 3, "--only", "probe_M1", "--fresh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert manifest.stat().st_mtime_ns > before
    assert trained(output, "probe_M1_160") == numbers


def test_a_ray_that_does_not_start_here_is_one_clear_message(shared_project: Path, tmp_path: Path) -> None:
    """A socket's path cannot be that long."""
    options = ("--only", "probe_M1", "--epochs", 1)
    done = run_all(shared_project, tmp_path, *options, env={"RAY_TMPDIR": str(tmp_path / ("x" * 120))})
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: Ray could not be started here (" in done.stderr
    assert "RAY_TMPDIR" in done.stderr
    assert f"; its log: {tmp_path}/.emosweep/logs/" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()
