"""Whatever is wrong with what the user gives: exit code 2, words that say what and where, and nothing has changed.

Ray must not have been started either; the fixture `cli` fails a test that gets so far.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from by_hand import Cli, changes, listing, write_seven
from filelock import FileLock

import trainable.__main__
from trainable.network.weight_files import IMAGENET_URL

Spoil = Callable[[Path], object]

ROOT = Path(__file__).resolve().parents[3]
CROPS = "data_shared/cropped_faces_csv"
TRAIN, VAL, TEST = (f"{CROPS}/{part}_M1.csv" for part in ("train", "val", "test"))
FACES = "data_shared/splits_csv/test_M1.csv"
IMAGE = "data_shared/cropped_faces_160/M1/train_01.jpg"


# -- ways to spoil a project


def edit(file: str, old: str, new: str) -> Spoil:
    """Replace the first `old`."""

    def spoil(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text
        (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return spoil


def rewrite(file: str, content: str | bytes) -> Spoil:
    return lambda root: (root / file).write_bytes(content.encode() if isinstance(content, str) else content)


def recode(file: str, encoding: str) -> Spoil:
    """As a Korean Excel would save it: Korean labels, another encoding."""
    return lambda root: (root / file).write_bytes(
        (root / file).read_text(encoding="utf-8").replace("angry", "분노").encode(encoding)
    )


def remove(file: str) -> Spoil:
    return lambda root: (root / file).unlink()


def folder(file: str) -> Spoil:
    def spoil(root: Path) -> None:
        (root / file).unlink()
        (root / file).mkdir()

    return spoil


def leave_one_class(root: Path) -> None:
    for file in (TRAIN, VAL, TEST):
        text = (root / file).read_text(encoding="utf-8")
        (root / file).write_text(text.replace("happy", "angry").replace("sad", "angry"), encoding="utf-8")


# -- one thing wrong in a file: what it is, and what the message must say

CSV_PROBLEMS = [
    ("path-column-missing", edit(TRAIN, "path,", "photo,"), (f"{TRAIN}:1", "column 'path'", "photo, label_en")),
    ("label-column-missing", edit(TEST, "label_en", "emotion"), (f"{TEST}:1", "column 'label_en'", "orig_kor")),
    ("column-twice", edit(TRAIN, "label_en", "label_en,label_en"), (f"{TRAIN}:1", "column 'label_en'", "twice")),
    ("unknown-label-in-val", edit(VAL, "happy", "hapy"), (f"{VAL}:3, column 'label_en'", "'hapy'", "angry, happy")),
    ("unknown-label-in-test", edit(TEST, "sad", "Sad"), (f"{TEST}:4, column 'label_en'", "'Sad'", "train_M1.csv")),
    ("no-label", edit(TRAIN, "happy", " "), (f"{TRAIN}:3, column 'label_en'", "is empty")),
    ("no-path", edit(TRAIN, IMAGE, ""), (f"{TRAIN}:3, column 'path'", "is empty")),
    ("one-class-only", leave_one_class, (f"{TRAIN}:2", "column 'label_en'", "one class only (angry)")),
    ("nothing-in-it", rewrite(VAL, ""), (VAL, "is empty")),
    ("blank-lines-only", rewrite(VAL, "\n \n"), (VAL, "is empty")),
    ("header-only", rewrite(VAL, "path,label_en\n"), (VAL, "no rows below the header")),
    ("cp949", recode(TRAIN, "cp949"), (f"{TRAIN}:2", "not UTF-8", "CP949", "iconv")),
    ("utf-16", recode(TRAIN, "utf-16"), (f"{TRAIN}:1", "not UTF-8", "UTF-16")),
    ("utf-16-without-bom", lambda root: (root / TRAIN).write_bytes((root / TRAIN).read_text().encode("utf-16-le")),
     (f"{TRAIN}:1", "NUL", "UTF-16")),
    ("an-image-for-a-csv", lambda root: shutil.copy(root / IMAGE, root / TRAIN), (TRAIN, "not UTF-8")),
    ("csv-missing", remove(TEST), (TEST, "no such file", "docs/data.md")),
    ("folder-for-a-csv", folder(TEST), (TEST, "is a folder")),
    ("image-missing", remove(IMAGE), (f"{TRAIN}:3, column 'path'", IMAGE, "no such image", "--project-root")),
    ("folder-for-an-image", folder(IMAGE), (f"{TRAIN}:3, column 'path'", IMAGE, "is a folder")),
    ("path-out-of-the-root", edit(TRAIN, IMAGE, "../a.jpg"), (f"{TRAIN}:3, column 'path'", "out of the project root")),
    ("path-out-by-a-detour", edit(TRAIN, IMAGE, "data_shared/../../a.jpg"), (f"{TRAIN}:3", "out of the project root")),
    ("absolute-path", edit(TRAIN, IMAGE, "/etc/hosts"), (f"{TRAIN}:3, column 'path'", "'/etc/hosts' is absolute")),
    ("windows-path", edit(TRAIN, IMAGE, "C:\\faces\\a.jpg"), (f"{TRAIN}:3, column 'path'", "is absolute")),
    ("endless-path", edit(TRAIN, IMAGE, "x" * 5000), (f"{TRAIN}:3, column 'path'", "no such image")),
    ("field-too-many", edit(TRAIN, "happy", "happy,0.9"), (f"{TRAIN}:3", "has 3 fields where the header has 2")),
    ("field-too-few", edit(TRAIN, ",happy", ""), (f"{TRAIN}:3", "has 1 fields where the header has 2")),
    ("quote-left-open", edit(TRAIN, "happy", '"happy'), (f"{TRAIN}:3", "not a readable CSV", "quotation mark")),
    ("text-behind-a-quote", edit(TRAIN, "happy", '"happy"!'), (f"{TRAIN}:3", "not a readable CSV")),
]  # fmt: skip

FACEAPI_PROBLEMS = [
    ("box-columns-missing", edit(FACES, "minX,minY,maxX,maxY", "a,b,c,d"),
     (f"{FACES}:1", *(f"column '{name}': is missing" for name in ("minX", "minY", "maxX", "maxY")))),
    ("box-no-number", edit(FACES, ",10,10,", ",10,ten,"), (f"{FACES}:2, column 'minY'", "number of pixels", "'ten'")),
    ("box-nan", edit(FACES, ",10,10,", ",nan,10,"), (f"{FACES}:2, column 'minX'", "number of pixels", "'nan'")),
    ("box-empty", edit(FACES, ",10,10,", ",,10,"), (f"{FACES}:2, column 'minX'", "number of pixels")),
    ("box-inverted", edit(FACES, ",10,10,", ",200,10,"), (f"{FACES}:2, column 'maxX'", "100 <= 200", "minX")),
    ("box-without-height", edit(FACES, ",100,100", ",100,10"), (f"{FACES}:2, column 'maxY'", "10 <= 10", "minY")),
    ("label-face-api-has-not", edit(FACES, "happy", "schadenfroh"),
     (f"{FACES}:3, column 'label_en'", "'schadenfroh'", "--faceapi-label 'schadenfroh=CLASS'")),
    ("photo-missing", remove("data_raw/photos/M1/2.jpg"), (f"{FACES}:4, column 'path'", "no such image")),
    ("csv-missing", remove(FACES), (FACES, "no such file")),
]  # fmt: skip

# Options, and what the message must say. {root} is the project, {files} a folder with the files of `files`.
OPTIONS = [
    ("--only nosuch", ("--only nosuch", "no such experiment", "finetune_K7")),
    ("--only finetuneM1", ("--only finetuneM1: no such experiment", "did you mean finetune_M1?")),
    ("--only finetune_m1", ("--only finetune_m1: no such experiment", "did you mean finetune_M1?")),
    ("--only M1", ("--only M1: no such experiment", "did you mean '*_M1'?")),
    ("--only ,", ("--only", "names no experiment")),
    ("--epochs 0", ("probe_M1: epochs must be at least 1, not 0",)),
    ("--epochs 2", ("finetune_M1", "three stages", "at least 3 epochs, not 2")),
    ("--epochs many", ("--epochs must be a whole number, not 'many'",)),
    ("--epochs 4.5", ("--epochs must be a whole number, not '4.5'",)),
    ("--gpus-per-trial half", ("--gpus-per-trial must be a number, not 'half'",)),
    ("--gpus-per-trial auto", ("--gpus-per-trial must be a number, not 'auto'",)),
    ("--batch 0", ("probe_M1: batch must be at least 1, not 0",)),
    ("--seed -1", ("probe_M1: seed must be at least 0, not -1",)),
    ("--workers -1", ("--workers must be at least 0, not -1",)),
    ("--num-cpus 0", ("--num-cpus must be at least 1, not 0",)),
    ("--cpus-per-trial 0", ("--cpus-per-trial must be at least 1, not 0",)),
    ("--gpus-per-trial -1", ("--gpus-per-trial must be at least 0, not -1",)),
    ("--gpus-per-trial nan", ("--gpus-per-trial must be at least 0, not nan",)),
    ("--device tpu", ("--device must be auto, cpu or cuda, not 'tpu'",)),
    ("--device cpu --gpus-per-trial 0.5", ("--gpus-per-trial 0.5 goes against --device cpu",)),
    ("--device cuda --gpus-per-trial 0", ("--gpus-per-trial 0 goes against --device cuda",)),
    ("--address auto --num-cpus 2", ("--num-cpus", "--address")),
    ("--weights {files}/nosuch.pt", ("--weights {files}/nosuch.pt: no such file",)),
    ("--weights {files}", ("--weights {files}: is a folder",)),
    ("--weights " + "x" * 300, ("xxx: File name too long",)),
    ("--project-root {files}/nosuch", ("--project-root {files}/nosuch: no such folder",)),
    ("--project-root {files}/a.txt", ("--project-root {files}/a.txt: is a file",)),
    ("--project-root {files}", ("--project-root {files}: holds no data_shared/",)),
    ("--output-root {files}/a.txt", ("--output-root {files}/a.txt", "is a file, but must be a folder")),
    ("--output-root {files}/a.txt/below", ("--output-root {files}/a.txt/below: {files}/a.txt is a file",)),
    ("--output-root {files}/blocked", ("--output-root {files}/blocked: {files}/blocked/reports is a file",)),
    ("--config {files}/nosuch.json", ("--config {files}/nosuch.json: No such file",)),
    ("--config {files}/a.txt", ("--config {files}/a.txt: not JSON",)),
    ("--config {files}/key.json", ("--config {files}/key.json: experiments.probe_M1.lr: no such", "lr_head")),
    ("--config {files}/a.json --config {files}/b.json", ("--config: 2 files, but a run takes one: {files}/a.json",)),
    ("--config {files}/type.json", ("--config {files}/type.json: epochs: ", "integer")),
    ("--config {files}/name.json", ("--config {files}/name.json: experiments.probe_K7: no such experiment",)),
    ("--config {files}/value.json", ("finetune_K7: lr_head must be a positive number, not -1",)),
    ("--faceapi-script {files}/nosuch.mjs", ("--faceapi-script {files}/nosuch.mjs: no such file",)),
    ("--faceapi-models {files}", ("--faceapi-models {files}: must hold", "tiny_face_detector_model")),
    ("--faceapi-models {files}/nosuch", ("--faceapi-models {files}/nosuch: must hold",)),
    ("--faceapi-label wut", ("--faceapi-label wut: must be NAME=CLASS",)),
    ("--faceapi-label =happy", ("--faceapi-label =happy: must be NAME=CLASS",)),
    ("--faceapi-label wut=furious", ("--faceapi-label wut=furious", "angry, disgusted, fearful")),
    ("--faceapi-input-size 100", ("--faceapi-input-size must be a multiple of 32, not 100",)),
    ("--faceapi-engine wasm", ("--faceapi-engine must be onnx or node, not 'wasm'",)),
    ("--faceapi-score-threshold 2", ("--faceapi-score-threshold must be between 0 and 1, not 2",)),
    ("--epoch 3", ("no such option: --epoch. Did you mean --epochs?",)),
    ("--no-plain", ("no such option: --no-plain",)),
    ("--[bold]x[/]", ("no such option: --[bold]x[/]",)),
    ("extra", ("unexpected extra argument: extra",)),
]

WEIGHTS = [
    ("garbage.pt", "not a PyTorch checkpoint that loads with weights_only"),
    ("number.pt", "must be a state dict, or a best.pt that holds one as 'state_dict'"),
    ("other.pt", "not a MobileNetV3-Small state dict (lacks 'features.0.0.weight')"),
    ("code.pt", "not a PyTorch checkpoint that loads with weights_only"),
]


class Unpickled:
    """Makes a folder when it is unpickled, as a malicious checkpoint would."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.target,)


