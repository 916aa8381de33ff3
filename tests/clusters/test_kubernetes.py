"""clusters/kuberay.yaml is one that Kubernetes, KubeRay and Ray's autoscaler take, and its cluster is closed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ("clusters/kuberay.yaml", "clusters/kuberay-data.yaml")
KUBERNETES = "1.33"


def fields(required: str = "", **properties: Any) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    return {"type": "object", "properties": properties, "required": required.split(), "additionalProperties": False}


TEXT, NUMBER, SWITCH, POD = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"type": "object"}
START = {"type": "object", "additionalProperties": TEXT}
RAY_JOB = fields(
    "entrypoint rayClusterSpec",
    entrypoint=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    backoffLimit=NUMBER,
    shutdownAfterJobFinishes=SWITCH,
    ttlSecondsAfterFinished=NUMBER,
    suspend=SWITCH,
    rayClusterSpec=fields(
        "headGroupSpec rayVersion",
        rayVersion=TEXT,
        authOptions=fields("mode", mode={"enum": ["token", "disabled"]}),
        enableInTreeAutoscaling=SWITCH,
        autoscalerOptions=fields(version={"enum": ["v1", "v2"]}, idleTimeoutSeconds=NUMBER),
        headGroupSpec=fields("template", rayStartParams=START, template=POD),
        workerGroupSpecs={
            "items": fields(
                "groupName template minReplicas maxReplicas",
                groupName=TEXT, replicas=NUMBER, minReplicas=NUMBER, maxReplicas=NUMBER, rayStartParams=START,
                template=POD,
            )
        },
    ),
)  # fmt: skip
"""What KubeRay's own reference of ray.io/v1 says of the fields that the file uses. Kubernetes drops unknown fields
without a word."""


def read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


@pytest.fixture
def job() -> dict[str, Any]:
    (found,) = (one for one in read("clusters/kuberay.yaml") if one["kind"] == "RayJob")
    spec: dict[str, Any] = found["spec"]
    return spec


@pytest.fixture
def pods(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    cluster = job["rayClusterSpec"]
    (worker,) = cluster["workerGroupSpecs"]
    return {"head": cluster["headGroupSpec"]["template"], "worker": worker["template"]}


@pytest.fixture
def kubernetes_takes() -> Callable[[dict[str, Any]], None]:
    kubernetes = pytest.importorskip("kubernetes_validate")
    return lambda one: kubernetes.validate(one, KUBERNETES, strict=True)


def test_kubernetes_takes_it(pods: dict[str, Any], kubernetes_takes: Callable[[dict[str, Any]], None]) -> None:
    """KubeRay's own kinds hold ordinary pods."""
    plain = [one for name in MANIFESTS for one in read(name) if one["apiVersion"] != "ray.io/v1"]
    assert {one["kind"] for one in plain} == {"NetworkPolicy", "PersistentVolumeClaim", "Pod"}
    for one in (*plain, *({"apiVersion": "v1", "kind": "Pod", **pod} for pod in pods.values())):
        kubernetes_takes(one)
        with pytest.raises(Exception, match="specs"):
            kubernetes_takes({**one, "specs": {}})


def test_kuberay_takes_it(job: dict[str, Any]) -> None:
    jsonschema.validate(job, RAY_JOB)
    job["rayClusterSpec"]["authOption"] = job["rayClusterSpec"].pop("authOptions")
    with pytest.raises(jsonschema.ValidationError, match="authOption"):
        jsonschema.validate(job, RAY_JOB)


def test_the_autoscaler_adds_gpus_and_nothing_else(job: dict[str, Any]) -> None:
    """As Ray itself reads the cluster. The head trains nothing, and there is no GPU until one is wanted."""
    pytest.importorskip("ray")
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr as derive

    found = derive({"metadata": {"name": "emosweep", "namespace": "default"}, "spec": job["rayClusterSpec"]})
    head, gpu = (found["available_node_types"][name] for name in ("headgroup", "gpu"))
    assert head["resources"]["CPU"] == 0
    assert gpu["resources"]["CPU"] >= 1
    assert gpu["resources"]["GPU"] == 1
    assert (gpu["min_workers"], gpu["max_workers"]) == (0, 4)
    assert job["rayClusterSpec"]["enableInTreeAutoscaling"]
    assert job["shutdownAfterJobFinishes"], "the cluster would be paid for after the run"


def test_a_token_guards_every_pod(job: dict[str, Any], pods: dict[str, Any]) -> None:
    """An operator that knows no authOptions makes no token, and Ray does not start without one in this mode."""
    assert job["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    for pod in pods.values():
        (container,) = pod["spec"]["containers"]
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert environment["RAY_LD_PRELOAD_ON_WORKERS"] == "1"
        assert pod["spec"]["securityContext"]["runAsNonRoot"]


def test_strangers_reach_the_dashboard_alone(pods: dict[str, Any]) -> None:
    (policy,) = (one["spec"] for one in read("clusters/kuberay.yaml") if one["kind"] == "NetworkPolicy")
    inside = policy["podSelector"]
    assert policy["policyTypes"] == ["Ingress"]
    for pod in pods.values():
        assert pod["metadata"]["labels"].items() >= inside["matchLabels"].items()
    own, others = policy["ingress"]
    assert own == {"from": [{"podSelector": inside}]}
    assert [port["port"] for port in others["ports"]] == [8265]


def test_the_head_alone_has_the_volume(job: dict[str, Any], pods: dict[str, Any]) -> None:
    (claim, loader) = read("clusters/kuberay-data.yaml")
    assert "volumes" not in pods["worker"]["spec"]
    (volume,) = pods["head"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert loader["spec"]["volumes"] == [volume]
    (mount,) = pods["head"]["spec"]["containers"][0]["volumeMounts"]
    roots = re.findall(r"--(?:project|output)-root (\S+)", job["entrypoint"])
    assert len(roots) == 2
    assert all(root.startswith(mount["mountPath"] + "/") for root in roots)


def test_the_image_has_this_ray_with_its_job_server(job: dict[str, Any]) -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert f"\nray=={job['rayClusterSpec']['rayVersion']}\n" in constraints
    dockerfile = (ROOT / "clusters/Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"pip install .*-c constraints.txt .*'ray\[default\]'", dockerfile), "RayJobs go to the dashboard"
    assert re.search(r"install .*\bwget\b", dockerfile), "KubeRay's probes call it"
    assert "\nUSER " in dockerfile


def test_a_pod_that_is_deleted_has_time_to_leave(pods: dict[str, dict[str, Any]]) -> None:
    spec = pods["worker"]["spec"]
    script, how = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert how == "now"
    text = (ROOT / script.removeprefix("/emosweep/")).read_text(encoding="utf-8")  # the image has this checkout there
    assert "WORKDIR /emosweep" in (ROOT / "clusters/Dockerfile").read_text(encoding="utf-8")
    (longest,) = re.findall(r"^seconds=(\d+)$", text, re.M)
    assert spec["terminationGracePeriodSeconds"] >= int(longest) + 20, "asking the head may take 20 seconds"
