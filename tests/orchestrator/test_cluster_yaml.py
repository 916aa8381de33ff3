"""cluster.yaml is one that Ray takes: both of Ray's own validations, each of which misses what the other catches."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ray = pytest.importorskip("ray")
FILE = Path(__file__).resolve().parents[2] / "cluster.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def ray_validates(config: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(copy.deepcopy(config)))


def schema_validates(config: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)


def test_ray_accepts_it(config: dict[str, Any]) -> None:
    ray_validates(config)
    schema_validates(config)


def test_the_checks_can_fail(config: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        schema_validates({**config, "set_up_commands": []})
    broken = copy.deepcopy(config)
    del broken["provider"]["head_ip"]
    with pytest.raises(Exception, match="head_ip"):
        ray_validates(broken)


def test_on_premise_with_a_token_and_this_project(config: dict[str, Any]) -> None:
    assert config["provider"]["type"] == "local"
    assert config["auth"]["ssh_user"], "neither of Ray's validations notices a missing user"
    assert any(target.endswith("auth_token") for target in config["file_mounts"])
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        starts = [command for command in config[commands] if "ray start" in command]
        assert len(starts) == 1
        assert "RAY_AUTH_MODE=token" in starts[0]
        assert "RAY_LD_PRELOAD_ON_WORKERS=1" in starts[0]
        assert "--node-ip-address=$(set -- $SSH_CONNECTION; echo $3)" in starts[0]
    assert any("make" in command and "setup" in command for command in config["setup_commands"])


def test_what_travels_is_what_the_first_lines_make(config: dict[str, Any]) -> None:
    sources = set(config["file_mounts"].values()) - {"~/.ray/auth_token"}
    made = re.findall(r"git archive -o (\S+) HEAD", FILE.read_text(encoding="utf-8"))
    assert sources == set(made), "`ray up` would read all of a folder, installed packages too"
