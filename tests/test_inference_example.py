"""The Python example of docs/inference.md predicts what the run that wrote the best.pt has in its test_preds.csv."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import CPU, finetune, read_rows, spec_of, tables_of, write_weights

from trainable.run.trainer import Trainer

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "inference.md"
CROPS = "data_shared/cropped_faces_160/M1"


def run_example(folder: Path) -> dict[str, Any]:
    """Run the document's only Python block in `folder`, which holds best.pt and crop.jpg.

    Returns:
        The names that the example defines.
    """
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(compile(code, str(DOCUMENT), "exec"), names)
    finally:
        os.chdir(before)
    return names


def make_test_crops_unusual(project: Path) -> None:
    """Give M1's test rows every kind of file that the document says something about."""
    crops = project / CROPS
    with Image.open(crops / "test_00.jpg") as image:
        image.resize((211, 97)).save(crops / "test_00.jpg")
    with Image.open(crops / "test_01.jpg") as image:
        exif = Image.Exif()
        exif[0x0112] = 6  # "turn by 90 degrees"
        image.resize((90, 200)).save(crops / "test_01.jpg", exif=exif)
    with Image.open(crops / "test_02.jpg") as image:
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 200
    Image.fromarray(grey).save(crops / "test_02.png")
    table = project / "data_shared/cropped_faces_csv/test_M1.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("test_02.jpg", "test_02.png"), encoding="utf-8")


@pytest.fixture(scope="module")
def trained(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A project and the folder of a finished run on it."""
    folder = tmp_path_factory.mktemp("inference")
    project, out = folder / "project", folder / "finetune_M1_160"
    shutil.copytree(shared_project, project)
    make_test_crops_unusual(project)
    weights = write_weights(folder / "weights.pt", tables_of(project)["train"])
    Trainer(spec_of(project, out, finetune(weights)), CPU).run()
    shutil.copy(project / CROPS / "test_03.jpg", out / "crop.jpg")
    return project, out


def test_the_example_predicts_what_the_run_predicted(
    trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project, out = trained
    example = run_example(out)
    rows = read_rows(out / "test_preds.csv")
    assert len({row["pred"] for row in rows}) > 1  # equal constants would say nothing
    predicted = {row["path"]: example["predict"](project / row["path"]) for row in rows}
    assert {path: name for path, (name, _) in predicted.items()} == {row["path"]: row["pred"] for row in rows}
    for _, probabilities in predicted.values():
        assert list(probabilities) == ["angry", "happy", "sad"]
        assert sum(probabilities.values()) == pytest.approx(1)
    assert predicted[f"{CROPS}/test_03.jpg"][0] in capsys.readouterr().out


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_the_example_reads_both_keys_of_the_weights(trained: tuple[Path, Path], tmp_path: Path, key: str) -> None:
    project, out = trained
    saved = torch.load(out / "best.pt", weights_only=True)
    weights = saved.get("state_dict", saved.get("model"))
    torch.save({key: weights, "classes": saved["classes"], "config": saved["config"]}, tmp_path / "best.pt")
    shutil.copy(out / "crop.jpg", tmp_path)
    crop = project / CROPS / "test_04.jpg"
    assert run_example(tmp_path)["predict"](crop) == run_example(out)["predict"](crop)


def test_the_example_gives_the_losses_of_the_run(trained: tuple[Path, Path]) -> None:
    """Predictions of a few rows forgive small mistakes in the pixels; the mean loss does not."""
    project, out = trained
    example = run_example(out)
    rows = read_rows(out / "test_preds.csv")
    losses = [-np.log(example["predict"](project / row["path"])[1][row["true"]]) for row in rows]
    assert np.mean(losses) == pytest.approx(_test_loss(out), rel=1e-4)


def _test_loss(out: Path) -> float:
    loss: float = json.loads((out / "test_metrics.json").read_text(encoding="utf-8"))["loss"]
    return loss
