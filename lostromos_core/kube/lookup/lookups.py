"""Implement ``lookup`` for one controller: check access, track reads, and enqueue resources on changes."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.lookup import lookup_cache
from lostromos_core.kube.tracking import tracked_objects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from lostromos_core.kube import cluster

ROUNDS: Final = 20
"""Maximum number of renderings of a resource, if each looks up another object."""
NO_SUCH_KIND: Final = 5.0
"""Seconds between two discoveries of a kind that the cluster does not serve."""


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Define what templates may look up besides the resource's own objects and its namespace.

    ``namespaces``: other namespaces (``*``: all); ``secrets``: Secrets, wherever other objects are allowed;
    ``cluster_scoped``: cluster-scoped objects.
    """

    namespaces: Sequence[str] = ()
    secrets: bool = False
    cluster_scoped: bool = False

    def refuse(self, ref: interfaces.ObjectRef) -> None:
        """Raise RefusedError if an object may never be looked up."""
        if (ref.group, ref.kind) == ("", "Secret") and not self.secrets:
            msg = f"lookup of {ref}: Secrets may be looked up only if the controller sets `lookup: {{secrets: true}}`"
            raise errors.RefusedError(msg)

    def allows(self, resource: interfaces.Resource, ref: interfaces.ObjectRef, item: Mapping[str, Any] | None) -> bool:
        """Return whether a resource may see an object: its namespace is allowed, or it belongs to the resource."""
        if ref.namespace in {resource.ref.namespace, *self.namespaces} - {""} or (
            ref.namespace and "*" in self.namespaces
        ):
            return True
        if not ref.namespace and self.cluster_scoped:
            return True
        return item is not None and _is_own(resource, ref, item)


def _is_own(resource: interfaces.Resource, ref: interfaces.ObjectRef, item: Mapping[str, Any]) -> bool:
    kind = discovery.Kind(ref.api_version, ref.kind, "", bool(ref.namespace), frozenset(), frozenset())
    found = tracked_objects.read(kind, item.get("metadata") or {})
    return found is not None and found[0].owner == labels.set_id(resource.ref)


