"""Write Events: short messages about an object that ``kubectl describe`` shows.

Events are best-effort: writing one may be forbidden or fail without affecting anything else.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Final, Literal, final

from lostromos_core import errors
from lostromos_core.kube.transport import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import interfaces
    from lostromos_core.kube.transport import client

DEFAULT_NAMESPACE: Final = "default"
"""Namespace of Events about cluster-scoped objects."""


async def write(
    kube: client.Transport,
    about: interfaces.ObjectRef,
    *,
    uid: str,
    kind: Literal["Normal", "Warning"],
    reason: str,
    message: str,
    controller: str,
) -> bool:
    """Write an Event about an object; return False if it could not be written. Source: events.k8s.io/v1."""
    namespace = about.namespace or DEFAULT_NAMESPACE
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{about.name[:200]}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "eventTime": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": f"lostromos.dev/{controller}",
        "reportingInstance": "lostromos",
        "type": kind,
        "reason": reason,
        "action": "Reconcile",
        "note": errors.shorten(message, 1000),
        "regarding": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": uid,
        },
    }
    path = paths.collection("events.k8s.io/v1", "events", namespace)
    try:
        await kube.request_bytes("POST", path, action=f"write an Event about {about}", body=body)
    except errors.ApiError:
        return False
    return True


@final
class SpamFilter:
    """Allow a burst of Events about a resource, and then one per minute."""

    BURST = 10.0
    REFILL = 1 / 60

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, key: str) -> bool:
        """Return whether another Event about a resource may be written now."""
        now = self._clock()
        left, at = self._left.get(key, (self.BURST, now))
        left = min(self.BURST, left + (now - at) * self.REFILL)
        self._left[key] = (max(0.0, left - 1), now)
        return left >= 1

    def forget(self, key: str) -> None:
        """Forget a resource that is gone."""
        self._left.pop(key, None)
