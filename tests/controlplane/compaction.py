"""Compaction of etcd: what makes the API server forget old versions, at the moment that a test chooses."""

import base64
from typing import Any

import urllib3

from tests.controlplane import errors

ANY_KEY = base64.b64encode(b"/").decode()


def compact(etcd_url: str) -> int:
    """Compact etcd at its current revision, physically, and return that revision. Raises errors.CompactionError.

    Goes through etcd's JSON gateway (https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/).
    """
    with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
        revision = _call(pool, f"{etcd_url}/v3/kv/range", {"key": ANY_KEY})["header"]["revision"]
        _call(pool, f"{etcd_url}/v3/kv/compaction", {"revision": revision, "physical": True})
    return int(revision)


def _call(pool: urllib3.PoolManager, url: str, body: dict[str, Any]) -> Any:
    response = pool.request("POST", url, json=body)
    if response.status != 200:
        raise errors.CompactionError(f"POST {url}: {response.status} {response.data.decode(errors='replace')}")
    return response.json()