@pytest.fixture
def root(shared_project: Path, tmp_path: Path) -> Path:
    """A project to spoil, which has earlier results to lose."""
    shutil.copytree(shared_project, tmp_path / "project")
    return write_seven(tmp_path / "project")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no good for any option."""
    here = tmp_path_factory.mktemp("files")
    texts = {
        "a.txt": "hello",
        "key.json": '{"experiments": {"probe_M1": {"lr": 1}}}',
        "type.json": '{"epochs": "3"}',
        "name.json": '{"experiments": {"probe_K7": {}}}',
        "value.json": '{"experiments": {"finetune_*": {"lr_head": -1}}}',
        "garbage.pt": "not a checkpoint",
        "blocked/reports": "a file in the place of a folder",
    }
    for name, text in texts.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text, encoding="utf-8")
    torch.save(3, here / "number.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), here / "other.pt")
    torch.save(Unpickled(here / "owned"), here / "code.pt")
    return here


def check(done: subprocess.CompletedProcess[str], words: tuple[str, ...], out: str = "") -> None:
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not [word for word in words if " ".join(word.split()) not in said], said
    assert done.stdout.startswith(out) if out else not done.stdout


# -- the tests


@pytest.mark.parametrize(("spoil", "words"), [pytest.param(*case[1:], id=case[0]) for case in CSV_PROBLEMS])
def test_training_data(spoil: Spoil, words: tuple[str, ...], root: Path, cli: Cli) -> None:
    spoil(root)
    before = listing(root)
    done = cli("run-all", "--project-root", root, "--weights", "none", "--only", "probe_M1,finetune_K7")
    check(done, (*words, "1 problem with the input; nothing was started"))
    assert f"{root}/{CROPS}" in done.stderr
    assert not changes(before, listing(root))


@pytest.mark.parametrize(("spoil", "words"), [pytest.param(*case[1:], id=case[0]) for case in FACEAPI_PROBLEMS])
def test_faceapi_data(spoil: Spoil, words: tuple[str, ...], root: Path, cli: Cli) -> None:
    spoil(root)
    before = listing(root)
    done = cli("run-all", "--project-root", root, "--only", "faceapi_*")
    check(done, words)
    assert f"{root}/{FACES}" in done.stderr
    assert not changes(before, listing(root))


@pytest.mark.parametrize(("options", "words"), [pytest.param(*case, id=case[0][:60]) for case in OPTIONS])
def test_options(options: str, words: tuple[str, ...], root: Path, files: Path, cli: Cli) -> None:
    def fill(text: str) -> str:
        return text.replace("{root}", str(root)).replace("{files}", str(files))

    before = listing(root), listing(files)
    done = cli("run-all", "--project-root", root, "--weights", "none", *map(fill, options.split()))
    check(done, tuple(map(fill, words)))
    assert not changes(before[0], listing(root)) | changes(before[1], listing(files))


@pytest.mark.parametrize(("name", "words"), WEIGHTS)
def test_weights_that_do_not_load(name: str, words: str, root: Path, files: Path, cli: Cli) -> None:
    before = listing(root)
    done = cli("run-all", "--project-root", root, "--only", "probe_M1", "--weights", files / name)
    check(done, (f"--weights {files / name}: {words}",))
    # PyTorch loads the weights while Ray starts: by then there is a log. A file that is no checkpoint is known before.
    log = set() if name == "garbage.pt" else {".emosweep"}
    assert {Path(name).parts[0] for name in changes(before, listing(root))} == log
    assert not (files / "owned").exists(), "the checkpoint's code was run"


def test_several_problems_in_several_places_are_told_at_once(root: Path, files: Path, cli: Cli) -> None:
    k7 = f"{CROPS}/val_K7.csv"
    for spoil in (
        edit(TRAIN, IMAGE, "nosuch.jpg"),
        edit(TRAIN, ",sad", ","),
        rewrite(VAL, ""),
        edit(k7, "기쁨", "기쁘다"),
        edit(FACES, ",10,10,", ",200,200,"),
    ):
        spoil(root)
    before = listing(root)
    done = cli("run-all", "--project-root", root, "--epochs", 2, "--weights", "nosuch.pt", "--faceapi-models", files)
    check(
        done,
        (
            f"{TRAIN}:3, column 'path'", f"{TRAIN}:4, column 'label_en'", VAL, f"{k7}:2, column 'orig_kor'", "'기쁘다'",
            f"{FACES}:2, column 'maxX'", f"{FACES}:2, column 'maxY'", "--faceapi-models", "--weights nosuch.pt",
            "finetune_M1: a finetune", "finetune_M2: a finetune", "finetune_K7: a finetune",
        ),
    )  # fmt: skip
    assert not changes(before, listing(root))


def test_a_thousand_problems_of_a_file_neither_flood_the_terminal_nor_hide_another_file_s(root: Path, cli: Cli) -> None:
    rows = "".join(f"nosuch/{i}.jpg,happy\n" for i in range(1000))
    rewrite(TRAIN, "path,label_en\n" + rows)(root)
    edit(TEST, ",sad", ",")(root)
    done = cli("run-all", "--project-root", root, "--weights", "none", "--only", "probe_M1")
    check(
        done,
        ("1001 problems with the input", f"{TRAIN}:2,", "'nosuch/29.jpg'", f"{TRAIN}: ... and 970 more", f"{TEST}:4,"),
    )
    assert len(done.stderr.splitlines()) == 33


def test_no_node_on_the_path(root: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = listing(root)
    done = cli("run-all", "--project-root", root, "--weights", "none", "--faceapi-engine", "node")
    check(done, ("node is not on the PATH", "Node 18", "--faceapi-engine onnx does not"))
    assert not changes(before, listing(root))


def test_an_own_script_needs_the_folder_it_runs_in(root: Path, tmp_path: Path, cli: Cli) -> None:
    script = tmp_path / "mine.mjs"
    script.touch()
    shutil.rmtree(root / "models" / "faceapi_baseline")
    done = cli("run-all", "--project-root", root, "--only", "faceapi_M1", "--faceapi-script", script)
    check(done, ("models/faceapi_baseline: no such folder", "--faceapi-script"))


def test_a_second_run_in_the_same_folder(root: Path, cli: Cli) -> None:
    lock = root / ".emosweep" / "run.lock"
    lock.parent.mkdir()
    with FileLock(lock):
        done = cli("run-all", "--project-root", root, "--weights", "none", "--only", "probe_M1")
    check(done, (f"another run is writing to {root}", str(lock)))
    assert not (root / ".emosweep" / "logs").exists()


def test_an_output_root_that_cannot_be_written_to(root: Path, tmp_path: Path, cli: Cli) -> None:
    output = tmp_path / "output"
    output.mkdir()
    output.chmod(0o500)
    if os.access(output, os.W_OK):
        pytest.skip("this user may write everywhere")
    done = cli("run-all", "--project-root", root, "--output-root", output, "--weights", "none", "--only", "probe_M1")
    check(done, (f"--output-root {output}: cannot be written to (Permission denied)",))


@pytest.mark.parametrize("command", ["plan", "run-all"])
def test_plan_refuses_what_run_all_refuses(command: str, root: Path, cli: Cli) -> None:
    edit(VAL, "happy", "hapy")(root)
    done = cli(command, "--project-root", root, "--epochs", 2)
    check(done, (f"{VAL}:3, column 'label_en'", "finetune_K7: a finetune"))


def test_a_report_on_nothing(tmp_path: Path, cli: Cli) -> None:
    check(cli("report", "--output-root", tmp_path / "nosuch"), (f"{tmp_path}/nosuch: no such folder",))


def test_a_report_that_cannot_be_written_is_no_traceback(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "reports").touch()
    (tmp_path / "data_shared").mkdir()
    done = cli("report", "--project-root", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert f"{tmp_path}/reports" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# -- in a process of its own, as a user calls it

SHELL = [
    pytest.param(recode(TRAIN, "cp949"), "--only probe_M1 --weights none", ("CP949", f"{TRAIN}:2"), id="cp949"),
    pytest.param(edit(VAL, "happy", "행복"), "--weights none", (f"{VAL}:3", "'행복'"), id="korean-in-the-message"),
    pytest.param(lambda root: None, "--epoch 3", ("no such option", "--epochs"), id="unknown-option"),
]


@pytest.mark.parametrize(("spoil", "options", "words"), SHELL)
def test_in_a_shell(spoil: Spoil, options: str, words: tuple[str, ...], root: Path) -> None:
    spoil(root)
    before = listing(root)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run-all", *options.split()],
        cwd=root, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    check(done, words)
    assert not changes(before, listing(root))


def test_imagenet_without_network_names_the_ways_out(
    root: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # what remembers the proxies
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    before = listing(root)
    done = cli("run-all", "--project-root", root, "--only", "probe_M1")
    folder = tmp_path / "empty/hub/checkpoints"
    words = ("the ImageNet weights are not in", f"put {IMAGENET_URL} into {folder}", "--weights none", "--weights PATH")
    check(done, words, out=f"downloading ImageNet weights to {folder}")
    assert not changes(before, listing(root))


# -- `python -m trainable`

TRAINABLE = [
    ("--mode both", ("--mode must be probe or finetune, not 'both'",)),
    ("--device tpu", ("--device must be auto, cpu or cuda, not 'tpu'",)),
    ("--workers -1", ("--workers must be at least 0, not -1",)),
    ("--threads 0", ("--threads must be at least 1, not 0",)),
    ("--threads -1", ("--threads must be at least 1, not -1",)),
    ("--epochs 0", ("epochs must be at least 1",)),
    ("--mode finetune --epochs 2", ("at least 3 epochs, not 2",)),
    ("--batch 0", ("batch must be at least 1",)),
    ("--lr-head 0", ("lr_head must be a positive number",)),
    ("--val-csv {root}/nosuch.csv", ("{root}/nosuch.csv: no such file",)),
    ("--val-csv {root}/" + CROPS + "/val_K7.csv", ("val_K7.csv:2, column 'orig_kor'", "'기쁨'")),
    ("--out {files}/a.txt", ("--out {files}/a.txt", "is a file, but must be a folder")),
    ("--project-root {files}", (f"{TRAIN}:2, column 'path'", "no such image", "--project-root")),
    ("--project-root {files}/nosuch", ("--project-root {files}/nosuch: no such folder",)),
    ("--weights {files}/nosuch.pt", ("--weights {files}/nosuch.pt: no such file",)),
    ("--weights {files}/garbage.pt", ("--weights {files}/garbage.pt: not a PyTorch checkpoint",)),
    pytest.param(
        "--device cuda", ("--device cuda", "no CUDA GPU"),
        marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "words"), TRAINABLE)
def test_one_run_without_ray(
    options: str,
    words: tuple[str, ...],
    root: Path,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fill(text: str) -> str:
        return text.replace("{root}", str(root)).replace("{files}", str(files))

    out = root / "models" / "mobilenetv3_classifier" / "runs" / "new"
    usual = f"--mode probe --epochs 1 --weights none --project-root {root} --out {out}"
    usual += "".join(f" --{part}-csv {root}/{CROPS}/{part}_M1.csv" for part in ("train", "val", "test"))
    before = listing(root)
    monkeypatch.setattr(sys, "argv", ["trainable", *usual.split(), *fill(options).split()])
    with pytest.raises(SystemExit) as end:
        trainable.__main__.main()
    said = capsys.readouterr()
    check(subprocess.CompletedProcess(sys.argv, end.value.code, said.out, said.err), tuple(map(fill, words)))  # type: ignore[arg-type]
    assert not changes(before, listing(root))
