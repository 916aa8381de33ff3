"""A Ray cluster as a place to look at its runs and to end them.

What runs say lies in the store of keys and values that the cluster's head keeps. Whoever reaches the head and has the
cluster's token may read and ask there: no node, no driver and no folder of the run is needed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.execution.address import check_address, said, token_source
from orchestrator.execution.notice import NodeUse, Notice, Seen, Wish
from orchestrator.execution.start import reason
from orchestrator.planning.ray_environment import set_environment
from trainable.base.accelerator import accelerator_of
from trainable.base.errors import ConfigError

NAMESPACE = b"emosweep"
NOTICE, WISH = b"notice:", b"wish:"
TIMEOUT_SECONDS = 5


class ClusterBoard:
    """See `orchestrator.execution.notice.Board`. The cluster says whether a run lives.

    Args:
        client: Ray's client of the head's store.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def at(cls, address: str) -> ClusterBoard:
        """The board of the cluster at host:port, or of the one that this machine belongs to (auto).

        Raises:
            ConfigError: no cluster answers there, or not without its token.
        """
        check_address(address)
        set_environment()
        with _impatience():
            return cls(_client(address))

    @classmethod
    def joined(cls) -> ClusterBoard:
        """The board of the cluster that this process has joined."""
        import ray
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # the stubs lack it

        return cls(GcsClient(address=ray.get_runtime_context().gcs_address))  # one that outlives ray.shutdown

    def publish(self, notice: Notice) -> None:
        self._put(NOTICE + f"{notice.host}:{notice.output}".encode(), notice.to_json())

    def seen(self) -> list[Seen]:
        texts = [self._get(key) for key in self._call("internal_kv_keys", NOTICE, NAMESPACE, TIMEOUT_SECONDS)]
        notices = [Notice.from_json(json.loads(text)) for text in texts if text is not None]
        jobs = self._call("get_all_job_info", timeout=TIMEOUT_SECONDS)
        dead = {job.hex(): info.is_dead for job, info in jobs.items()}
        found = [Seen(notice, not dead[notice.job] if notice.job in dead else None) for notice in notices]
        return sorted(found, key=lambda seen: seen.notice.began)

    def ask(self, run: str, wish: Wish) -> None:
        self._put(WISH + run.encode(), wish)

    def asked(self, run: str) -> Wish | None:
        found = self._get(WISH + run.encode())
        if found is None:
            return None
        wish: Wish = "now" if json.loads(found) == "now" else "stop"
        return wish

    def forget(self, run: str) -> None:
        self._call("internal_kv_del", WISH + run.encode(), False, NAMESPACE, TIMEOUT_SECONDS)

    def _get(self, key: bytes) -> Any:
        return self._call("internal_kv_get", key, NAMESPACE, TIMEOUT_SECONDS)

    def _put(self, key: bytes, value: Any) -> None:
        self._call("internal_kv_put", key, json.dumps(value).encode(), True, NAMESPACE, TIMEOUT_SECONDS)

    def _call(self, method: str, *arguments: Any, **more: Any) -> Any:
        """Raises ConfigError where the head does not answer any more."""
        try:
            return getattr(self._client, method)(*arguments, **more)
        except Exception as error:  # Ray has many
            raise ConfigError(f"the cluster's head does not answer any more ({reason(error)})") from error


def _client(address: str) -> Any:
    """Ray's client of the head's store.

    Raises:
        ConfigError: it cannot ask there.
    """
    from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # the stubs lack it

    found = address
    try:
        ensure_token_if_auth_enabled(create_token_if_missing=False)  # the client itself would end the process
        if address == "auto":
            found = canonicalize_bootstrap_address_or_die(address)
            check_address(found)
        with _silence():
            return GcsClient(address=found)
    except ConfigError:
        raise
    except Exception as error:  # Ray has many: connection, version, authentication
        why = reason(error).partition(". ")[0]  # the first sentence: Ray's advice is longer than a message
        raise ConfigError(
            f"{said(address)}: the cluster could not be asked ({why}); is it a Ray cluster's head, does this machine "
            f"have its token ({token_source()}) and the same RAY_AUTH_MODE?"
        ) from error


@contextmanager
def _impatience() -> Iterator[None]:
    """What answers may be no Ray; its client would then wait for half a minute more. Ray reads this once."""
    name = "RAY_py_gcs_connect_timeout_s"
    ours = name not in os.environ
    os.environ.setdefault(name, "10")
    try:
        yield
    finally:
        if ours:
            del os.environ[name]


@contextmanager
def _silence() -> Iterator[None]:
    """Ray's client writes to stderr what it also raises."""
    sys.stderr.flush()
    saved = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def job_and_nodes() -> tuple[str, list[NodeUse]]:
    """Ray's name for this run, and the nodes of the cluster that this process has joined."""
    import ray
    from ray._private.state import state

    return ray.get_runtime_context().get_job_id(), node_uses(ray.nodes(), state.available_resources_per_node())


def node_uses(nodes: Sequence[Mapping[str, Any]], free: Mapping[str, Mapping[str, float]]) -> list[NodeUse]:
    """The live ones of the nodes that `ray.nodes` lists.

    Args:
        free: what is not given away, by the node's id.
    """
    found = []
    for node in nodes:
        if node["Alive"] and node["NodeID"] in free:
            have, left = node["Resources"], free[node["NodeID"]]
            (cpus, cpus_used), (gpus, gpus_used) = (
                (have.get(name, 0.0), have.get(name, 0.0) - left.get(name, 0.0)) for name in ("CPU", "GPU")
            )
            place = node["NodeManagerAddress"], node["NodeManagerHostname"]
            found.append(NodeUse(*place, cpus, cpus_used, gpus, gpus_used, accelerator_of(have)))
    return found
