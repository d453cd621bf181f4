"""Record which objects belong to a resource: hints where to look, proven by labels and annotations on the objects.

The hints are written before the first object, so that after a crash every object can be found again. Anyone who may
edit the object that holds the hints can change them, so only the labels and annotations on the objects are proof.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http
import importlib.metadata
from typing import TYPE_CHECKING, Any, Final, Literal, final

import orjson
import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import applying
from lostromos_core.kube.ownership import claims, inventory_hints, job_runs, releasing
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import api_errors, media_types, operations, paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from lostromos_core.kube import cluster

Finalizer = Literal["auto", "always", "never"]
_TRIES: Final = 3
"""Attempts to claim a resource that changes meanwhile."""
_log = structlog.get_logger("lostromos.inventory")


@final
class ParentInventory:
    """Keep the hints as labels and annotations on the resources, which are Kubernetes objects.

    ``finalizer``: ``auto`` adds one to a resource if garbage collection could not clean up after it (objects in
    other namespaces, or cluster-scoped ones); ``always`` adds it to every resource, ``never`` to none.
    """

    of_kubernetes = True

    def __init__(self, runtime: interfaces.Runtime, *, finalizer: Finalizer) -> None:
        self._kube: cluster.Cluster = runtime.kube
        self._controller = runtime.controller
        self._claims = claims.Claims(self._kube, runtime.controller, runtime.operator)
        self._finalizer = finalizer
        self._written: dict[str, tuple[str, int, bytes]] = {}

    def hints(self, owner: interfaces.Resource) -> inventory_hints.Hints:
        """Return the hints on a resource; see ``hints_of``."""
        return hints_of(owner)

    async def written(self, owner: interfaces.Resource) -> inventory_hints.Hints:
        """Return the hints that our field managers still own on the live object: a change by others takes ownership."""
        ref = owner.ref
        served = await self._kube.discovery.kind(ref.api_version, ref.kind)
        path = paths.item(ref.api_version, served.plural, ref.namespace, ref.name)
        metadata = await operations.read(self._kube, path, str(ref))
        if metadata is None or metadata.get("uid") != owner.uid:
            return inventory_hints.Hints()
        return _hints_of_managers(owner, metadata, f"{labels.MANAGER}{self._controller}")

    async def claim(
        self,
        owner: interfaces.Resource,
        kinds: Collection[inventory_hints.GroupKind],
        namespaces: Collection[str],
        *,
        finalizer: bool,
    ) -> None:
        """Write the hints in one patch, unless they are up to date; hints that were removed are restored.

        A resource that has changed since it was read, even by our own report, is read again: it may be claimed by now.
        """
        for _ in range(_TRIES - 1):
            try:
                return await self._claim(owner, kinds, namespaces, finalizer=finalizer)
            except errors.ApiError as error:
                if error.status != http.HTTPStatus.CONFLICT or error.reason == api_errors.UID_MISMATCH:
                    raise
                live = await operations.read(self._kube, await self._path(owner.ref), str(owner.ref))
                if live is None or live["uid"] != owner.uid or "deletionTimestamp" in live:
                    raise
                owner = dataclasses.replace(owner, data={**owner.data, "metadata": live})
        return await self._claim(owner, kinds, namespaces, finalizer=finalizer)

    async def _claim(
        self,
        owner: interfaces.Resource,
        kinds: Collection[inventory_hints.GroupKind],
        namespaces: Collection[str],
        *,
        finalizer: bool,
    ) -> None:
        await self._claims.refuse_claimed(owner)
        wanted = self._marks(owner, kinds, set(namespaces) - {owner.ref.namespace}, finalizer=finalizer)
        if covers(owner.metadata, wanted):
            self._written.pop(owner.key, None)
            return
        digest = hashlib.blake2b(orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS), digest_size=12).digest()
        uid, version, written = self._written.get(owner.key, ("", 0, b""))
        if (uid, written) == (owner.uid, digest) and tracked_objects.number(
            owner.metadata.get("resourceVersion")
        ) < version:
            return
        answer = await self._patch_marks(owner, wanted)
        self._written[owner.key] = owner.uid, tracked_objects.number(answer.get("resourceVersion")), digest

    def holds(self, owner: interfaces.Resource) -> bool:
        """Return whether a resource has the finalizer, or will get it in any case."""
        there = labels.FINALIZER in (owner.metadata.get("finalizers") or ())
        return self._finalizer == "always" or (self._finalizer == "auto" and there)

    async def release(self, owner: interfaces.Resource) -> None:
        """Remove our labels, annotations and finalizer from a resource."""
        self.forget(owner.key)
        await releasing.release(self._kube, owner.ref, owner.uid, owner.metadata)

    async def recall(self, key: str) -> interfaces.Resource | None:  # noqa: ARG002 - required by the protocol
        """Return None: the hints are deleted together with their resource."""
        return None

    async def remembered(self) -> list[str]:
        """Return an empty list: the hints are deleted together with their resource."""
        return []

    async def is_gone(self, group: str, kind: str, key: str) -> bool:
        """Return whether no object of this name exists, or its kind was removed from the cluster; raises ApiError."""
        found = await self._kube.discovery.by_group_kind(group, kind)
        if found is None:
            return await self._kube.removals.is_removed(group, kind)
        namespace, name = interfaces.split_key(key)
        path = paths.item(found.api_version, found.plural, namespace, name)
        return await operations.find(self._kube, path, f"{kind} {key}") is None

    def forget(self, key: str) -> None:
        """Forget a resource that is gone."""
        self._written.pop(key, None)

    def ran(self, owner: interfaces.Resource) -> Collection[str]:
        """Return the Jobs in the annotation of a resource."""
        return job_runs.read(owner.metadata)

    async def remember_ran(self, owner: interfaces.Resource, names: Collection[str]) -> None:
        """Write the Jobs to the annotation in one patch."""
        ref = owner.ref
        about = {"name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {}), "uid": owner.uid}
        body = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": about}
        await job_runs.write(self._kube, await self._path(ref), body, names, self._controller)

    async def _path(self, ref: interfaces.ObjectRef) -> str:
        kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
        return paths.item(ref.api_version, kind.plural, ref.namespace, ref.name)

    def _marks(
        self,
        owner: interfaces.Resource,
        kinds: Iterable[inventory_hints.GroupKind],
        namespaces: set[str],
        *,
        finalizer: bool,
    ) -> Mapping[str, Any]:
        """Return the desired metadata of a resource."""
        wanted: dict[str, Any] = hint_marks(owner.ref, self._claims, kinds, namespaces)
        there = labels.FINALIZER in (owner.metadata.get("finalizers") or ())
        if self._finalizer == "always" or (self._finalizer == "auto" and (finalizer or there)):
            wanted["finalizers"] = [labels.FINALIZER]
        return wanted

    async def _patch_marks(self, owner: interfaces.Resource, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Apply metadata once, and return the result; the uid keeps the apply from recreating a deleted resource."""
        ref = owner.ref
        metadata = {"name": ref.name, "uid": owner.uid, **wanted}
        if not self._claims.is_ours(owner.metadata):  # of two operators that claim it at once, one is refused
            metadata["resourceVersion"] = owner.metadata["resourceVersion"]
        if ref.namespace:
            metadata["namespace"] = ref.namespace
        answer = await applying.apply(
            self._kube,
            await self._path(ref),
            action=f"mark {ref}",
            query=operations.apply_query(f"{labels.MANAGER}{self._controller}{labels.MARKING}", force=True),
            body={"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata},
            accept=media_types.METADATA_ONLY,
        )
        found: Mapping[str, Any] = answer["metadata"]
        return found


def hints_of(owner: interfaces.Resource) -> inventory_hints.Hints:
    """Return the hints in the annotations and in the status: permission to edit one may not include the other."""
    annotations = owner.metadata.get("annotations") or {}
    listed = owner.status.get("resources")
    objects = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    kinds = set(labels.group_kinds(annotations.get(labels.GROUP_KINDS)))
    kinds |= {(interfaces.group_of(str(one.get("apiVersion", ""))), str(one.get("kind", ""))) for one in objects}
    namespaces = {*labels.split(annotations.get(labels.NAMESPACES)), owner.ref.namespace}
    namespaces |= {str(one.get("namespace") or "") for one in objects}
    return inventory_hints.Hints(frozenset(kinds), frozenset(namespaces - {""}))


def _hints_of_managers(owner: interfaces.Resource, metadata: Mapping[str, Any], manager: str) -> inventory_hints.Hints:
    """Return the hints that our field managers own: annotations, and the list in the status."""
    annotations, status = metadata.get("annotations") or {}, owner.status
    trusted: dict[str, str] = {}
    in_status = False
    for entry in metadata.get("managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        if entry.get("manager") == f"{manager}{labels.MARKING}":
            owned = (fields.get("f:metadata") or {}).get("f:annotations") or {}
            keys = [
                key for key in (labels.GROUP_KINDS, labels.NAMESPACES) if f"f:{key}" in owned and key in annotations
            ]
            trusted |= {key: annotations[key] for key in keys}
        elif entry.get("manager") == f"{manager}/status":
            in_status = in_status or "f:resources" in (fields.get("f:status") or {})
    data = {"metadata": {"annotations": trusted}, "status": status if in_status else None}
    return hints_of(dataclasses.replace(owner, data=data))


def hint_marks(
    ref: interfaces.ObjectRef,
    own: claims.Claims,
    kinds: Iterable[inventory_hints.GroupKind],
    namespaces: Collection[str],
) -> dict[str, Any]:
    """Return the labels and annotations of an ApplySet's parent."""
    annotations = {
        labels.TOOLING: _tooling(),
        **own.marks(),
        labels.GROUP_KINDS: ",".join(sorted(f"{kind}.{group}" if group else kind for group, kind in kinds)),
    }
    if namespaces:
        annotations[labels.NAMESPACES] = ",".join(sorted(namespaces))
    return {"labels": {labels.SET_ID: labels.set_id(ref)}, "annotations": annotations}


def belongs_to(metadata: Mapping[str, Any], owner: interfaces.ObjectRef) -> bool:
    """Return whether an object names this owner, and has its label or was applied by us (the label was lost)."""
    written = labels.read_owner((metadata.get("annotations") or {}).get(labels.OWNER, ""))
    if written is None or labels.set_id(written[0]) != labels.set_id(owner):
        return False
    if (metadata.get("labels") or {}).get(labels.PART_OF) == labels.set_id(owner):
        return True
    return any(
        str(entry.get("manager", "")).startswith(labels.MANAGER) for entry in metadata.get("managedFields") or ()
    )


@functools.cache
def _tooling() -> str:
    return f"lostromos/{importlib.metadata.version('lostromos-core')}"


def covers(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether metadata has all desired labels, annotations and finalizers; hints may contain more."""
    if (metadata.get("labels") or {}).get(labels.SET_ID) != wanted["labels"][labels.SET_ID]:
        return False
    there = metadata.get("annotations") or {}
    for key, value in wanted["annotations"].items():
        if key in {labels.GROUP_KINDS, labels.NAMESPACES}:
            if not set(labels.split(value)) <= set(labels.split(there.get(key))):
                return False
        elif there.get(key) != value:
            return False
    return set(wanted.get("finalizers", ())) <= set(metadata.get("finalizers") or ())


_inventory: type[inventory_hints.Inventory] = ParentInventory
