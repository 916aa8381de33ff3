"""FaceAPI's tasks through the local executor: how many at once, what is kept of them, and what fails alone.

The photos are drawn without faces, and the evaluator is replaced where a test needs to see or to break a task: what is
tested is the order of things, which tests on Ray with a real evaluator (`test_faceapi_tasks.py`) cannot force.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import pytest
from by_hand import changes, listing, read_rows
from projects import BOX, make_project, write_csv
from test_local_runs import Log

from faceapi.contract.probabilities import read_probabilities
from faceapi.contract.results import ShardResult
from faceapi.contract.settings import FaceApiSettings
from faceapi.node.process import NODE_DIR
from orchestrator.execution.bookkeeping import clear_place, forget, restore
from orchestrator.execution.faceapi_tasks import ROWS_PER_PART, FaceApiTasks
from orchestrator.execution.local import LocalExecutor
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Settings
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json

MODELS = NODE_DIR / "node_modules/@vladmandic/face-api/model"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="NOT TESTED: needs face-api's weights (npm ci)")
PARTS = 3


class Recording(LocalExecutor):
    """Evaluates nothing: each task answers with rows made up for it, or fails."""

    def __init__(self, folder: Path, fail: Callable[[int], bool] = lambda number: False) -> None:
        super().__init__(folder / "log")
        self.fail, self.tasks, self.running, self.most = fail, 0, 0, 0
        self.says = True  # the probabilities
        self.rows = 0
        self._lock = threading.Lock()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        number, self.tasks = self.tasks, self.tasks + 1
        self.rows += len(arguments[0])
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        return super().submit(self._answer, number, arguments[0])

    def _answer(self, number: int, rows: Any) -> ShardResult:
        with self._lock:
            self.running -= 1
        if self.fail(number):
            raise ExperimentError(f"task {number} is broken")
        right = ((row, int(row.label == "happy")) for row in rows)
        lines = "".join(f"{row.path},{row.label},happy,0.9,1,0.5,{correct}\n" for row, correct in right)
        return ShardResult(lines, "", 1.0, [[float(row.box[3]), *[0.0] * 6] for row in rows] if self.says else ())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three parts in M1."""
    root = make_project(tmp_path / "project")
    write_split(root, "M1", "happy", range(ROWS_PER_PART * 2 + 5))
    return root


def write_split(root: Path, split: str, label: str, numbers: Iterable[int]) -> None:
    """Rows of M1's photos, which differ in their boxes."""
    lines = [(f"data_raw/photos/M1/{i % 3}.jpg", label, 10, 10, 100, 100 + i) for i in numbers]
    write_csv(root / f"data_shared/splits_csv/test_{split}.csv", ("path", "label_en", *BOX), lines)


def planner(root: Path, output: Path, **settings: Any) -> Planner:
    paths = ProjectPaths(root, output)
    wanted = Settings(faceapi=FaceApiSettings(models=MODELS, **settings))
    return Planner(check_inputs(select(["faceapi_*"]), wanted, paths), wanted, paths)


def evaluate(
    ours: Planner, executor: LocalExecutor, *names: str, limit: int = 2, stop: Callable[[], bool] = lambda: False
) -> Log:
    steps = [ours.identify(ours.evaluation(experiment)) for experiment in select(names)]
    log = Log()
    tasks = FaceApiTasks(steps, ours, executor, limit=limit, events=log, stop=stop)
    tasks.start()
    tasks.finish()
    return log


def test_parts_are_merged_in_input_order_and_the_project_is_only_read(root: Path, tmp_path: Path) -> None:
    before = listing(root)
    ours, executor = planner(root, tmp_path / "output"), Recording(tmp_path)
    log = evaluate(ours, executor, "faceapi_M1", "faceapi_M2")
    assert sorted(log.ended) == [("faceapi_M1", "done"), ("faceapi_M2", "done")]
    assert changes(before, listing(root)) == set()
    evaluation = ours.evaluation(select(["faceapi_M1"])[0])
    assert evaluation.status == "done"
    wanted = [row["path"] for row in read_rows(root / "data_shared/splits_csv/test_M1.csv")]
    assert [row["image"] for row in read_rows(evaluation.csv)] == wanted
    assert not evaluation.begun.exists()


