"""Runs an evaluator in a Node process: ours on some rows of a split, a user's own on the whole split."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from faceapi.contract.results import RESULT_COLUMNS, ShardResult
from faceapi.contract.settings import Evaluator, FaceApiSettings
from trainable.base.errors import ExperimentError
from trainable.base.files import write_csv, write_json
from trainable.base.log import LOG
from trainable.data.columns import BOX_COLUMNS, FRAME_COLUMN
from trainable.data.spelling import spelled
from trainable.data.tables import Row

NODE_DIR = Path(__file__).resolve().parent
"""The Node evaluator's package; `npm ci` puts its dependencies there."""
EVALUATOR = "eval_faceapi.mjs"
SILENT_SECONDS = 60.0
"""How long an evaluator works without a word; then twice as long, and so on."""
_ERROR = re.compile(r"(\S+: )?\w*Error\b.*: ").match
START_SECONDS, SECONDS_PER_ROW = 120, 15
"""The time limit of an evaluator; an evaluation on a slow core takes about a hundredth of it."""


def evaluate_rows(rows: Sequence[Row], root: Path, settings: FaceApiSettings, evaluator: Evaluator) -> ShardResult:
    """Evaluate some rows of a split with our evaluator in a new Node process.

    Args:
        rows: with boxes.
        root: absolute path of the folder to which the rows' paths are relative.

    Raises:
        ExperimentError: Node failed, took too long, or wrote a file that `read_results` refuses.
    """
    with tempfile.TemporaryDirectory(prefix="emosweep-faceapi-") as name:
        folder = Path(name)
        source, target, labels = folder / "shard.csv", folder / "results.csv", folder / "labels.json"
        probabilities = folder / "probabilities.json"
        header = ("path", "label", *BOX_COLUMNS, FRAME_COLUMN)
        write_csv(source, header, ((r.path, r.label, *(r.box or ()), "upright" if r.upright else "") for r in rows))
        write_json(labels, dict(settings.labels))
        command = [evaluator.node, evaluator.script, source, evaluator.models, target, "--project-root", root]
        command += ["--input-size", settings.input_size, "--score-threshold", settings.score_threshold]
        command += ["--label-map", labels, "--probabilities", probabilities]
        remarks, seconds = _run(command, folder, START_SECONDS + SECONDS_PER_ROW * len(rows))
        found = json.loads(probabilities.read_text(encoding="utf-8"))
        return ShardResult(read_results(target, len(rows)), remarks, seconds, found)


def run_own_script(
    evaluator: Evaluator,
    baseline: Path,
    split_csv: Path,
    target: Path,
    rows: int,
    models: Path | None,
    limit: float | None = None,
) -> ShardResult:
    """Run a user's evaluator once, exactly as runbook section 5.4 calls it.

    If the results do not go to `results` in `baseline`, the third argument is their absolute path. If the script fails,
    the results that were there before are restored.

    Args:
        baseline: the folder in which the script runs, `models/faceapi_baseline` below the project root.
        split_csv: the split, below the project root.
        target: the path of the results file.
        rows: the number of rows in the split.
        models: the weights' folder; None for `models` in `baseline`.
        limit: seconds after which the script is ended; None for a limit that grows with `rows`.

    Raises:
        ExperimentError: the script failed, took too long, or wrote a file that `read_results` refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    here = target.parent.resolve() == (baseline / "results").resolve()
    arguments = [
        Path("..") / ".." / split_csv.relative_to(baseline.parents[1]),
        spelled(models).resolve() if models else Path("models"),
        Path("results") / target.name if here else target.resolve(),
    ]
    command: list[object] = [evaluator.node, evaluator.script, *arguments]
    with _restored_after_a_failure(target):
        remarks, seconds = _run(command, baseline, START_SECONDS + SECONDS_PER_ROW * rows if limit is None else limit)
        return ShardResult(read_results(target, rows), remarks, seconds)


@contextmanager
def _restored_after_a_failure(target: Path) -> Iterator[None]:
    """Put the content that `target` has now back if the block raises; a file that is new then is removed."""
    before = target.read_bytes() if target.is_file() else None
    try:
        yield
    except BaseException:
        if before is not None:
            target.write_bytes(before)
        else:
            target.unlink(missing_ok=True)
        raise


def node_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Copy a process's environment variables for Node, without Ray's LD_PRELOAD.

    A Ray session started here preloads Ray's jemalloc into its workers (RAY_LD_PRELOAD_ON_WORKERS), for PyTorch. Node
    would inherit it as a child of a worker, but should run on the allocator that it was built for. An LD_PRELOAD of the
    user's own is kept.
    """
    return {k: v for k, v in variables.items() if k != "LD_PRELOAD" or "/ray/core/" not in v}


def _run(command: Sequence[object], cwd: Path, limit: float) -> tuple[str, float]:
    """Run a command in a process group of its own, for at most `limit` seconds; returns its stderr and its seconds.

    The whole group is ended in any case, so no child of the command goes on running.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=node_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        remarks = _remarks(process, f"{command[1]}", limit)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    if process.returncode != 0:
        raise ExperimentError(f"{command[1]} ended with {process.returncode}: {_last_words(remarks)}")
    return remarks, round(time.perf_counter() - began, 3)


def _remarks(process: subprocess.Popen[str], name: str, limit: float) -> str:
    """Wait for the end of a process, and say so where that takes long; returns its stderr.

    Raises:
        ExperimentError: it does not end within `limit` seconds.
    """
    began, say = time.monotonic(), SILENT_SECONDS
    while True:
        try:
            return process.communicate(timeout=min(say, limit) - (time.monotonic() - began))[1]
        except subprocess.TimeoutExpired as error:
            if say >= limit:
                raise ExperimentError(f"{name} did not end within {limit:.0f} s") from error
            LOG.warning("%s has worked for %.0f s; it is given up after %.0f s", name, say, limit)
            say *= 2


def _last_words(remarks: str) -> str:
    """What a program said on stderr before it failed: its last error, behind which Node writes a stack and codes."""
    lines = [line for line in remarks.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR(line)]
    return errors[-1] if errors else " / ".join(lines[-3:]) or "(it said nothing on stderr)"


def read_results(path: Path, rows: int) -> str:
    """Read and check an evaluator's results file.

    Returns:
        The rows as CSV text without the header, in RESULT_COLUMNS.

    Raises:
        ExperimentError: the file is missing, lacks columns, does not have `rows` rows, or has an iou or a correct that
            is no number.
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
