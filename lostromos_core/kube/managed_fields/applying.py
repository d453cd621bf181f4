"""Apply objects with server-side apply, also those whose managed fields name a version that is no longer served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors, interfaces
from lostromos_core.kube.managed_fields import outdated
from lostromos_core.kube.transport import media_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core.kube import cluster

ROUNDS: Final = 4
"""How often an object is repaired in one apply: the served versions may change meanwhile."""


async def apply(
    kube: cluster.Cluster,
    path: str,
    *,
    action: str,
    query: Mapping[str, str],
    body: Mapping[str, Any],
    accept: str,
    subresource: str = "",
) -> interfaces.Json:
    """Apply to the object at a path, or to a subresource of it, and return the response. Raises ApiError."""
    place = f"{path}/{subresource}" if subresource else path
    for attempt in range(ROUNDS + 1):
        try:
            return await kube.request(
                "PATCH", place, action=action, query=query, body=body, content_type=media_types.APPLY, accept=accept
            )
        except errors.ApiError as error:
            spoken = body["apiVersion"], body["kind"]
            if attempt == ROUNDS or not await outdated.is_mended(kube, path, error, *spoken, action=action):
                raise
    raise AssertionError  # the last attempt has returned or raised
