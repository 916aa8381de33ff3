"""A sweep that runs out of time, is killed, interrupted and loses its processes ends as its trials alone would."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ray_runs import running, trial_processes, wait_for
from small_runs import TRIAL_RESULTS, history
from sweep_runs import EPOCHS, EXPERIMENTS, SWEEPS, Bench, Row, epochs_of, table, trials, without_seconds

from trainable.base.files import read_json

pytestmark = [pytest.mark.ray, pytest.mark.nightly]  # the same laws hold without Ray in test_local_runs.py
ONE_BY_ONE = ("--num-samples", 4, "--confirm", 0, "--scheduler", "none", "--max-concurrent", 1, "--verbose")


@dataclass
class Story:
    """One sweep, called five times; the tables after each call, and what was printed."""

    output: Path
    tables: dict[str, dict[str, list[Row]]] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, code: int, printed: str) -> None:
        self.codes[name], self.printed[name] = code, printed
        self.tables[name] = {experiment: table(self.output, experiment) for experiment in EXPERIMENTS}


@pytest.fixture(scope="module")
def story(bench: Bench, swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    output = tmp_path_factory.mktemp("story") / "output"
    shutil.copytree(swept, output)
    story, options = Story(output), bench.options(*ONE_BY_ONE)
    done = bench.sweep(output, *ONE_BY_ONE, "--fresh", "--budget", "1s")
    story.note("out of time", done.returncode, done.stdout + done.stderr)
    story.printed["left"] = " ".join(path.name for path in (output / SWEEPS).rglob("*"))
    folders = [output / row["folder"] for row in table(output, "finetune_M1")]
    with running(bench.project, output, *options, verb="sweep") as process:
        wait_for(lambda: epochs_of(folders[0]) >= 2)
        orphans = trial_processes(process.pid)
        process.kill()
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    with running(bench.project, output, *options, verb="sweep") as process:
        wait_for(lambda: epochs_of(folders[1]) >= 2)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
    story.note("interrupted", process.returncode, printed)
    with running(bench.project, output, *options, verb="sweep") as process:
        wait_for(lambda: epochs_of(folders[2]) >= 2)
        for pid in trial_processes(process.pid):
            os.kill(pid, signal.SIGKILL)
        printed, _ = process.communicate(timeout=240)
    story.note("done", process.returncode, printed)
    return story


def test_the_end_is_that_of_the_trials_alone(bench: Bench, story: Story) -> None:
    assert story.codes["done"] == 0, story.printed["done"]
    for experiment in EXPERIMENTS:
        expected = []
        for row in story.tables["done"][experiment]:
            config, folder = bench.config(experiment, row), story.output / row["folder"]
            assert history(folder) == history(bench.alone(config))
            assert {path.name for path in folder.iterdir()} == TRIAL_RESULTS
            scores, stages = bench.alone_scores(config), [line["stage"] for line in history(folder)]
            best = max(scores)
            values = {"stage": stages[-1], "epochs": f"{EPOCHS}", "best_val_macro_f1": f"{round(best, 6)}",
                      "best_epoch": f"{scores.index(best) + 1}", "why_it_stopped": "finished"}  # fmt: skip
            expected.append({**row, **values})
        assert without_seconds(story.tables["done"][experiment]) == without_seconds(expected)
        assert len(expected) == 4


def test_no_more_time_is_no_failure(story: Story) -> None:
    assert story.codes["out of time"] == 0, story.printed["out of time"]
    reasons = [row["why_it_stopped"] for rows in story.tables["out of time"].values() for row in rows]
    assert set(reasons) <= {"finished", "budget spent"}
    assert "budget spent" in reasons
    assert "Traceback" not in story.printed["out of time"]


def test_fresh_forgets_what_was_done_before(swept: Path, story: Story) -> None:
    """The copy held finished trials, stopped ones and confirmations."""
    reasons = {row["why_it_stopped"] for experiment in EXPERIMENTS for row in table(swept, experiment)}
    assert "finished" in reasons and len(reasons) > 1
    # One after the other: whole trials, then the one that time ran out for, then those that never began.
    trained = [int(row["epochs"]) for rows in story.tables["out of time"].values() for row in rows]
    cut = next(i for i, epochs in enumerate(trained) if epochs < EPOCHS)
    assert trained == [EPOCHS] * cut + [trained[cut]] + [0] * (len(trained) - cut - 1)
    assert "-s1338" not in story.printed["left"]


def test_an_interrupted_sweep_says_how_to_go_on(story: Story) -> None:
    assert story.codes["interrupted"] == 130, story.printed["interrupted"]
    assert "go on with: python -m orchestrator sweep --project-root" in story.printed["interrupted"]
    assert "Traceback" not in story.printed["interrupted"]
    rows = story.tables["interrupted"]["finetune_M1"]
    assert [row["why_it_stopped"] for row in rows] == ["finished", "interrupted", "budget spent", "budget spent"]
    assert 2 <= int(rows[1]["epochs"]) < EPOCHS


@pytest.mark.parametrize("call", ["interrupted", "done"])
def test_one_at_a_time(story: Story, call: str) -> None:
    """The epochs of a trial come in one piece, also where its process was killed on the way."""
    names = re.findall(r"^(\w+#\d+): epoch ", story.printed[call], re.MULTILINE)
    pieces = [name for name, _ in itertools.groupby(names)]
    assert len(pieces) >= 2
    assert len(pieces) == len(set(pieces))


def test_nothing_is_left_behind(story: Story) -> None:
    assert len(trials(story.output)) == 4 * len(EXPERIMENTS)
    assert not list((story.output / SWEEPS).rglob("stopped.json"))
    assert not list((story.output / SWEEPS).rglob(".checkpoints"))
    assert not list((story.output / SWEEPS).glob("*/*-s1338"))
    for experiment in EXPERIMENTS:
        best = max(float(row["best_val_macro_f1"]) for row in story.tables["done"][experiment])
        number = read_json(story.output / f"reports/sweeps/{experiment}_160_verdict.json")["chosen"]
        assert float(story.tables["done"][experiment][number]["best_val_macro_f1"]) == best
