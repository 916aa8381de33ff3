"""Whether `--weights` can be had, found out without torch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import MobileNet_V3_Small_Weights

from orchestrator.planning.weights import check_weights, imagenet_remark, unreachable
from trainable.base.errors import ConfigError
from trainable.network.model import load_weights
from trainable.network.weight_files import IMAGENET_URL, imagenet_file

Save = Callable[[Path], object]


class Server(BaseHTTPRequestHandler):
    """Has one file, /weights.pth."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/weights.pth" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    http = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture(params=["TORCH_HOME", "XDG_CACHE_HOME", "HOME"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for torch.hub, told by each of the variables that it knows."""
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(request.param, str(tmp_path))
    return tmp_path


def test_the_file_and_the_address_are_torchvisions(home: Path) -> None:
    assert MobileNet_V3_Small_Weights.IMAGENET1K_V1.url == IMAGENET_URL
    assert imagenet_file() == Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_URL.rpartition("/")[2]
    assert imagenet_file().is_relative_to(home)


def test_a_home_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "~/somewhere")
    assert imagenet_file().parents[1] == Path(torch.hub.get_dir()) == Path.home() / "somewhere/hub"


def test_weights_that_are_there_need_no_remark(home: Path) -> None:
    imagenet_file().parent.mkdir(parents=True)
    imagenet_file().touch()
    assert imagenet_remark("http://127.0.0.1:9/") is None


def test_weights_that_can_be_downloaded(home: Path, server: str) -> None:
    remark = imagenet_remark(f"{server}/weights.pth", seconds=30)
    assert remark == f"ImageNet weights will be downloaded to {imagenet_file().parent}"


@pytest.mark.parametrize("place", ["{server}/nosuch.pth", "http://127.0.0.1:9/weights.pth", "http://[/"])
def test_weights_that_cannot_be_had(home: Path, server: str, place: str) -> None:
    url = place.format(server=server)
    remark = imagenet_remark(url, seconds=30)
    assert remark is not None
    for words in ("cannot be had", str(imagenet_file()), url, "--weights none", "--weights PATH"):
        assert words in remark


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection and says nothing
        assert unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.2) is not None


def save_old(path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    "save", [lambda path: torch.save({"a": torch.zeros(1)}, path), save_old], ids=["zip", "pickle"]
)
def test_files_of_pytorch_pass(tmp_path: Path, save: Save) -> None:
    save(tmp_path / "weights.pt")
    check_weights(str(tmp_path / "weights.pt"))


@pytest.mark.parametrize("content", [b"", b"hello", b"<html>login</html>"])
def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"--weights {path}: not a PyTorch checkpoint"):
        check_weights(str(path))


@pytest.mark.parametrize("name", ["none", "imagenet"])
def test_names_pass(name: str) -> None:
    check_weights(name)


def save_safetensors(path: Path) -> None:
    """By hand, since the package is not needed here: the length of the header, the header, the numbers."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    header += b" " * (0x80 - len(header))  # so that the file begins as a pickle does
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def save_script(path: Path) -> None:
    """As `torch.jit.save` lays its archive out."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("w/data.pkl", "w/code/__torch__/model.py", "w/constants.pkl"):
            archive.writestr(name, b"")


def save_arrays(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    path.with_suffix(".npz").rename(path)


def save_half(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("save", "told"),
    [
        (save_safetensors, "a safetensors file; convert it once: torch.save(safetensors.torch.load_file('weights.pt')"),
        (save_script, "a TorchScript archive, which holds a program; save the weights alone: torch.save("),
        (save_arrays, "not a PyTorch checkpoint that loads with weights_only"),
        (save_half, "not a PyTorch checkpoint that loads with weights_only (the file is cut short)"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid 1"), "a pointer of Git LFS"),
    ],
    ids=["safetensors", "torchscript", "npz", "cut short", "lfs"],
)  # fmt: skip
def test_other_formats_are_named_before_anything_starts(tmp_path: Path, save: Save, told: str) -> None:
    """By the plan, and in the same words by what loads the file."""
    path = tmp_path / "weights.pt"
    save(path)
    for look in (check_weights, load_weights):
        with pytest.raises(ConfigError) as caught:
            look(str(path))
        assert str(caught.value).startswith(f"--weights {path}: {told}")
        assert "\n" not in str(caught.value)


def test_the_look_needs_no_torch(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pt")
    code = (
        "import sys; from orchestrator.planning.weights import check_weights; check_weights(sys.argv[1]); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "weights.pt")], check=True)
