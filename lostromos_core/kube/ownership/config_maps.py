"""Keep the inventory of resources that are not Kubernetes objects: one ConfigMap each."""

from __future__ import annotations

import dataclasses
import hashlib
import http
from typing import TYPE_CHECKING, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.ownership import claims, inventory, inventory_hints, job_runs
from lostromos_core.kube.transport import media_types, operations, paths
from lostromos_core.kube.watching import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from lostromos_core.kube import cluster


def choose(runtime: interfaces.Runtime, *, namespace: str, finalizer: inventory.Finalizer) -> inventory_hints.Inventory:
    """Return an inventory in ConfigMaps of a namespace or, if it is empty, on the resources themselves."""
    if namespace:
        made = ConfigMapInventory(runtime, namespace)
        runtime.kube.background(made.watch, name=f"watch the inventory in {namespace}")
        return made
    return inventory.ParentInventory(runtime, finalizer=finalizer)


@final
class ConfigMapInventory:
    """Keep one ConfigMap per resource that is not a Kubernetes object, all in one namespace.

    ``data.resource`` identifies the resource, so that its objects can be deleted when the source no longer has it.
    """

    of_kubernetes = False

    def __init__(self, runtime: interfaces.Runtime, namespace: str) -> None:
        self._kube: cluster.Cluster = runtime.kube
        self._controller = runtime.controller
        self._claims = claims.Claims(self._kube, runtime.controller, runtime.operator)
        self._enqueue = runtime.enqueue
        self._namespace = namespace
        self._seen: dict[str, Mapping[str, Any]] = {}

    async def watch(self) -> None:
        """Watch for deleted ConfigMaps: they are written again while their resource exists."""

        async def path() -> str:
            return paths.collection("v1", "configmaps", self._namespace)

        accept = media_types.METADATA_ONLY, media_types.METADATA_LIST
        what = f"ConfigMaps in {self._namespace}"
        await watch.Watch(self._kube, path, _Handler(self._lost), what=what, labels=labels.SET_ID, accept=accept).run()

    def _lost(self, name: str) -> None:
        for key in [key for key in self._seen if self._name(key) == name]:
            del self._seen[key]
            self._enqueue(key)

    def hints(self, owner: interfaces.Resource) -> inventory_hints.Hints:
        """Return the hints in the ConfigMap's annotations, if it has been read or written."""
        annotations = (self._seen.get(owner.key) or {}).get("annotations") or {}
        kinds = frozenset(labels.group_kinds(annotations.get(labels.GROUP_KINDS)))
        return inventory_hints.Hints(kinds, frozenset(labels.split(annotations.get(labels.NAMESPACES))))

    async def written(self, owner: interfaces.Resource) -> inventory_hints.Hints:
        """Return all hints: only the operator should have write access to the namespace of the inventory."""
        return self.hints(owner)

    async def claim(
        self,
        owner: interfaces.Resource,
        kinds: Collection[inventory_hints.GroupKind],
        namespaces: Collection[str],
        *,
        finalizer: bool,  # noqa: ARG002 - the ConfigMap stays until we delete it
    ) -> None:
        """Write the ConfigMap, unless it is up to date."""
        there = await self._metadata(owner.key)
        if there is not None:
            await self._claims.refuse_claimed(dataclasses.replace(owner, data={"metadata": there}))
        remembered = self.hints(owner)
        wanted = inventory.hint_marks(
            owner.ref, self._claims, {*kinds, *remembered.kinds}, {*namespaces, *remembered.namespaces}
        )
        if there is not None and inventory.covers(there, wanted):
            return
        data = {"resource": labels.owner_value(owner)}
        metadata = {"name": self._name(owner.key), **wanted}
        if there is None:
            metadata["resourceVersion"] = "1"  # only create it: of two operators that claim it at once, one is refused
        elif not self._claims.is_ours(there):
            metadata["resourceVersion"] = there["resourceVersion"]
        self._seen.pop(owner.key, None)  # the cached metadata is outdated, whatever the response is
        answer = await self._kube.request(
            "PATCH",
            self._path(owner.key),
            action=f"remember {owner.ref}",
            query=operations.apply_query(f"{labels.MANAGER}{self._controller}", force=True),
            body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
            content_type=media_types.APPLY,
            accept=media_types.METADATA_ONLY,
        )
        self._seen[owner.key] = answer["metadata"]

    def holds(self, owner: interfaces.Resource) -> bool:  # noqa: ARG002 - required by the protocol
        """Return True: the ConfigMap outlives the resource."""
        return True

    async def release(self, owner: interfaces.Resource) -> None:
        """Delete the ConfigMap, if it is ours."""
        there = await self._metadata(owner.key)
        if there is not None and self._is_remembered(there):
            await operations.delete(self._kube, self._path(owner.key), there["uid"], action=f"forget {owner.ref}")
        self.forget(owner.key)

    async def recall(self, key: str) -> interfaces.Resource | None:
        """Return the resource that a ConfigMap of ours identifies; None without one."""
        try:
            found = await self._kube.request("GET", self._path(key), action=f"recall {key}")
        except errors.ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise
        self._seen[key] = found["metadata"]
        written = labels.read_owner((found.get("data") or {}).get("resource", ""))
        if written is None or not self._is_remembered(found["metadata"]):
            return None
        return interfaces.Resource(key, written[0], "", {"metadata": found["metadata"]}, deleting=True)

    async def remembered(self) -> list[str]:
        """Return the keys of all resources that this controller keeps a ConfigMap for."""
        path = paths.collection("v1", "configmaps", self._namespace)
        query = {"labelSelector": labels.SET_ID}
        answer = await self._kube.request("GET", path, action="recall what was applied", query=query)
        found = []
        for item in answer.get("items") or ():
            written = labels.read_owner((item.get("data") or {}).get("resource", ""))
            if written is not None and self._is_remembered(item["metadata"]):
                found.append(written[1])
        return found

    def _is_remembered(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a ConfigMap is ours; one from an earlier version does not name an operator."""
        return self._claims.is_free(metadata) and claims.read(metadata).controller == self._controller

    async def is_gone(self, group: str, kind: str, key: str) -> bool:  # noqa: ARG002 - required by the protocol
        """Return whether a resource has no ConfigMap."""
        return await self._metadata(key) is None

    def forget(self, key: str) -> None:
        """Remove a resource from memory."""
        self._seen.pop(key, None)

    def ran(self, owner: interfaces.Resource) -> Collection[str]:
        """Return the Jobs in the ConfigMap's annotation, if it has been read or written."""
        return job_runs.read(self._seen.get(owner.key) or {})

    async def remember_ran(self, owner: interfaces.Resource, names: Collection[str]) -> None:
        """Write the Jobs to the ConfigMap, if it exists."""
        there = await self._metadata(owner.key)
        if there is not None:
            about = {"name": self._name(owner.key), "uid": there["uid"]}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}
            self._seen[owner.key] = await job_runs.write(
                self._kube, self._path(owner.key), body, names, self._controller
            )

    async def _metadata(self, key: str) -> Mapping[str, Any] | None:
        if key not in self._seen:
            found = await operations.read(self._kube, self._path(key), f"ConfigMap {self._name(key)}")
            if found is None:
                return None
            self._seen[key] = found
        return self._seen[key]

    def _name(self, key: str) -> str:
        return f"lostromos-{self._controller}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"

    def _path(self, key: str) -> str:
        return paths.item("v1", "configmaps", self._namespace, self._name(key))


@final
class _Handler:
    """Handle deleted ConfigMaps; ignore all other events."""

    def __init__(self, lost: Callable[[str], None]) -> None:
        self._lost = lost

    def changed(self, item: dict[str, Any]) -> None:
        """Ignore a ConfigMap that was added or modified."""

    def gone(self, namespace: str, name: str) -> None:  # noqa: ARG002 - required by the protocol
        self._lost(name)

    def broken(self, metadata: Mapping[str, Any], reason: str) -> None:
        """Ignore a ConfigMap that cannot be decoded."""

    def synced(self) -> None:
        """Ignore the end of the first list."""

    def trouble(self, error: errors.ApiError | None) -> None:
        """Ignore errors: without the permission to watch, deletions are noticed at the next start."""


_inventory: type[inventory_hints.Inventory] = ConfigMapInventory
