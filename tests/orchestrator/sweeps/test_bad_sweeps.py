"""Whatever is wrong with a sweep: exit code 2, one message that names it, and nothing is written or started.

Ray must not have been started either; the fixture `cli` fails a test that gets so far.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from by_hand import Cli, changes, listing, write_seven

from orchestrator.sweeps.speed import SAMPLE
from trainable.base.limits import usable_cpus
from trainable.cache.folder import cache_root

# A space as it stands in a user's file, and what the message must say; the experiment is finetune_M1 unless named.
SPACES = [
    ("{}", "is empty; name at least one parameter"),
    ("{'lr': 1e-3}", "lr: no such parameter (there are: batch class_weighting epochs"),
    ("{'lr_head': 1e-3, 'Weight_decay': 0.1}", "Weight_decay: no such parameter"),
    ("{3: 1e-3}", "3: no such parameter"),
    ("{'seed': tune.randint(0, 9)}", "seed cannot be swept; it is the sweep's"),
    ("{'weights': tune.choice(['none', 'imagenet'])}", "weights cannot be swept; it is the whole run's (--weights)"),
    ("{'amp': tune.choice([True, False])}", "amp cannot be swept"),
    ("{'mode': 'probe'}", "mode cannot be swept; it is the experiment's"),
    # -- values that make no run
    ("{'lr_head': -1e-3}", "lr_head=-0.001: lr_head must be a positive number, not -0.001"),
    ("{'lr_head': tune.uniform(-1, 1)}", "lr_head=-1.0: lr_head must be a positive number"),
    ("{'lr_head': tune.randn(1e-3, 1e-3)}", "lr_head must be a positive number"),
    ("{'lr_backbone': tune.grid_search([1e-4, -1e-4])}", "lr_backbone must be a positive number, not -0.0001"),
    ("{'weight_decay': tune.choice([0.1, -0.1])}", "weight_decay must be a positive number, not -0.1"),
    ("{'lr_head': 0}", "lr_head must be a positive number, not 0"),
    ("{'lr_head': tune.uniform(0, 1e-3)}", "lr_head must be a positive number, not 0"),
    ("{'lr_head': nan}", "lr_head must be a positive number, not nan"),
    ("{'lr_head': tune.choice([1e-3, inf])}", "lr_head must be a positive number, not inf"),
    ("{'weight_decay': tune.grid_search([nan])}", "weight_decay must be a positive number, not nan"),
    ("{'label_smoothing': nan}", "label_smoothing must be at least 0 and below 1, not nan"),
    ("{'label_smoothing': tune.uniform(0, 1)}", "label_smoothing must be at least 0 and below 1, not 1.0"),
    ("{'batch': tune.randint(0, 9)}", "batch must be at least 1, not 0"),
    ("{'epochs': tune.choice([2, 30])}", "epochs=2: a finetune has three stages and needs at least 3 epochs, not 2"),
    ("{'stage2_epoch': tune.randint(1, 12)}", "stage2_epoch=11: stages must begin in order within the 30 epochs"),
    ("{'stage2_epoch': tune.randint(1, 9), 'stage3_epoch': tune.randint(5, 20)}",
     "stage2_epoch=8, stage3_epoch=5: stages must begin in order"),
    ("{'class_weighting': tune.choice(['none', 'balanced'])}", "class_weighting must be none, inverse or"),
    ("{'schedule': ['cosine']}", "schedule must be constant or cosine, not ['cosine']"),
    # -- types
    ("{'lr_head': '1e-3'}", "lr_head: must be of type float, not '1e-3'"),
    ("{'lr_head': tune.choice([1e-3, 'fast'])}", "lr_head: must be of type float, not 'fast'"),
    ("{'lr_backbone': '1e-3'}", "lr_backbone: must be of type float, not '1e-3'"),
    ("{'lr_head': True}", "lr_head: must be of type float, not True"),
    ("{'lr_head': None}", "lr_head: must be of type float, not None"),
    ("{'batch': 8.0}", "batch: must be of type int, not 8.0"),
    ("{'batch': tune.uniform(8, 16)}", "batch: must be of type int, not 8.0"),
    ("{'stage2_epoch': tune.quniform(1, 5, 1)}", "stage2_epoch: must be of type int, not 1.0"),
    # -- domains
    ("{'lr_head': tune.choice([])}", "lr_head: a choice must have something to choose from"),
    ("{'lr_head': tune.grid_search([])}", "lr_head: a grid must have at least one value"),
    ("{'lr_head': tune.uniform(1e-2, 1e-3)}", "lr_head: a range must have low <= high"),
    ("{'lr_head': tune.loguniform(1e-2, 1e-3)}", "lr_head: a logarithmic range must have 0 < low <= high"),
    ("{'batch': tune.randint(9, 8)}", "batch: there is no whole number from 9 to 7"),
    ("{'lr_head': tune.loguniform(0, 1)}", "({'lr_head': tune.loguniform(0, 1)})): ValueError"),
    ("{'lr_head': tune.loguniform(-1e-3, 1)}", "'lr_head': tune.loguniform(-1e-3, 1)"),
    ("{'lr_head': tune.uniform(nan, 1)}", "'lr_head': tune.uniform(nan, 1)"),
    ("{'lr_head': tune.uniform(1e-3, inf)}", "'lr_head': tune.uniform(1e-3, inf)"),
    ("{'lr_head': tune.sample_from(lambda _: 1e-3)}", "lr_head: tune.sample_from cannot be drawn here"),
    ("{'lr_head': {'nested': 1e-3}}", "lr_head: a parameter is a range, a choice, a grid_search or one value"),
    # -- of a probe
    ("{'lr_backbone': 1e-4}", "lr_backbone: probe_M1 has none; a probe trains its head only"),
    ("{'lr_head': 1e-3, 'stage2_epoch': 1}", "stage2_epoch: probe_M1 has none"),
    ("{'stage3_epoch': tune.randint(2, 4)}", "stage3_epoch: probe_M1 has none"),
]  # fmt: skip

# A command and its options, and what the message must say.
OPTIONS = [
    ("sweep finetune_M1 --search grid", "--search must be sobol, random or optuna, not 'grid'"),
    ("sweep finetune_M1 --search optuna --space lr-grid", "--search optuna has nothing to choose in a grid"),
    ("sweep finetune_M1 --scheduler pbt", "--scheduler must be halving, asha, median or none, not 'pbt'"),
    ("sweep finetune_M1 --num-samples 1", "--num-samples must be at least 2 (the default is one of them), not 1"),
    ("sweep finetune_M1 --num-samples 0", "--num-samples must be at least 2"),
    ("sweep finetune_M1 --num-samples many", "--num-samples must be a whole number, not 'many'"),
    ("sweep finetune_M1 --space lr-grid --num-samples 16", "lr-grid: a grid has a size of its own (9 points); leave "
     "--num-samples out"),
    ("sweep finetune_M1 --space {file}:ONE_GRID --num-samples 16", "size of its own (2 points)"),
    ("sweep finetune_M1 --confirm 1", "--confirm must be 0, or at least 2 seeds, not 1"),
    ("sweep finetune_M1 --confirm -1", "--confirm must be 0, or at least 2 seeds, not -1"),
    ("sweep finetune_M1 --seed 4294967291", "--confirm 5: no such number of seeds between --seed and 4294967295"),
    ("sweep finetune_M1 --budget abc", "--budget abc: must be a time such as 3h, 90m or 1h30m, or an amount of money"),
    ("sweep finetune_M1 --budget 90", "--budget 90: an amount of money needs --price-per-hour; a time needs a unit"),
    ("run-all --budget 20", "--budget 20: an amount of money needs --price-per-hour"),
    ("plan --budget 20", "--budget 20: an amount of money needs --price-per-hour"),
    ("sweep finetune_M1 --budget 0 --price-per-hour 2", "--budget 0: must be more than 0"),
    ("sweep finetune_M1 --budget 0h0m", "--budget 0h0m: must be more than 0"),
    ("sweep finetune_M1 --budget -5m", "--budget -5m: must be a time"),
    ("sweep finetune_M1 --budget -5 --price-per-hour 2", "--budget -5: must be a time"),
    ("sweep finetune_M1 --budget 1.5h", "--budget 1.5h: must be a time"),
    ("sweep finetune_M1 --budget 30m1h", "--budget 30m1h: must be a time"),
    ("run-all --price-per-hour 0", "--price-per-hour must be more than 0, not 0"),
    ("run-all --price-per-hour -2", "--price-per-hour must be more than 0, not -2"),
    ("run-all --price-per-hour nan", "--price-per-hour must be more than 0, not nan"),
    ("plan --price-per-hour inf", "--price-per-hour must be more than 0, not inf"),
    ("plan --price-per-hour dear", "--price-per-hour must be a number, not 'dear'"),
    ("sweep finetune_M1 --space nosuch", "--space nosuch: must be lr, lr-grid, recipe, or FILE.py:NAME"),
    ("sweep finetune_M1 --space nosuch.py:SPACE", "--space nosuch.py:SPACE: no such file: nosuch.py"),
    ("sweep finetune_M1 --space {file}:NOSUCH", "NOSUCH must be a dict of parameters"),
    ("sweep faceapi_M1", "faceapi_M1: trains nothing, so there is nothing to sweep"),
    ("sweep *_M1", "faceapi_M1: trains nothing"),
    ("sweep", "EXPERIMENTS is missing"),
    ("sweep nosuch", "sweep nosuch: no such experiment (there are: faceapi_M1"),
    ("sweep ,", "sweep names no experiment"),
    ("sweep finetune_M1 --trials-per-gpu 0", "--trials-per-gpu must be auto or a number from 1 on, not 0"),
    ("sweep finetune_M1 --trials-per-gpu 2 --gpus-per-trial 0.5", "--gpus-per-trial and --trials-per-gpu say the same"),
    ("sweep finetune_M1 --trials-per-gpu 2 --device cpu", "goes against --device cpu"),
    ("sweep finetune_M1 --max-concurrent 0", "--max-concurrent must be at least 1, not 0"),
    ("sweep finetune_M1 --epochs 2", "finetune_M1: a finetune has three stages"),
    ("run-all --num-samples 16", "--num-samples is a sweep's; say which with --sweep SPACE"),
    ("run-all --sweep nosuch", "--sweep nosuch: must be lr, lr-grid, recipe, or FILE.py:NAME"),
    ("run-all --sweep lr --only faceapi_M1", "--sweep: none of the experiments trains"),
    ("run-all --sweep lr --num-samples 1", "--num-samples must be at least 2"),
    ("run-all --sweep lr --confirm 1", "--confirm must be 0, or at least 2 seeds, not 1"),
    ("run-all --sweep {file}:BACKBONE", "--sweep {file}:BACKBONE: lr_backbone: probe_M1 has none"),
    ("run-all --trials-per-gpu 0", "--trials-per-gpu must be auto or a number from 1 on, not 0"),
    ("run-all --trials-per-gpu 2 --gpus-per-trial 0.5", "say the same thing; leave one out"),
    ("plan --num-samples 16", "--num-samples is a sweep's; say which with --sweep SPACE"),
    ("plan --sweep lr-grid --num-samples 16 --only probe_M1", "a grid has a size of its own (3 points)"),
    ("plan --sweep {file}:BACKBONE --only probe_M1", "--sweep {file}:BACKBONE: lr_backbone: probe_M1 has none"),
]  # fmt: skip


@pytest.fixture
def root(shared_project: Path, tmp_path: Path) -> Path:
    """A project with earlier results, against which a plan would hold the images' contents."""
    shutil.copytree(shared_project, tmp_path / "project")
    return write_seven(tmp_path / "project")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "spaces").mkdir()
    found = tmp_path / "spaces" / "mine.py"
    text = "ONE_GRID = {'batch': tune.grid_search([8, 16]), 'lr_head': 1e-3}\nBACKBONE = {'lr_backbone': 1e-4}\n"
    found.write_text(f"from math import inf, nan\nfrom ray import tune\n{text}", encoding="utf-8")
    return found


