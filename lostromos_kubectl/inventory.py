"""Which objects belong to which resource: written on the resource as hints, proven by the marks on the objects.

The hints say where to look, and are written before the first object is, so that a crash leaves nothing that cannot
be found again. Whoever may edit the resource can change them, so what counts is what the objects themselves carry.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
from typing import TYPE_CHECKING, Any, Final, Literal, final

import orjson

from lostromos_core import errors, interfaces
from lostromos_core.kube import client, marks, paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from lostromos_core.kube import discovery
    from lostromos_kubectl import desired as desired_

Finalizer = Literal["auto", "always", "never"]
NOT_FOUND: Final = 404
CONFLICT: Final = 409
_TRIES: Final = 3


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Child:
    """An object on the cluster that carries an owner's marks."""

    ref: interfaces.ObjectRef
    plural: str
    uid: str
    version: str
    deleting: bool


@final
class ParentInventory:
    """The inventory of resources that are Kubernetes objects: the hints are labels and annotations on them.

    ``finalizer``: ``auto`` puts one on a resource if garbage collection could not clean up after it (objects in
    other namespaces, or cluster-scoped ones), ``always`` and ``never`` as they say.
    """

    def __init__(self, kube: client.Kube, controller: str, *, finalizer: Finalizer) -> None:
        self._kube = kube
        self._controller = controller
        self._finalizer = finalizer
        self._written: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._tooling = f"lostromos/{importlib.metadata.version('lostromos-core')}"

    async def claim(self, owner: interfaces.Resource, objects: Collection[desired_.Desired]) -> None:
        """Write on the resource what will belong to it, unless it is written there; before anything is created.

        Raises RefusedError if another controller looks after the resource.
        """
        claimant = marks.claimant(owner.metadata)
        if claimant not in {"", self._controller}:
            msg = (
                f"{owner.ref} is looked after by the controller {claimant!r} (annotation {marks.CONTROLLER}); make the "
                "two controllers' selections differ, or remove the annotation if that controller is gone"
            )
            raise errors.RefusedError(msg)
        wanted = self._marks(owner, objects)
        if _covers(owner.metadata, wanted) or self._written.get(owner.key) == (owner.uid, wanted):
            return
        await self._patch_marks(owner, wanted)
        self._written[owner.key] = (owner.uid, wanted)

    async def find(self, owner: interfaces.Resource) -> list[Child]:
        """All objects on the cluster that belong to a resource."""
        annotations = owner.metadata.get("annotations") or {}
        group_kinds = _split(annotations.get(marks.GROUP_KINDS))
        namespaces = _split(annotations.get(marks.NAMESPACES)) | ({owner.ref.namespace} - {""})
        lists = []
        for group_kind in sorted(group_kinds):
            name, _, group = group_kind.partition(".")
            kind = await self._kube.discovery.by_group_kind(group, name)
            if kind is not None:
                lists += [
                    self._list(owner, kind, namespace)
                    for namespace in (sorted(namespaces) if kind.namespaced else [""])
                ]
        found = await asyncio.gather(*lists)
        return [child for children in found for child in children]

    async def release(self, owner: interfaces.Resource) -> None:
        """Take our marks and the finalizer off a resource: nothing belongs to it any more."""
        self.forget(owner.key)
        kind = await self._kube.discovery.kind(owner.ref.api_version, owner.ref.kind)
        path = paths.item(owner.ref.api_version, kind.plural, owner.ref.namespace, owner.ref.name)
        metadata = owner.metadata
        for attempt in range(_TRIES):
            try:
                await self._kube.request_bytes(
                    "PATCH",
                    path,
                    action=f"release {owner.ref}",
                    body=_without_marks(metadata, owner.uid),
                    content_type=client.MERGE,
                    accept=client.METADATA_ONLY,
                )
            except errors.ApiError as error:
                if error.status == NOT_FOUND:
                    return
                if error.status != CONFLICT or attempt == _TRIES - 1:
                    raise
                live = await self._read(path, owner)
                if live is None:
                    return
                metadata = live
            else:
                return

    def forget(self, key: str) -> None:
        """The resource is gone."""
        self._written.pop(key, None)

    def needs_finalizer(self, owner: interfaces.Resource, objects: Iterable[desired_.Desired]) -> bool:
        """Whether the resource must not go before we have cleaned up after it."""
        if self._finalizer != "auto":
            return self._finalizer == "always"
        beyond = any(owner.ref.namespace not in {"", item.ref.namespace} for item in objects)
        return beyond or marks.FINALIZER in (owner.metadata.get("finalizers") or ())

    def _marks(self, owner: interfaces.Resource, objects: Collection[desired_.Desired]) -> Mapping[str, Any]:
        """The metadata that the resource must carry: hints are the union of those that are there and those needed."""
        annotations = owner.metadata.get("annotations") or {}
        kinds = {f"{item.ref.kind}.{item.ref.group}" if item.ref.group else item.ref.kind for item in objects}
        namespaces = {item.ref.namespace for item in objects} - {"", owner.ref.namespace}
        wanted: dict[str, Any] = {
            "labels": {marks.SET_ID: marks.set_id(owner.ref)},
            "annotations": {
                marks.TOOLING: self._tooling,
                marks.CONTROLLER: self._controller,
                marks.GROUP_KINDS: ",".join(sorted(kinds | _split(annotations.get(marks.GROUP_KINDS)))),
            },
        }
        namespaces |= _split(annotations.get(marks.NAMESPACES))
        if namespaces:
            wanted["annotations"][marks.NAMESPACES] = ",".join(sorted(namespaces))
        if self.needs_finalizer(owner, objects):
            wanted["finalizers"] = [marks.FINALIZER]
        return wanted

    async def _patch_marks(self, owner: interfaces.Resource, wanted: Mapping[str, Any]) -> None:
        """One apply, with the uid: without it, an apply to a resource that is gone would create it again."""
        ref = owner.ref
        kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
        metadata = {"name": ref.name, "uid": owner.uid, **wanted}
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        await self._kube.request_bytes(
            "PATCH",
            paths.item(ref.api_version, kind.plural, ref.namespace, ref.name),
            action=f"mark {ref}",
            query={"fieldManager": f"lostromos/{self._controller}", "force": "true"},
            body={"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata},
            content_type=client.APPLY,
            accept=client.METADATA_ONLY,
        )

    async def _list(self, owner: interfaces.Resource, kind: discovery.Kind, namespace: str) -> list[Child]:
        answer = await self._kube.request(
            "GET",
            paths.collection(kind.api_version, kind.plural, namespace),
            action=f"list what belongs to {owner.ref}",
            query={"labelSelector": f"{marks.PART_OF}={marks.set_id(owner.ref)}"},
            accept=client.METADATA_LIST,
        )
        children = []
        for item in answer.get("items") or []:
            metadata = item["metadata"]
            if belongs_to(metadata, owner.ref):
                ref = interfaces.ObjectRef(
                    kind.api_version, kind.name, metadata.get("namespace") or "", metadata["name"]
                )
                children.append(
                    Child(
                        ref, kind.plural, metadata["uid"], metadata["resourceVersion"], "deletionTimestamp" in metadata
                    )
                )
        return children

    async def _read(self, path: str, owner: interfaces.Resource) -> Mapping[str, Any] | None:
        """The live metadata of a resource, None if it is gone or another one has its name."""
        try:
            answer = await self._kube.request("GET", path, action=f"read {owner.ref}", accept=client.METADATA_ONLY)
        except errors.ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        metadata: Mapping[str, Any] = answer["metadata"]
        return metadata if metadata.get("uid") == owner.uid else None


def belongs_to(metadata: Mapping[str, Any], owner: interfaces.ObjectRef) -> bool:
    """Whether an object carries the marks of an owner: both the label and the annotation, which must agree."""
    if (metadata.get("labels") or {}).get(marks.PART_OF) != marks.set_id(owner):
        return False
    try:
        written = orjson.loads((metadata.get("annotations") or {}).get(marks.OWNER, ""))
    except orjson.JSONDecodeError:
        return False
    if not isinstance(written, dict):
        return False
    group = str(written.get("apiVersion", "")).rpartition("/")[0]
    found = (group, written.get("kind"), written.get("namespace"), written.get("name"))
    return found == (owner.group, owner.kind, owner.namespace, owner.name)


def _covers(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether metadata has all wanted marks."""
    for field in ("labels", "annotations"):
        there = metadata.get(field) or {}
        if any(there.get(key) != value for key, value in wanted[field].items()):
            return False
    return set(wanted.get("finalizers", ())) <= set(metadata.get("finalizers") or ())


def _without_marks(metadata: Mapping[str, Any], uid: str) -> dict[str, Any]:
    """A merge patch that removes our marks; refused by the server if the resource changed meanwhile."""
    patch: dict[str, Any] = {"uid": uid, "resourceVersion": metadata.get("resourceVersion", "")}
    patch["finalizers"] = [name for name in metadata.get("finalizers") or () if name != marks.FINALIZER]
    for field in ("labels", "annotations"):
        own = {key: None for key in metadata.get(field) or {} if key in marks.OWN_KEYS}
        if own:
            patch[field] = own
    return {"metadata": patch}


def _split(hints: object) -> set[str]:
    return {part for part in str(hints or "").split(",") if part}