def test_probabilities_are_those_of_their_rows_and_go_when_nobody_says_them(root: Path, tmp_path: Path) -> None:
    ours, executor = planner(root, tmp_path / "output"), Recording(tmp_path)
    evaluate(ours, executor, "faceapi_M1")
    step = ours.evaluation(select(["faceapi_M1"])[0])
    rows = read_rows(root / "data_shared/splits_csv/test_M1.csv")
    found = read_probabilities(step.probabilities, [row["path"] for row in rows])
    assert found is not None
    assert found[:, 0].tolist() == [float(row["maxY"]) for row in rows]
    assert read_probabilities(step.probabilities, [row["path"] for row in rows[1:]]) is None, "of other images"
    assert read_json(step.manifest)["artifacts"].keys() == {step.csv.name, step.probabilities.name}
    executor.says = False
    forget([ours.identify(step)], [], ours.paths)
    evaluate(ours, executor, "faceapi_M1")
    assert step.csv.is_file()
    assert not step.probabilities.exists()


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_tasks_at_once_than_allowed(root: Path, tmp_path: Path, limit: int) -> None:
    """Beside training on CPUs they take cores that trials count on."""
    executor = Recording(tmp_path)
    evaluate(planner(root, tmp_path / "output"), executor, "faceapi_M1", limit=limit)
    assert (executor.tasks, executor.most <= limit) == (PARTS, True)


def test_a_split_that_fails_leaves_the_other_one_alone(root: Path, tmp_path: Path) -> None:
    executor = Recording(tmp_path, lambda number: number == 1)
    log = evaluate(planner(root, tmp_path / "output"), executor, "faceapi_M1", "faceapi_M2", limit=1)
    assert log.failures["faceapi_M1"].message == "task 1 is broken"
    assert sorted(log.ended) == [("faceapi_M1", "failed"), ("faceapi_M2", "done")]


def test_only_answers_of_the_same_evaluator_count(root: Path, tmp_path: Path) -> None:
    """An interrupted run leaves answers; another threshold would have found other faces, and names of labels none."""
    output, same = tmp_path / "output", Recording(tmp_path)
    evaluate(planner(root, output), Recording(tmp_path, lambda number: number == 2), "faceapi_M1", limit=1)
    evaluate(planner(root, output, score_threshold=0.4), other := Recording(tmp_path), "faceapi_M1")
    assert other.tasks == PARTS
    evaluate(planner(root, output, labels={"행복": "happy"}), same, "faceapi_M1")
    assert same.tasks == PARTS - 2


def test_a_photo_is_looked_at_once_whatever_split_and_label_ask(root: Path, tmp_path: Path) -> None:
    write_split(root, "M1", "happy", range(100))
    write_split(root, "M2", "sad", [*range(50, 150), 50, 0])
    ours, executor = planner(root, tmp_path / "output"), Recording(tmp_path)
    log = evaluate(ours, executor, "faceapi_M1", "faceapi_M2")
    assert sorted(log.ended) == [("faceapi_M1", "done"), ("faceapi_M2", "done")]
    assert executor.tasks == 3, "64, 36 and 50 rows"
    for split, correct in (("M1", "1"), ("M2", "0")):
        alone = planner(root, tmp_path / split)
        evaluate(alone, Recording(tmp_path), f"faceapi_{split}")
        together, apart = (each.evaluation(select([f"faceapi_{split}"])[0]) for each in (ours, alone))
        assert together.csv.read_bytes() == apart.csv.read_bytes()
        assert together.probabilities.read_bytes() == apart.probabilities.read_bytes()
        assert {row["correct"] for row in read_rows(together.csv)} == {correct}


def test_later_commands_ask_what_is_new_only(root: Path, tmp_path: Path) -> None:
    write_split(root, "M1", "happy", range(70))
    evaluate(planner(root, tmp_path / "output"), Recording(tmp_path), "faceapi_M1")
    write_split(root, "M1", "sad", range(60))
    evaluate(ours := planner(root, tmp_path / "output"), executor := Recording(tmp_path), "faceapi_M1")
    rows = read_rows(ours.evaluation(select(["faceapi_M1"])[0]).csv)
    assert (executor.tasks, len(rows)) == (0, 60)
    assert {row["gt_label"] for row in rows} == {"sad"}
    write_split(root, "M2", "happy", range(68, 72))
    evaluate(planner(root, tmp_path / "output"), executor, "faceapi_M2")
    assert executor.tasks == 1
    frames = [f"data_raw/photos/M1/0.jpg,happy,10,10,100,100,{frame}" for frame in ("stored", "upright")]
    text = "\n".join(["path,label_en,minX,minY,maxX,maxY,frame", *frames])
    (root / "data_shared/splits_csv/test_M2.csv").write_text(text, encoding="utf-8")
    evaluate(planner(root, tmp_path / "output"), executor, "faceapi_M2")
    assert executor.tasks == 2, "the upright photo is another one"