def check(done: subprocess.CompletedProcess[str], words: str) -> None:
    said = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert words in said, said
    assert not done.stdout


@pytest.mark.parametrize(("space", "words"), SPACES, ids=[space for space, _ in SPACES])
def test_spaces(space: str, words: str, root: Path, file: Path, cli: Cli) -> None:
    file.write_text(f"from math import inf, nan\nfrom ray import tune\nSPACE = \\\n({space})\n", encoding="utf-8")
    name = "probe_M1" if "probe_M1" in words else "finetune_M1"
    before = listing(root.parent)
    done = cli("sweep", name, "--space", f"{file}:SPACE", "--project-root", root, "--weights", "none")
    check(done, words)
    assert done.stderr.startswith(f"error: --space {file}:SPACE: ")
    assert len(done.stderr.splitlines()) == 1
    assert not changes(before, listing(root.parent))


@pytest.mark.parametrize(("command", "words"), OPTIONS, ids=[command for command, _ in OPTIONS])
def test_options(command: str, words: str, root: Path, file: Path, cli: Cli) -> None:
    before = listing(root.parent)
    name, *options = command.replace("{file}", str(file)).split()
    done = cli(name, *options, "--project-root", root, "--weights", "none")
    check(done, words.replace("{file}", str(file)))
    assert not changes(before, listing(root.parent))


def test_what_is_right_is_planned(
    root: Path, file: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The project and the file of these tests are refused for no other reason. The speed for the estimate is known."""
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))
    known = {"slots": 2, "images_per_second": 10.0, "device": "cpu"}
    speeds = {f"{batch} images, {usable_cpus()} CPUs": known for batch in (16, SAMPLE)}
    cache_root().mkdir(parents=True)
    (cache_root() / "speed.json").write_text(json.dumps(speeds), encoding="utf-8")
    for sweep in ("lr", "recipe", f"{file}:ONE_GRID"):
        done = cli("plan", "--only", "*_M1_160", "--sweep", sweep, "--project-root", root, "--weights", "none")
        assert (done.returncode, done.stderr) == (0, "")


def test_in_a_shell(root: Path, file: Path) -> None:
    """In a process of its own, as a user calls it, from the project's folder."""
    before = listing(root)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "sweep", "probe_M1", "--space", f"{file}:BACKBONE", "--weights", "none"],
        cwd=root, capture_output=True, text=True, encoding="utf-8", check=False, timeout=600,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )  # fmt: skip
    check(done, "lr_backbone: probe_M1 has none; a probe trains its head only")
    assert not changes(before, listing(root))
