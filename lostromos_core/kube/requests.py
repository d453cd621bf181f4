"""Requests that several rooms send: the metadata of one object or of all, and the deletion of exactly one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from lostromos_core import errors
from lostromos_core.kube import media, unreadable, watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lostromos_core.kube import client

NOT_FOUND: Final = watch.NOT_FOUND
CONFLICT: Final = 409


async def read(kube: client.Kube, path: str, what: str) -> Mapping[str, Any] | None:
    """The live metadata of an object, None if it is gone."""
    try:
        answer = await kube.request("GET", path, action=f"read {what}", accept=media.METADATA_ONLY)
    except errors.ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise
    found: Mapping[str, Any] = answer["metadata"]
    return found


async def read_outline(kube: client.Kube, path: str, *, action: str) -> dict[str, Any]:
    """An object, or as much of it as can be read: its metadata, and its status. Raises ApiError."""
    answer = await kube.request_bytes("GET", path, action=action)
    try:
        found: dict[str, Any] = unreadable.loads(answer)
    except orjson.JSONDecodeError as error:
        item, _ = unreadable.lenient(answer)
        found = unreadable.outline(item) if isinstance(item, dict) else {}
        if "metadata" not in found:
            raise errors.ConnectionFailed(f"{action}: the API server's answer holds no object") from error
    return found


async def delete(kube: client.Kube, path: str, uid: str, *, action: str) -> Mapping[str, Any] | None:
    """Delete the object of this uid, and no other of its name; the answer, or None if it was gone already."""
    body = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": uid},
        "propagationPolicy": "Background",
    }
    try:
        answer: Mapping[str, Any] = await kube.request(
            "DELETE", path, action=action, body=body, accept=media.METADATA_ONLY
        )
    except errors.ApiError as error:
        if error.status in {NOT_FOUND, CONFLICT}:
            return None
        raise
    return answer


async def pages(kube: client.Kube, path: str, *, action: str, labels: str = "") -> AsyncIterator[Mapping[str, Any]]:
    """The metadata of all objects of a collection that a label selector selects."""
    query = {"limit": str(watch.PAGE), **({"labelSelector": labels} if labels else {})}
    while True:
        answer = await kube.request("GET", path, action=action, query=query, accept=media.METADATA_LIST)
        for item in answer.get("items") or ():
            yield item["metadata"]
        query["continue"] = (answer.get("metadata") or {}).get("continue") or ""
        if not query["continue"]:
            return
