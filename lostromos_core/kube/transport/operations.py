"""Requests that several rooms send: the metadata of one object or of all, and the deletion of exactly one object.

And the question that decides what is forgotten: whether an object is really gone.
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
"""Objects on a page of a list."""
_AN_OBJECT: Final = re.compile(r'"[^"]*" not found')


def lacks_kind(error: errors.ApiError) -> bool:
    """Return whether a 404 is about the path: the kind is not served, or not so.

    What is not found otherwise has a name, as in ``namespaces "x" not found``. Measured on Kubernetes 1.37: a path that
    is not served answers ``404 page not found``, or ``the server could not find the requested resource``.
    """
    return error.status == http.HTTPStatus.NOT_FOUND and not _AN_OBJECT.search(error.message)


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


async def delete(kube: client.Transport, path: str, uid: str, *, action: str) -> Mapping[str, Any] | None:
    """Delete the object of this uid, and no other of its name; return the answer, None if it was gone already.

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
    """Return whether the object of this uid is gone, after a write failed; raises ApiError.

    A 404 alone does not prove it: a proxy, a webhook or a server that is still starting may have answered. Since
    what is gone is forgotten, and never looked at again, a read has to confirm it. A path that is not served proves
    nothing: the object may live on in another version of its kind.
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
    """The metadata of all objects of a collection that a label selector selects."""
    query = {"limit": str(PAGE), **({"labelSelector": labels} if labels else {})}
    while True:
        answer = await kube.request("GET", path, action=action, query=query, accept=media_types.METADATA_LIST)
        for item in answer.get("items") or ():
            yield item["metadata"]
        query["continue"] = (answer.get("metadata") or {}).get("continue") or ""
        if not query["continue"]:
            return
