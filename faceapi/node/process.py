"""Running an evaluator in a Node process: one shard with ours, a whole split with a user's own."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from trainable.base.errors import ExperimentError
from trainable.data.tables import BOX_COLUMNS, Row

NODE_DIR = Path(__file__).resolve().parent
"""The Node evaluator's package; `npm ci` puts its dependencies there."""
EVALUATOR = "eval_faceapi.mjs"
START_SECONDS, SECONDS_PER_ROW = 120, 15
"""A shard may take this long: some hundred times what it takes on a slow core."""


def evaluate_rows(rows: Sequence[Row], root: Path, settings: FaceApiSettings, evaluator: Evaluator) -> ShardResult:
    """Evaluate some rows of a split with our evaluator, in this process' own Node.

    Raises:
        ExperimentError: Node failed, took too long or wrote something else than asked.
    """
    with tempfile.TemporaryDirectory(prefix="emosweep-faceapi-") as name:
        folder = Path(name)
        source, target, labels = folder / "shard.csv", folder / "results.csv", folder / "labels.json"
        with source.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("path", "label", *BOX_COLUMNS))
            writer.writerows((row.path, row.label, *(row.box or ())) for row in rows)
        labels.write_text(json.dumps(dict(settings.labels), ensure_ascii=False), encoding="utf-8")
        command = [evaluator.node, evaluator.script, source, evaluator.models, target, "--project-root", root]
        command += ["--input-size", settings.input_size, "--score-threshold", settings.score_threshold]
        command += ["--label-map", labels]
        remarks, seconds = _run(command, folder, START_SECONDS + SECONDS_PER_ROW * len(rows))
        return ShardResult(read_results(target, len(rows)), remarks, seconds)


def run_own_script(
    evaluator: Evaluator, baseline: Path, split_csv: Path, target: Path, rows: int, models: Path | None
) -> ShardResult:
    """Run a user's evaluator once, exactly as runbook section 5.4 calls it.

    With outputs elsewhere than in the project, the third argument is the absolute place of the results. Results that
    were there before come back if the script fails.

    Args:
        baseline: the folder in which the script runs, `models/faceapi_baseline` below the project root.
        split_csv: the split, below the project root.
        target: where the results are to be.
        rows: how many rows the split has.
        models: the weights' folder; None for `models` in `baseline`.

    Raises:
        ExperimentError: as `evaluate_rows`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.read_bytes() if target.is_file() else None
    here = target.parent.resolve() == (baseline / "results").resolve()
    arguments = [
        Path("..") / ".." / split_csv.relative_to(baseline.parents[1]),
        models.resolve() if models else Path("models"),
        Path("results") / target.name if here else target.resolve(),
    ]
    command: list[object] = [evaluator.node, evaluator.script, *arguments]
    try:
        remarks, seconds = _run(command, baseline, START_SECONDS + SECONDS_PER_ROW * rows)
        return ShardResult(read_results(target, rows), remarks, seconds)
    except BaseException:
        if before is not None:
            target.write_bytes(before)
        else:
            target.unlink(missing_ok=True)
        raise


def _environment() -> dict[str, str]:
    """This process's, without the allocator that Ray lends its workers: it is Python's, not Node's."""
    return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" or "/ray/core/" not in v}


def _run(command: Sequence[object], cwd: Path, limit: float) -> tuple[str, float]:
    """Run a command in a process group of its own, for `limit` seconds at most; its stderr, and its seconds.

    Whatever happens, nothing of it goes on running.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        _, remarks = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise ExperimentError(f"{command[1]} did not end within {limit:.0f} s") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    if process.returncode != 0:
        last = remarks.strip().splitlines()[-3:] or ["(it said nothing on stderr)"]
        raise ExperimentError(f"{command[1]} ended with {process.returncode}: {' / '.join(last)}")
    return remarks, round(time.perf_counter() - began, 3)


def read_results(path: Path, rows: int) -> str:
    """The result rows of an evaluator, checked, without the header, in the columns of runbook section 6.

    Raises:
        ExperimentError: the file is missing, lacks columns or rows, or holds something else than numbers.
    """
    try:
        found = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExperimentError(f"the evaluator left no readable {path.name}: {error}") from error
    lacking = [name for name in RESULT_COLUMNS if not found or name not in found[0]]
    if lacking and rows:
        raise ExperimentError(f"{path.name} lacks the column(s) {', '.join(lacking)}")
    if len(found) != rows:
        raise ExperimentError(f"{path.name} has {len(found)} rows for {rows} images")
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, RESULT_COLUMNS, extrasaction="ignore", lineterminator="\n")
    for number, row in enumerate(found, 2):
        try:
            float(row["iou"]), int(row["correct"])
        except (TypeError, ValueError) as error:
            raise ExperimentError(f"{path.name}:{number}: iou and correct must be numbers") from error
        writer.writerow(row)
    return buffer.getvalue()
