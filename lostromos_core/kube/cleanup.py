"""Cleaning up after an operator that is gone: resources that still carry its marks are found, and let go.

Nothing is guessed: what counts as claimed says so in the annotation of its claimant, or carries our finalizer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import client as clients
from lostromos_core.kube import marks, members, paths, releasing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from lostromos_core.kube import client, discovery

PAGE = 500


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Claimed:
    """A resource that somebody looks after, or looked after. ``claimant`` is empty if it does not say who."""

    ref: interfaces.ObjectRef
    uid: str
    claimant: str
    metadata: Mapping[str, Any]

    @property
    def has_finalizer(self) -> bool:
        """Whether it cannot go while nobody removes our finalizer."""
        return marks.FINALIZER in (self.metadata.get("finalizers") or ())


async def find(kube: client.Kube, kind: discovery.Kind, namespace: str = "") -> AsyncIterator[Claimed]:
    """All resources of a kind that carry our marks, or our finalizer only; raises ApiError."""
    path = paths.collection(kind.api_version, kind.plural, namespace if kind.namespaced else "")
    async for metadata in _pages(kube, path, f"look for {kind.plural}", {}):
        found = Claimed(
            interfaces.ObjectRef(kind.api_version, kind.name, metadata.get("namespace") or "", metadata["name"]),
            metadata.get("uid", ""),
            marks.claimant(metadata),
            metadata,
        )
        if found.claimant or found.has_finalizer:
            yield found


async def let_go(kube: client.Kube, claimed: Claimed) -> None:
    """Take our marks and the finalizer off a resource; its objects stay."""
    await releasing.release(kube, claimed.ref, claimed.uid, claimed.metadata)


async def objects_of(kube: client.Kube, claimed: Claimed) -> list[members.Child]:
    """The objects that were applied for a resource, as its hints say where to look."""
    annotations = claimed.metadata.get("annotations") or {}
    found = []
    for text in str(annotations.get(marks.GROUP_KINDS, "")).split(","):
        name, _, group = text.partition(".")
        kind = await kube.discovery.by_group_kind(group, name) if name else None
        if kind is None:
            continue
        query = {"labelSelector": f"{marks.PART_OF}={marks.set_id(claimed.ref)}"}
        path = paths.collection(kind.api_version, kind.plural)
        async for metadata in _pages(kube, path, f"list the objects of {claimed.ref}", query):
            read = members.read(kind, metadata)
            if read is not None and read[0].ours:
                found.append(read[0])
    return found


async def delete(kube: client.Kube, child: members.Child) -> None:
    """Delete one object, and only this one."""
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": child.uid}}
    try:
        await kube.request_bytes("DELETE", child.path, action=f"delete {child.ref}", body=body)
    except errors.ApiError as error:
        if error.status not in {releasing.NOT_FOUND, releasing.CONFLICT}:
            raise


async def _pages(
    kube: client.Kube, path: str, action: str, query: Mapping[str, str]
) -> AsyncIterator[Mapping[str, Any]]:
    """The metadata of all objects of a collection."""
    now = {**query, "limit": str(PAGE)}
    while True:
        answer = await kube.request("GET", path, action=action, query=now, accept=clients.METADATA_LIST)
        for metadata in _metadata(answer):
            yield metadata
        now["continue"] = (answer.get("metadata") or {}).get("continue") or ""
        if not now["continue"]:
            return


def _metadata(answer: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - an API answer
    return (item["metadata"] for item in answer.get("items") or ())