def test_answers_that_cannot_be_read_are_asked_again(root: Path, tmp_path: Path) -> None:
    ours = planner(root, tmp_path / "output")
    evaluate(ours, Recording(tmp_path, lambda number: number == 2), "faceapi_M1", limit=1)
    first, second = ours.paths.faceapi_answers.glob("*/*.json")
    first.write_text("{", encoding="utf-8")
    second.write_text('[["a", "b"]]', encoding="utf-8")
    log = evaluate(ours, executor := Recording(tmp_path), "faceapi_M1")
    assert (executor.tasks, log.ended) == (PARTS, [("faceapi_M1", "done")])


def test_splits_fail_together_where_they_ask_the_same(root: Path, tmp_path: Path) -> None:
    write_split(root, "M2", "sad", range(2))
    executor = Recording(tmp_path, lambda number: number == 0)
    log = evaluate(planner(root, tmp_path / "output"), executor, "faceapi_M1", "faceapi_M2", limit=1)
    assert sorted(log.ended) == [("faceapi_M1", "failed"), ("faceapi_M2", "failed")]
    executor = Recording(tmp_path, lambda number: number == 0)
    write_split(root, "M2", "sad", range(ROWS_PER_PART, ROWS_PER_PART + 2))
    log = evaluate(planner(root, tmp_path / "other"), executor, "faceapi_M1", "faceapi_M2", limit=1)
    assert sorted(log.ended) == [("faceapi_M1", "failed"), ("faceapi_M2", "done")]
    assert executor.tasks == 2, "the first split's last part is of no use to anybody"


def test_an_interrupt_leaves_answers_and_no_results(root: Path, tmp_path: Path) -> None:
    executor, ours = Recording(tmp_path), planner(root, tmp_path / "output")
    log = evaluate(ours, executor, "faceapi_M1", limit=1, stop=lambda: executor.tasks >= 2)
    assert log.ended == []
    assert not ours.evaluation(select(["faceapi_M1"])[0]).csv.exists()


def test_too_many_photos_that_cannot_be_read(root: Path, tmp_path: Path) -> None:
    """More than a tenth of a split; --allow-corrupt looks again at those that could not be read, and at no others."""

    class Blind(Recording):
        def _answer(self, number: int, rows: Any) -> ShardResult:
            found = super()._answer(number, rows)
            return ShardResult(found.rows, f"unreadable: {rows[0].path}: broken\n" if number == 0 else "", 1.0)

    write_split(root, "M2", "sad", range(500, 503))
    ours = planner(root, tmp_path / "output")
    log = evaluate(ours, Blind(tmp_path), "faceapi_M1", "faceapi_M2")
    assert "22 of 133 test rows have an image that cannot be decoded" in log.failures["faceapi_M1"].message
    assert "--allow-corrupt" in log.failures["faceapi_M1"].message
    assert set(log.ended) == {("faceapi_M1", "failed"), ("faceapi_M2", "done")}
    step = ours.identify(ours.evaluation(select(["faceapi_M1"])[0]))
    tasks = FaceApiTasks(
        [step], ours, again := Blind(tmp_path), limit=1, events=log, stop=lambda: False, allow_corrupt=True
    )
    tasks.start()
    tasks.finish()
    assert (again.rows, log.ended[-1]) == (22, ("faceapi_M1", "done"))


def test_results_of_another_program_are_kept(root: Path, tmp_path: Path) -> None:
    """The runbook's own script leaves no manifest; the same file is kept once, however many attempts there are."""
    ours = planner(root, tmp_path / "output")
    step = ours.evaluation(select(["faceapi_M1"])[0])
    step.csv.parent.mkdir(parents=True)
    step.csv.write_text("made by hand\n", encoding="utf-8")
    for _ in range(2):
        evaluate(ours, Recording(tmp_path), "faceapi_M1")
        step.manifest.unlink()
        step.csv.write_text("made by hand\n", encoding="utf-8")
    kept = [file.read_text(encoding="utf-8") for file in step.csv.parent.glob("*.earlier-*.csv")]
    assert kept == ["made by hand\n"]