@final
class Lookups:
    """Track the objects that the resources of one controller look up."""

    def __init__(self, runtime: interfaces.Runtime, policy: Policy) -> None:
        self._kube: cluster.Cluster = runtime.kube
        self._objects = self._kube.shared(lookup_cache.LookupCache)
        self._runtime = runtime
        self._policy = policy
        self._reads: dict[str, set[interfaces.ObjectRef]] = {}
        self._awaited: dict[tuple[str, str], set[str]] = {}

    async def render(
        self,
        resource: interfaces.Resource,
        render: Callable[[Finder], interfaces.Rendered | Awaitable[interfaces.Rendered]],
    ) -> interfaces.Rendered:
        """Render until all looked-up objects are known; from then on, their changes enqueue the resource."""
        for _ in range(ROUNDS):
            finder = Finder(self, resource)
            made = render(finder)
            rendered = await made if inspect.isawaitable(made) else made
            if not finder.unknown:
                self._remember(resource.key, rendered.reads)
                return rendered
            await asyncio.gather(*(self._load(resource.key, ref) for ref in finder.unknown))
        msg = f"each of {ROUNDS} renderings looked up something new; look up less"
        raise errors.RenderError(msg, pure=False)

    def forget(self, key: str) -> None:
        """Forget a resource that is gone."""
        self._remember(key, ())
        for waiting in self._awaited.values():
            waiting.discard(key)

    def find(self, resource: interfaces.Resource, ref: interfaces.ObjectRef) -> tuple[bool, Mapping[str, Any] | None]:
        """Return whether an object's state is known, and the object if the resource may see it."""
        self._policy.refuse(ref)
        kind = self._kube.discovery.known(ref.api_version, ref.kind)
        if kind is None:
            absent = self._kube.discovery.is_absent(ref.api_version, ref.kind)
            if absent:
                self._await(ref, resource.key)
            return absent, None
        known, item = self._objects.known(kind, self._scope(kind, ref), _place(kind, ref))
        real = ref if kind.namespaced else dataclasses.replace(ref, namespace="")
        if not known or self._policy.allows(resource, real, item):
            if why := self._objects.why_not(kind, self._scope(kind, ref), _place(kind, ref)):
                raise errors.RefusedError(f"lookup of {real}: {why}")
            return known, item
        msg = (
            f"{real} does not exist yet, or is not one of the resource's own objects; see `lookup` in the configuration"
        )
        raise errors.NotYetError(msg, of=ref)

    async def _load(self, key: str, ref: interfaces.ObjectRef) -> None:
        try:
            kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
        except discovery.NoSuchKindError:
            self._await(ref, key)
            return
        self._reads.setdefault(key, set()).add(ref)
        await self._objects.load(kind, self._scope(kind, ref), _place(kind, ref), self._listener(key))

    def _await(self, ref: interfaces.ObjectRef, key: str) -> None:
        """Enqueue a resource when the cluster serves a kind; one task polls for all waiting resources."""
        kind = ref.api_version, ref.kind
        waiting = self._awaited.get(kind)
        if waiting is None:
            waiting = self._awaited[kind] = set()
            looking = functools.partial(self._until_served, kind, waiting)
            self._kube.background(looking, name=f"look for the kind {ref.kind}")
        waiting.add(key)

    async def _until_served(self, kind: tuple[str, str], waiting: set[str]) -> None:
        while waiting:
            await asyncio.sleep(NO_SUCH_KIND)
            try:
                await self._kube.discovery.kind(*kind)
            except errors.LostromosError:
                continue
            break
        del self._awaited[kind]
        for key in waiting:
            self._runtime.enqueue(key)

    def _remember(self, key: str, reads: Iterable[interfaces.ObjectRef]) -> None:
        """Remove the listeners of objects that are no longer looked up."""
        now = set(reads)
        for ref in self._reads.get(key, set()) - now:
            kind = self._kube.discovery.known(ref.api_version, ref.kind)
            if kind is not None:
                self._objects.leave(kind, self._scope(kind, ref), _place(kind, ref), self._listener(key))
        if now:
            self._reads[key] = now
        else:
            self._reads.pop(key, None)

    def _scope(self, kind: discovery.Kind, ref: interfaces.ObjectRef) -> str:
        return ref.namespace if kind.namespaced and self._runtime.namespaces else ""

    def _listener(self, key: str) -> tuple[Callable[[str], None], str]:
        return self._runtime.enqueue, key


def among(
    given: Iterable[Mapping[str, Any]], resource: interfaces.Resource, policy: Policy
) -> Callable[[interfaces.ObjectRef], Mapping[str, Any] | None]:
    """Return a function that looks up objects in the given plain data instead of a cluster."""
    there = {}
    for item in given:
        metadata = item.get("metadata") or {}
        group = interfaces.group_of(str(item.get("apiVersion", "")))
        there[group, item.get("kind"), metadata.get("namespace") or "", metadata.get("name")] = item

    def find(ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        policy.refuse(ref)
        item = there.get(ref.key)
        if item is None:
            item = there.get((ref.group, ref.kind, "", ref.name))
            ref = ref if item is None else dataclasses.replace(ref, namespace="")
        return item if item is None or policy.allows(resource, ref, item) else None

    return find


@final
class Finder:
    """Look up objects on behalf of one resource, and collect those that have to be loaded first."""

    def __init__(self, lookups: Lookups, resource: interfaces.Resource) -> None:
        self.unknown: set[interfaces.ObjectRef] = set()
        self._find = functools.partial(lookups.find, resource)

    def __call__(self, ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        """Return the object, None if it does not exist; raises NotYetError, RefusedError."""
        known, item = self._find(ref)
        if not known:
            self.unknown.add(ref)
            raise errors.NotYetError(f"{ref} is being read")
        return item


def _place(kind: discovery.Kind, ref: interfaces.ObjectRef) -> tuple[str, str]:
    return ref.namespace if kind.namespaced else "", ref.name
