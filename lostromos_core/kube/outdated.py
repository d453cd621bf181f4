"""Server-side apply to objects whose managed fields name a version that their definition has no longer.

The API server converts an object into each version that a field manager has used, and refuses the apply when one of
them is gone, though nothing else is wrong. An update may rewrite the entries, as migrators of stored versions do.
Source: https://github.com/kubernetes/kubernetes/issues/111937; measured on Kubernetes 1.37.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import structlog

from lostromos_core import errors
from lostromos_core.kube import media, requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lostromos_core.kube import client

VERSIONS: Final = 10
"""How many versions that are gone one object may name; an apply tells of one at a time."""
_GONE: Final = re.compile(r"request to convert CR to an invalid group/version: ([^\s,;]+)")
_log = structlog.get_logger("lostromos.kube")


async def apply(  # noqa: PLR0913 - the parts of a server-side apply
    kube: client.Kube,
    path: str,
    *,
    action: str,
    query: Mapping[str, str],
    body: Mapping[str, Any],
    accept: str,
    subresource: str = "",
) -> Any:  # noqa: ANN401 - any JSON value
    """Apply to the object at a path, or to a subresource of it, and return the answer. Raises ApiError."""
    place = f"{path}/{subresource}" if subresource else path
    for attempt in range(VERSIONS + 1):
        try:
            return await kube.request(
                "PATCH", place, action=action, query=query, body=body, content_type=media.APPLY, accept=accept
            )
        except errors.ApiError as error:
            if attempt == VERSIONS or not await is_mended(kube, path, error, body["apiVersion"], action=action):
                raise
    raise AssertionError  # the last attempt has returned or raised


async def is_mended(kube: client.Kube, path: str, error: errors.ApiError, api_version: str, *, action: str) -> bool:
    """Return whether an apply failed because of a version that is gone, and can be tried again now. Raises ApiError.

    The entries that name the version name ``api_version`` from now on. A dry run cannot mend anything.
    """
    gone = _GONE.search(error.message)
    if gone is None or kube.dry_run:
        return False
    live = await requests.read(kube, path, "the managed fields")
    entries = (live or {}).get("managedFields") or ()
    rewritten = rewrite(entries, gone[1], api_version)
    if live is None or rewritten == list(entries):
        return False
    metadata = {"uid": live["uid"], "resourceVersion": live["resourceVersion"], "managedFields": rewritten}
    await kube.request_bytes(
        "PATCH",
        path,
        action=f"{action}: rewrite managed fields of {gone[1]}",
        body={"metadata": metadata},
        content_type=media.MERGE,
        accept=media.METADATA_ONLY,
    )
    _log.info("managed fields of a version that is gone were rewritten", what=action, gone=gone[1], now=api_version)
    return True


def rewrite(entries: Iterable[Mapping[str, Any]], gone: str, now: str) -> list[Mapping[str, Any]]:
    """Return entries of managed fields with one version in the place of another; what becomes the same is united."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for entry in entries:
        moved = {**entry, "apiVersion": now} if entry.get("apiVersion") == gone else entry
        version = "" if moved.get("operation") == "Apply" else str(moved.get("apiVersion"))
        key = *(str(moved.get(field) or "") for field in ("manager", "operation", "subresource")), version
        before = found.get(key)
        if before is not None:
            moved = {**moved, "fieldsV1": _union(before.get("fieldsV1") or {}, moved.get("fieldsV1") or {})}
        found[key] = moved
    return list(found.values())


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    shared = {name: _union(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **shared}
