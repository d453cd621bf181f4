"""Apply (server-side) to objects whose managed fields name a version that their definition no longer has.

The API server converts an object into each version that a field manager has used, and rejects the apply if one of
them is gone, though nothing else is wrong. An update may rewrite the entries, as storage version migrators do.
Source: https://github.com/kubernetes/kubernetes/issues/111937; measured on Kubernetes 1.37.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.managed_fields import field_sets
from lostromos_core.kube.transport import media_types, operations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from lostromos_core.kube import cluster

_GONE: Final = re.compile(r"request to convert CR to an invalid group/version: ([^\s,;]+)")
_log = structlog.get_logger("lostromos.kube")


async def is_mended(
    kube: cluster.Cluster, path: str, error: errors.ApiError, api_version: str, kind: str, *, action: str
) -> bool:
    """Repair an object if an apply failed due to a version that is gone; return whether to retry. Raises ApiError.

    Rewrites all entries that name such versions to ``api_version`` at once, since the API server drops changes to
    managed fields as long as one of them cannot be converted. A dry run cannot repair anything.
    """
    gone = _GONE.search(error.message)
    if gone is None or kube.dry_run:
        return False
    live = await operations.read(kube, path, "the managed fields")
    entries = (live or {}).get("managedFields") or ()
    old = {gone[1]} | await _not_served(kube, entries, gone[1], kind)
    rewritten = rewrite(entries, old, api_version)
    if live is None or rewritten == list(entries):
        return False
    metadata = {"uid": live["uid"], "resourceVersion": live["resourceVersion"], "managedFields": rewritten}
    answer = await kube.request(
        "PATCH",
        path,
        action=f"{action}: rewrite managed fields of {gone[1]}",
        body={"metadata": metadata},
        content_type=media_types.MERGE,
        accept=media_types.METADATA_ONLY,
    )
    if old & {entry.get("apiVersion") for entry in answer["metadata"].get("managedFields") or ()}:
        return False
    _log.info("managed fields of versions that are gone were rewritten", what=action, gone=sorted(old), now=api_version)
    return True


async def _not_served(kube: cluster.Cluster, entries: Iterable[Mapping[str, Any]], gone: str, kind: str) -> set[str]:
    """Return the versions of a kind that entries name, but that are not currently served. Raises ApiError."""
    group = interfaces.group_of(gone)
    kube.discovery.forget(gone, kind)
    await kube.discovery.by_group_kind(group, kind)
    named = {str(entry.get("apiVersion")) for entry in entries}
    return {one for one in named if interfaces.group_of(one) == group and kube.discovery.known(one, kind) is None}


def rewrite(entries: Iterable[Mapping[str, Any]], gone: Collection[str], now: str) -> list[Mapping[str, Any]]:
    """Return entries of managed fields with some versions replaced by one; entries that become equal are merged."""
    found: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for entry in entries:
        moved = {**entry, "apiVersion": now} if entry.get("apiVersion") in gone else entry
        version = "" if moved.get("operation") == "Apply" else str(moved.get("apiVersion"))
        key = *(str(moved.get(field) or "") for field in ("manager", "operation", "subresource")), version
        before = found.get(key)
        if before is not None:
            moved = {**moved, "fieldsV1": field_sets.union(before.get("fieldsV1") or {}, moved.get("fieldsV1") or {})}
        found[key] = moved
    return list(found.values())
