"""`python -m trainable` as the runbook calls it, killed, interrupted and misused."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from small_runs import CPU, RESULTS, best_weights, csvs_of, finetune, history, probe, same_weights, spec_of
from torchvision.models import mobilenet_v3_small

from trainable.__main__ import main
from trainable.base.config import TrainConfig
from trainable.run.trainer import Trainer

Python = Callable[..., list[str]]
CSVS = [
    *("--train-csv", "data_shared/cropped_faces_csv/train_M1.csv"),
    *("--val-csv", "data_shared/cropped_faces_csv/val_M1.csv"),
    *("--test-csv", "data_shared/cropped_faces_csv/test_M1.csv"),
]


def test_the_runbooks_command(python: Python, project: Path) -> None:
    """Section 5.1 word by word; only the weights are other ones, since ImageNet's need a network."""
    out = "models/mobilenetv3_classifier/runs/probe_M1_160"
    done = subprocess.run(
        [
            *python("-m", "trainable"),
            *("--mode", "probe", "--epochs", "5", "--batch", "1024", "--workers", "8", "--lr-head", "7e-4"),
            *CSVS,
            *("--out", out, "--project-root", ".", "--verbose"),
            *("--weights", "none"),
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (project / out).iterdir()} == RESULTS
    *epochs, last = done.stdout.splitlines()
    assert [line.split(":")[0] for line in epochs] == [f"epoch {i}/5 stage 1" for i in range(1, 6)]
    assert last.startswith("probe_M1_160: val macro-F1 ")
    assert last.endswith(out)
    best = torch.load(project / out / "best.pt", weights_only=True)
    assert TrainConfig(**best["config"]) == TrainConfig("probe", 5, 7e-4, batch=1024, weights="none")


def run_main(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command in this process: a subprocess a case would take minutes."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code, *capsys.readouterr()


ONE_PROBLEM = "1 problem with the input; nothing was started:\n  "
TWO_PROBLEMS = "2 problems with the input; nothing was started:\n  "
BAD_OPTIONS: dict[str, tuple[list[str], str]] = {
    "mode": (["--mode", "full"], "error: --mode must be probe or finetune, not 'full'"),
    "no epochs": (["--epochs", "0"], "error: epochs must be at least 1, not 0"),
    "epoch given twice": (["--epochs", "3", "--epochs", "0"], "error: epochs must be at least 1, not 0"),
    "epochs for stages": (["--mode", "finetune", "--epochs", "2"], "error: a finetune has three stages"),
    "batch": (["--batch", "-8"], "error: batch must be at least 1, not -8"),
    "workers": (["--workers", "-1"], "error: --workers must be at least 0, not -1"),
    "threads": (["--threads", "0"], "error: --threads must be at least 1, not 0"),
    "rate": (["--lr-head", "nan"], "error: lr_head must be a positive number, not nan"),
    "seed": (["--seed", "-1"], "error: seed must be at least 0, not -1"),
    "device": (["--device", "tpu"], "error: --device must be auto, cpu or cuda, not 'tpu'"),
    "weights": (["--weights", "gone.pt"], "error: --weights gone.pt: no such file"),
    "weights are none": (["--weights", "train.csv"], "error: --weights train.csv: not a PyTorch checkpoint"),
    "root": (["--project-root", "nowhere"], ONE_PROBLEM + "--project-root nowhere: no such folder"),
    "out": (["--out", "train.csv"], ONE_PROBLEM + "--out train.csv: "),
    "csv": (["--val-csv", "gone.csv"], ONE_PROBLEM + "gone.csv: no such file"),
    "unknown flag": (["--epoch", "3"], "error: no such option: --epoch. Did you mean --epochs?"),
    "a flag without its value": (["--batch"], "error: --batch needs a value"),
    "no number": (["--epochs", "many"], "error: --epochs must be a whole number, not 'many'"),
    "no whole number": (["--epochs", "1.5"], "error: --epochs must be a whole number, not '1.5'"),
    "a word too many": (["more"], "error: unexpected extra argument: more"),
    "a negation that there is not": (["--no-verbose"], "error: no such option: --no-verbose."),
    "two csvs": (["--val-csv", "a.csv", "--test-csv", "b.csv"], TWO_PROBLEMS + "a.csv: no such file"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_end_with_2_and_one_message(
    shared_project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: str,
) -> None:
    options, told = BAD_OPTIONS[case]
    monkeypatch.chdir(tmp_path)
    Path("train.csv").write_text("path,label_en\n")
    csvs = csvs_of(shared_project)
    usual = ["--mode", "probe", "--epochs", "2", "--out", "out", "--weights", "none", "--device", "cpu"]
    usual += ["--project-root", str(shared_project), *(f"--{part}-csv={path}" for part, path in csvs.items())]
    code, _, text = run_main(capsys, *usual, *options)
    assert code == 2
    assert text.startswith(told)
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if not line.startswith("help: ")]
    assert len(lines) == (1 if told.startswith("error") else int(told[0]) + 1)
    assert not Path("out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU to be had")
def test_a_gpu_that_is_not_there_is_told(
    shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--mode=probe", "--epochs=1", f"--out={tmp_path / 'out'}", "--weights=none", "--device=cuda"]
    monkeypatch.chdir(shared_project)
    code, _, text = run_main(capsys, *options, *CSVS)
    assert code == 2
    assert text.startswith("error: --device cuda: PyTorch sees no CUDA GPU here")


def test_every_bad_row_of_every_csv_is_told_at_once(python: Python, project: Path) -> None:
    """In a process of its own, to see that no traceback goes past the command's own handling."""
    csvs = csvs_of(project)
    csvs["val"].write_text(csvs["val"].read_text().replace("val_02.jpg", "gone.jpg").replace(",happy", ",joyful", 1))
    csvs["test"].write_bytes("path,label_en\na.jpg,기쁨\n".encode("cp949"))
    command = [*python("-m", "trainable"), "--mode=probe", "--epochs=1", "--out=out", *CSVS]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    first, *lines = done.stderr.splitlines()
    assert first == "3 problems with the input; nothing was started:"
    assert sorted(line.split(": ")[0].rpartition("/")[2] for line in lines) == [
        "test_M1.csv:2",
        "val_M1.csv:3, column 'label_en'",
        "val_M1.csv:4, column 'path'",
    ]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children that SIGINT stops, also where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_killed_and_interrupted_runs_end_like_one_that_was_not(
    python: Python, shared_project: Path, tmp_path: Path
) -> None:
    """SIGINT and SIGKILL, each right after a checkpoint, so in mid-epoch; then to the end."""
    out = tmp_path / "finetune_M1_160"
    options = "--mode finetune --epochs 8 --batch 8 --workers 0 --threads 1 --lr-head 1e-2 --lr-backbone 1e-3 --verbose"
    command = [*python("-m", "trainable"), *options.split(), *CSVS, "--out", str(out), "--weights", "none"]

    def stop(after: int, blow: signal.Signals) -> tuple[int, str, int]:
        """Exit code, stderr, and the epochs that are saved, when `blow` falls after so many epochs of this call."""
        with subprocess.Popen(
            command, cwd=shared_project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stderr
            epochs = (line for line in process.stdout if line.startswith("epoch "))
            for _ in range(after):
                next(epochs)
            process.send_signal(blow)
            code, text = process.wait(), process.stderr.read()
        return code, text, json.loads((out / ".checkpoints/last.json").read_text())["epoch"]

    *end, first = stop(1, signal.SIGINT)
    assert end == [130, "interrupted; call again to go on from the last whole epoch\n"]
    code, _, second = stop(2, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert 1 <= first < first + 2 <= second < 8
    assert not (out / "manifest.json").exists()
    done = subprocess.run(command, cwd=shared_project, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"going on after epoch {second} of 8\n")
    assert {path.name for path in out.iterdir()} == RESULTS

    undisturbed = tmp_path / "undisturbed"
    Trainer(spec_of(shared_project, undisturbed, finetune(epochs=8)), CPU).run()
    assert same_weights(best_weights(out), best_weights(undisturbed))
    assert history(out) == history(undisturbed)
    for name in ("test_preds.csv", "test_metrics.json", "val_metrics_best.json"):
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes()


def test_defaults_of_the_rates_are_the_runbooks(
    shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shared_project)
    common = [*CSVS, "--weights=none", "--workers=0", "--threads=1", "--device=cpu"]
    for mode, epochs, rates in (("probe", 1, (7e-4, None)), ("finetune", 3, (5e-4, 1e-4))):
        out = tmp_path / mode
        code, _, _ = run_main(capsys, f"--mode={mode}", f"--epochs={epochs}", f"--out={out}", *common)
        assert code == 0
        config = json.loads((out / "manifest.json").read_text())["config"]
        assert (config["lr_head"], config["lr_backbone"]) == rates
        assert (config["batch"], config["seed"]) == (1024, 1337)


def test_fresh_begins_anew(
    shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shared_project)
    Trainer(spec_of(Path(), tmp_path / "out", probe()), CPU).step()
    options = "--mode probe --epochs 2 --lr-head 1e-2 --batch 8 --workers 0 --threads 1 --weights none --verbose"
    code, told, _ = run_main(capsys, *options.split(), *CSVS, "--out", str(tmp_path / "out"), "--fresh")
    assert code == 0
    assert told.startswith("epoch 1/2")


@pytest.mark.parametrize("verbose", [False, True])
def test_what_happened_on_the_way_is_told(
    shared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    verbose: bool,
) -> None:  # fmt: skip
    """Weights in a script's own checkpoint, and results of that script in the folder: each in a line, once."""
    monkeypatch.chdir(shared_project)
    state = {f"module.{key}": value for key, value in mobilenet_v3_small().state_dict().items()}
    torch.save({"ema": state}, tmp_path / "w.pt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/best.pt").write_text("the script's")
    options = f"--mode probe --epochs 1 --threads 1 --device cpu --weights {tmp_path / 'w.pt'} --out {tmp_path / 'out'}"
    code, told, _ = run_main(capsys, *options.split(), *CSVS, *["--verbose"] * verbose)
    assert code == 0
    for words in ("read from 'ema', prefix 'module.' removed", "of 1000 classes is dropped", "are kept in earlier-1"):
        assert sum(words in line for line in told.splitlines()) == 1


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_flag_of_the_runbook(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    code, told, _ = run_main(capsys, flag)
    assert code == 0
    runbook = "--mode --epochs --batch --workers --lr-head --lr-backbone --train-csv --val-csv --test-csv --out "
    for name in (runbook + "--project-root --verbose").split():
        assert f" {name} " in told, name


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(capsys, "--version")[:2] == (0, f"{version('emosweep')}\n")
