"""Read, acquire, renew and release a Lease of coordination.k8s.io/v1; ``presence`` interprets it.

A Lease is updated with a PUT that contains the resourceVersion: of several concurrent writers, one succeeds. Its
times are never compared with our clock; only a change of the renewal time shows that the holder is alive.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import http
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors
from lostromos_core.kube.transport import operations, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import identity, interfaces
    from lostromos_core.kube.transport import client

API: Final = "coordination.k8s.io/v1"
PATIENCE: Final = 5.0
"""Seconds to wait for a response of the API server."""
SECONDS: Final = 15
"""Seconds that others wait after the last renewal that they observed."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """Hold a Lease as it was read; ``holder`` is empty if it was released."""

    holder: str
    renewed: str
    metadata: Mapping[str, Any]
    transitions: int = 0


def path(of: identity.Identity) -> str:
    """Return the path of the Lease of an operator."""
    return paths.item(API, "leases", of.namespace, of.name)


async def read(kube: client.Transport, of: identity.Identity) -> Lease | None:
    """Return the Lease of an operator, None if it does not exist; raises ApiError."""
    try:
        return await _send(kube, "GET", path(of), action=f"read the Lease {of}")
    except errors.ApiError as error:
        if error.status != http.HTTPStatus.NOT_FOUND or operations.lacks_kind(error):
            raise
        return None


async def write(kube: client.Transport, of: identity.Identity, holder: str, before: Lease | None) -> Lease:
    """Acquire or renew a Lease: create it, or replace the one that was read.

    Raises ApiError: 409 if another process was faster.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    transitions = 0 if before is None else before.transitions + (before.holder != holder)
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": SECONDS,
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": transitions,
    }
    metadata = {"name": of.name, "namespace": of.namespace}
    action = f"hold the Lease {of}"
    if before is None:
        body = {"apiVersion": API, "kind": "Lease", "metadata": metadata, "spec": spec}
        return await _send(kube, "POST", paths.collection(API, "leases", of.namespace), action=action, body=body)
    version = {key: before.metadata[key] for key in ("uid", "resourceVersion")}
    body = {"apiVersion": API, "kind": "Lease", "metadata": metadata | version, "spec": spec}
    return await _send(kube, "PUT", path(of), action=action, body=body)


async def give_back(kube: client.Transport, of: identity.Identity, held: Lease) -> None:
    """Delete a Lease that we hold, unless it has changed since; raises ApiError."""
    conditions = {key: held.metadata[key] for key in ("uid", "resourceVersion")}
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": conditions}
    await kube.request_bytes("DELETE", path(of), action=f"give back the Lease {of}", body=body, urgent=True)


async def _send(kube: client.Transport, method: str, where: str, *, action: str, body: interfaces.Json = None) -> Lease:
    """Send a request past the limiter, with a short timeout: delays of other requests must not end the Lease."""
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await kube.request(method, where, action=action, body=body, urgent=True)
    except TimeoutError as error:
        raise errors.ConnectionFailed(f"{action}: no answer within {PATIENCE:.0f} seconds") from error
    return _lease(answer, action)


def _lease(item: interfaces.Json, action: str) -> Lease:
    spec = item.get("spec") if isinstance(item, dict) and isinstance(item.get("metadata"), dict) else None
    if not isinstance(spec, dict):
        raise errors.ApiError(f"{action}: the API server did not return a Lease", status=200, reason="Unreadable")
    holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
    transitions = spec.get("leaseTransitions")
    return Lease(holder, renewed, item["metadata"], transitions if isinstance(transitions, int) else 0)
