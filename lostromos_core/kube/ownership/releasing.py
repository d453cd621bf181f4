"""Release resources: remove our labels, annotations and finalizer, and change nothing else."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, Final

from lostromos_core import errors
from lostromos_core.kube import labels
from lostromos_core.kube.ownership import claims
from lostromos_core.kube.transport import media_types, operations, paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster

_TRIES: Final = 3


async def release(kube: cluster.Cluster, ref: interfaces.ObjectRef, uid: str, metadata: Mapping[str, Any]) -> None:
    """Remove our labels, annotations and finalizer from an object; raises ApiError."""
    kind = await kube.discovery.kind(ref.api_version, ref.kind)
    path = paths.item(ref.api_version, kind.plural, ref.namespace, ref.name)
    for attempt in range(_TRIES):
        try:
            await kube.request_bytes(
                "PATCH",
                path,
                action=f"release {ref}",
                body=_without_marks(metadata, uid),
                content_type=media_types.MERGE,
                accept=media_types.METADATA_ONLY,
            )
        except errors.ApiError as error:
            if await operations.is_gone(kube, path, uid, error):
                return
            if operations.lacks_kind(error):
                kube.discovery.forget(ref.api_version, ref.kind)
                if await kube.removals.is_removed(ref.group, ref.kind):
                    return
            if error.status != http.HTTPStatus.CONFLICT or attempt == _TRIES - 1:
                raise
            live = await operations.read(kube, path, str(ref))
            if live is None or live.get("uid") != uid or claims.read(live) != claims.read(metadata):
                return  # it is gone, or another controller has claimed it meanwhile
            metadata = live
        else:
            return


def _without_marks(metadata: Mapping[str, Any], uid: str) -> dict[str, Any]:
    """Return a merge patch that removes our metadata; the server rejects it if the resource has changed meanwhile."""
    patch: dict[str, Any] = {"uid": uid, "resourceVersion": metadata.get("resourceVersion", "")}
    patch["finalizers"] = [name for name in metadata.get("finalizers") or () if name != labels.FINALIZER]
    for field in ("labels", "annotations"):
        own = {key: None for key in metadata.get(field) or {} if key in labels.OWN_KEYS}
        if own:
            patch[field] = own
    return {"metadata": patch}
