"""Send requests that several packages need: read the metadata of one or all objects, and delete exactly one object.

Also decide whether an object is really gone, and can be forgotten.
"""

from __future__ import annotations

import http
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from lostromos_core import errors
from lostromos_core.kube.transport import api_errors, media_types, unreadable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lostromos_core.kube.transport import client

PAGE: Final = 500
"""Objects per page of a list."""
_AN_OBJECT: Final = re.compile(r'"[^"]*" not found')


def lacks_kind(error: errors.ApiError) -> bool:
    """Return whether a 404 is about the path: the kind is not served, or not at this path.

    A missing object is named in the message: ``namespaces "x" not found``. Measured on Kubernetes 1.37: a path that
    is not served returns ``404 page not found``, or ``the server could not find the requested resource``.
    """
    return error.status == http.HTTPStatus.NOT_FOUND and not _AN_OBJECT.search(error.message)


def apply_query(manager: str, *, force: bool | None = None) -> dict[str, str]:
    """Return the query of a write by a field manager; ``force`` is for server-side apply only."""
    return {"fieldManager": manager} | ({} if force is None else {"force": "true" if force else "false"})


async def read(kube: client.Transport, path: str, what: str) -> Mapping[str, Any] | None:
    """Return the live metadata of an object, None if it is not found."""
    try:
        return await find(kube, path, what)
    except errors.ApiError as error:
        if error.status == http.HTTPStatus.NOT_FOUND:
            return None
        raise


async def find(kube: client.Transport, path: str, what: str) -> Mapping[str, Any] | None:
    """Return the live metadata of an object, None if it is gone. Raises ApiError, also if the path is not served."""
    try:
        answer = await kube.request("GET", path, action=f"read {what}", accept=media_types.METADATA_ONLY)
    except errors.ApiError as error:
        if error.status == http.HTTPStatus.NOT_FOUND and not lacks_kind(error):
            return None
        raise
    found: Mapping[str, Any] = answer["metadata"]
    return found


async def read_outline(kube: client.Transport, path: str, *, action: str) -> dict[str, Any]:
    """Return an object or, if it cannot be decoded, its metadata and status. Raises ApiError."""
    answer = await kube.request_bytes("GET", path, action=action)
    try:
        found: dict[str, Any] = unreadable.loads(answer)
    except orjson.JSONDecodeError as error:
        item, _ = unreadable.lenient(answer)
        found = unreadable.outline(item) if isinstance(item, dict) else {}
        if "metadata" not in found:
            raise errors.ConnectionFailed(f"{action}: the API server's response contains no object") from error
    return found


async def delete(kube: client.Transport, path: str, uid: str, *, action: str) -> Mapping[str, Any] | None:
    """Delete the object with this uid, and no other of its name; return the response, None if it was already gone.

    Raises ApiError.
    """
    body = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": uid},
        "propagationPolicy": "Background",
    }
    try:
        answer: Mapping[str, Any] = await kube.request(
            "DELETE", path, action=action, body=body, accept=media_types.METADATA_ONLY
        )
    except errors.ApiError as error:
        if await is_gone(kube, path, uid, error):
            return None
        raise
    return answer


async def is_gone(kube: client.Transport, path: str, uid: str, error: errors.ApiError) -> bool:
    """Return whether the object with this uid is gone, after a write failed; raises ApiError.

    A 404 alone does not prove it: it may come from a proxy, a webhook or a server that is still starting. Since
    deleted objects are forgotten and never checked again, a read must confirm it. A path that is not served proves
    nothing: the object may still exist in another version of its kind.
    """
    if error.reason == api_errors.UID_MISMATCH:
        return True
    if error.status != http.HTTPStatus.NOT_FOUND:
        return False
    try:
        live = await find(kube, path, "the object that was not found")
    except errors.ApiError as failure:
        if lacks_kind(failure):
            return False
        raise
    return live is None or live.get("uid") != uid


async def pages(
    kube: client.Transport, path: str, *, action: str, labels: str = ""
) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the metadata of all objects in a collection that match a label selector."""
    query = {"limit": str(PAGE), **({"labelSelector": labels} if labels else {})}
    while True:
        answer = await kube.request("GET", path, action=action, query=query, accept=media_types.METADATA_LIST)
        for item in answer.get("items") or ():
            yield item["metadata"]
        query["continue"] = (answer.get("metadata") or {}).get("continue") or ""
        if not query["continue"]:
            return