def test_results_with_other_settings_are_kept_with_their_manifest(root: Path, tmp_path: Path) -> None:
    for threshold in (0.5, 0.4, 0.4):
        ours = planner(root, tmp_path / "output", score_threshold=threshold)
        evaluate(ours, Recording(tmp_path), "faceapi_M1")
    folder = ours.evaluation(select(["faceapi_M1"])[0]).csv.parent
    (csv,), (manifest,) = folder.glob("*.earlier-*.csv"), folder.glob("*.earlier-*.manifest.json")
    assert json.loads(manifest.read_text())["identity"]["config"]["score_threshold"] == 0.5
    assert csv.name.removesuffix(".csv") == manifest.name.removesuffix(".manifest.json")


def test_results_of_earlier_settings_come_back(root: Path, tmp_path: Path) -> None:
    """With the file of another program in their place meanwhile, which is kept."""
    made = {}
    for threshold in (0.5, 0.4):
        ours = planner(root, tmp_path / "출력", score_threshold=threshold)
        step = ours.identify(ours.evaluation(select(["faceapi_M1"])[0]))
        told = clear_place(step, ours.paths)
        evaluate(ours, Recording(tmp_path), "faceapi_M1")
        made[threshold] = step.csv.read_bytes(), step.manifest.read_bytes()
    assert told == ["the result before is kept in the history (config.score_threshold 0.5 -> 0.4)"]
    ours = planner(root, tmp_path / "출력", score_threshold=0.5)
    (step,) = ours.plan(select(["faceapi_M1"]))
    assert (step.status, step.to_do) == ("restored", False)
    restore(step, ours.paths)
    assert ours.again(step).status == "done"
    assert (step.csv.read_bytes(), step.manifest.read_bytes()) == made[0.5]
    assert not list(step.csv.parent.glob("*.earlier-*"))
    step.manifest.unlink()
    step.csv.write_text("made by hand\n", encoding="utf-8")
    ours = planner(root, tmp_path / "출력", score_threshold=0.4)
    (step,) = ours.plan(select(["faceapi_M1"]))
    restore(step, ours.paths)
    assert (step.csv.read_bytes(), step.manifest.read_bytes()) == made[0.4]
    (kept,) = step.csv.parent.glob("*.earlier-*.csv")
    assert kept.read_text(encoding="utf-8") == "made by hand\n"


def test_fresh_leaves_no_copy_of_what_it_replaces(root: Path, tmp_path: Path) -> None:
    ours = planner(root, tmp_path / "output")
    evaluate(ours, Recording(tmp_path), "faceapi_M1")
    step = ours.identify(ours.evaluation(select(["faceapi_M1"])[0]))
    before = step.csv.read_bytes()
    forget([step], [], ours.paths)
    assert (ours.again(step).to_do, step.csv.read_bytes()) == (True, before)
    evaluate(ours, Recording(tmp_path), "faceapi_M1")
    assert not ours.again(step).to_do
    assert not list(step.csv.parent.glob("*.earlier-*"))
    assert not step.begun.exists()


def test_what_a_users_own_script_writes_is_no_earlier_result(root: Path, tmp_path: Path) -> None:
    """It writes to the place of the results itself; what was there before it is kept, and nothing else."""
    ours = planner(root, tmp_path / "output")
    step = ours.identify(ours.evaluation(select(["faceapi_M1"])[0]))
    step.csv.parent.mkdir(parents=True)
    step.csv.write_text("made by hand\n", encoding="utf-8")

    class Script(Recording):
        def _answer(self, number: int, rows: Any) -> ShardResult:
            step.csv.write_text("what the script wrote\n", encoding="utf-8")
            return super()._answer(number, rows)

    evaluate(ours, Script(tmp_path), "faceapi_M1")
    kept = [file.read_text(encoding="utf-8") for file in step.csv.parent.glob("*.earlier-*.csv")]
    assert kept == ["made by hand\n"]


def test_a_split_that_waits_for_its_turn_is_not_spoken_of(root: Path, tmp_path: Path) -> None:
    """Its parts come after those of the first split, however long these take."""

    class Slow(Log):
        spoken: ClassVar[list[str]] = []

        def waiting(self, name: str, seconds: int, why: str) -> None:
            self.spoken.append(name)

    ours, log = planner(root, tmp_path / "output"), Slow()
    steps = [ours.identify(ours.evaluation(experiment)) for experiment in select(["faceapi_M1", "faceapi_M2"])]
    tasks = FaceApiTasks(steps, ours, Recording(tmp_path), limit=1, events=log, stop=lambda: False)
    clock = iter(range(0, 10**6, 1000))  # each look at it is far later than patience lasts
    tasks.first_part.clock = lambda: float(next(clock))
    tasks.start()
    tasks.finish()
    assert log.spoken == []
    assert len(log.ended) == 2
