"""The files for `ray up` are ones that Ray takes, and the clouds: each check misses what others catch."""

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
ROOT = Path(__file__).resolve().parents[2]
FILES = {"local": "cluster.yaml", "aws": "clusters/aws.yaml", "gcp": "clusters/gcp.yaml"}
"""By the provider."""
CLOUDS = ("aws", "gcp")


def read(provider: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / FILES[provider]).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(params=FILES)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def ray_validates(config: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def schema_validates(config: dict[str, Any]) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)


def start_commands(config: dict[str, Any]) -> dict[str, str]:
    """The one `ray start` of the head, and that of a worker."""
    found = {}
    for kind in ("head", "worker"):
        (found[kind],) = (line for line in config[f"{kind}_start_ray_commands"] if "ray start" in line)
    return found


def test_ray_accepts_it(config: dict[str, Any]) -> None:
    assert ray_validates(config)["provider"]["type"] in FILES
    schema_validates(config)


def test_the_checks_can_fail(config: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        schema_validates({**config, "set_up_commands": []})


def test_no_address_of_the_head() -> None:
    broken = read("local")
    del broken["provider"]["head_ip"]
    with pytest.raises(Exception, match="head_ip"):
        ray_validates(broken)


def test_a_token_guards_every_node(config: dict[str, Any]) -> None:
    """It gets there with the files, readable for one user only, and without it nothing starts."""
    assert any(target.endswith("auth_token") for target in config["file_mounts"])
    assert any("chmod 600 ~/.ray/auth_token" in command for command in config["setup_commands"])
    for command in start_commands(config).values():
        assert "RAY_AUTH_MODE=token" in command
        assert "RAY_USAGE_STATS_ENABLED=0" in command
        assert "RAY_LD_PRELOAD_ON_WORKERS=1" in command
    assert "--include-dashboard=false" in start_commands(config)["head"]


def test_this_project_is_set_up_on_every_node(config: dict[str, Any]) -> None:
    assert any("make" in command and "setup" in command for command in config["setup_commands"])
    assert config["auth"]["ssh_user"], "neither of Ray's validations notices a missing user"


def test_nodes_of_ones_own_have_the_address_that_ssh_reaches() -> None:
    for command in start_commands(read("local")).values():
        assert "--node-ip-address=$(set -- $SSH_CONNECTION; echo $3)" in command


@pytest.mark.parametrize("provider", FILES)
def test_what_travels_is_what_the_first_lines_make(provider: str) -> None:
    sources = set(read(provider)["file_mounts"].values()) - {"~/.ray/auth_token"}
    made = re.findall(r"git archive -o (\S+) HEAD", (ROOT / FILES[provider]).read_text(encoding="utf-8"))
    assert sources == set(made), "`ray up` would read all of a folder, installed packages too"


@pytest.mark.parametrize("provider", CLOUDS)
def test_gpus_are_paid_while_trainings_wait_for_them(provider: str) -> None:
    """The head trains nothing; workers are as many as needed, and none is."""
    prepared = ray_validates(read(provider))
    head, worker = (prepared["available_node_types"][kind] for kind in ("head", "worker"))
    assert head["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in start_commands(prepared)["head"]
    assert (worker["min_workers"], worker["max_workers"]) == (0, prepared["max_workers"])
    assert head["max_workers"] == 0


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_machines_are_ones_that_ec2_knows(kind: str) -> None:
    boto = pytest.importorskip("boto3")
    machine = read("aws")["available_node_types"][kind]["node_config"]
    ec2 = boto.client("ec2", region_name="us-west-2")
    shape = ec2.meta.service_model.operation_model("RunInstances").input_shape
    assert _complaints(machine, shape) == ""
    assert 'Unknown parameter in input: "Spot"' in _complaints({**machine, "Spot": True}, shape)
    assert machine.get("InstanceMarketOptions", {}).get("MarketType") == (None if kind == "head" else "spot")


def _complaints(machine: dict[str, Any], shape: Any) -> str:
    from botocore.validate import ParamValidator

    report: str = ParamValidator().validate({"MinCount": 1, "MaxCount": 1, **machine}, shape).generate_report()
    return report


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_machines_are_ones_that_compute_engine_knows(kind: str) -> None:
    client = pytest.importorskip("googleapiclient")
    folder = Path(client.__file__).parent / "discovery_cache/documents"
    types = json.loads((folder / "compute.v1.json").read_text(encoding="utf-8"))["schemas"]
    schema = {"$defs": {name: _closed(schema) for name, schema in types.items()}, "$ref": "#/$defs/Instance"}
    instance = jsonschema.Draft202012Validator(schema)
    machine = read("gcp")["available_node_types"][kind]["node_config"]
    instance.validate(machine)
    with pytest.raises(jsonschema.ValidationError, match="preemptible"):
        instance.validate({**machine, "preemptible": True})
    assert machine.get("scheduling", {}).get("provisioningModel") == (None if kind == "head" else "SPOT")


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of Google's as a JSON schema that refuses unknown fields."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    closed: dict[str, Any] = {name: schema[name] for name in ("type", "enum") if schema.get(name, "any") != "any"}
    if schema.get("format") in ("int64", "uint64"):  # which Google sends as text
        closed["type"] = ["string", "integer"]
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    if "properties" in schema:
        closed["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        closed["additionalProperties"] = False
    elif "additionalProperties" in schema:
        closed["additionalProperties"] = _closed(schema["additionalProperties"])
    return closed


def test_a_gpu_machine_says_what_it_has() -> None:
    """Ray asks AWS, but not Google, what a type of machine has."""
    worker = read("gcp")["available_node_types"]["worker"]
    assert worker["resources"]["GPU"] == sum(
        gpus["acceleratorCount"] for gpus in worker["node_config"]["guestAccelerators"]
    )
    assert int(worker["node_config"]["machineType"].rpartition("-")[2]) == worker["resources"]["CPU"]


def test_ports_are_inside_the_security_group() -> None:
    """Ray's own group lets its members talk to each other, and everybody to port 22; what is listed is opened, too."""
    config = read("aws")
    assert "security_group" not in config["provider"]
    assert not any("SecurityGroupIds" in kind["node_config"] for kind in config["available_node_types"].values())
