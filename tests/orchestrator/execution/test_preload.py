"""What is made ready beside Ray's start: it fails by itself, and never in the user's name."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from projects import draw, write_csv
from ray_runs import wait_for

from orchestrator.execution.preload import Preload
from orchestrator.planning.selection import select
from orchestrator.planning.steps import Run
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.base.paths import RunPaths
from trainable.cache.images import ImageStore
from trainable.data.tables import ImageTable, load_table


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """More than are decoded at a time, and an empty cache."""
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("trainable.cache.rows.BLOCK", 4)
    files = [tmp_path / f"{number}.jpg" for number in range(40)]
    for number, file in enumerate(files):
        draw(file, number, number, size=32)
    return files


def probe(weights: Path | str) -> list[Run]:
    (experiment,) = select(["probe_M1"])
    config = TrainConfig("probe", 1, 1e-3, weights=str(weights))
    return [Run(experiment=experiment, rows=(8, 8, 8), config=config, run=RunPaths(Path("any")))]


def ready(stop: threading.Event, files: Sequence[Path] = (), weights: Path | str = "none") -> Preload:
    return Preload(probe(weights), table_of(files), lambda there, wanted: None, stop)


def table_of(files: Sequence[Path]) -> ImageTable | None:
    if not files:
        return None
    csv = files[0].with_name("images.csv")
    write_csv(csv, ("path", "label"), [(file.name, "happy") for file in files])
    return load_table(csv, csv.parent)


def decoded(files: Sequence[Path]) -> int:
    images = ImageStore()
    return len(files) - len(images.store.missing(images.digests(files)))


def test_everything_is_there_at_the_end(images: list[Path]) -> None:
    stop = threading.Event()
    with ready(stop, images) as preload:
        preload.finish()
    assert decoded(images) == len(images)
    assert not preload.over()


def test_a_failure_is_not_the_users_wish(images: list[Path], tmp_path: Path) -> None:
    """The first Ctrl-C after it would be taken for the second, which saves nothing."""
    stop = threading.Event()
    (tmp_path / "weights.pt").write_text("none")
    preload = ready(stop, images, tmp_path / "weights.pt")
    with pytest.raises(ConfigError, match=r"weights\.pt"), preload:
        wait_for(preload.over)  # while trials run; what is raised here gives way to what is wrong
        raise ZeroDivisionError
    assert (preload.over(), stop.is_set()) == (True, False)
    assert decoded(images) == 0


def test_another_error_ends_the_decoding_and_is_not_the_users_wish(images: list[Path]) -> None:
    stop, at_work = threading.Event(), threading.Event()

    def progress(there: int, wanted: int) -> None:
        at_work.set()
        while not preload.over():
            time.sleep(0.01)

    preload = Preload([], table_of(images), progress, stop)
    with pytest.raises(ZeroDivisionError), preload:
        assert at_work.wait(60)
        raise ZeroDivisionError
    preload.finish()
    assert (preload.over(), stop.is_set()) == (True, False)
    assert decoded(images) < len(images)


def test_the_users_wish_ends_the_decoding(images: list[Path]) -> None:
    stop = threading.Event()

    def progress(there: int, wanted: int) -> None:
        if there:
            stop.set()

    with Preload([], table_of(images), progress, stop) as preload:
        preload.finish()
    assert preload.over()
    assert 0 < decoded(images) < len(images)


def test_modules_are_imported_before_and_after(images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("antigravity", "this"):  # modules of Python's own that nothing else imports
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "webbrowser", ModuleType("webbrowser"))
    sys.modules["webbrowser"].open = lambda address: None  # type: ignore[attr-defined]  # opens a page
    table, stop = table_of(images), threading.Event()
    with Preload(probe("none"), table, lambda there, wanted: None, stop, ["this"], ["antigravity"]):
        pass
    assert {"this", "antigravity"} <= set(sys.modules)


SETTING = """
import sys, threading

def note(event, arguments):
    if event in ("os.putenv", "os.unsetenv") and threading.current_thread() is not threading.main_thread():
        print(arguments[0].decode(), flush=True)

from contextlib import ExitStack
from pathlib import Path
from orchestrator.execution.preload import Preload
from orchestrator.execution.session import ray_executor

sys.addaudithook(note)
with ExitStack() as stack:
    executor = stack.enter_context(ray_executor(Path(sys.argv[1])))
    modules = [*executor.modules, "torch", "orchestrator.reporting.report"]
    with Preload((), None, lambda there, wanted: None, threading.Event(), last=modules):
        pass
    assert "sklearn" in sys.modules
"""


def test_no_variable_is_set_in_the_thread(tmp_path: Path) -> None:
    """Ray, which reads the environment meanwhile, would crash."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KMP_", "RAY_"))}
    subprocess.run([sys.executable, "-c", SETTING, str(tmp_path)], env=ours, timeout=120, check=True)
    (log,) = tmp_path.glob("*.log")
    assert log.read_text(encoding="utf-8") == ""
