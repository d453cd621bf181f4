"""Manage the objects of an owner as one set: apply them as rendered, prune them, and delete them in reverse order.

The two appliers differ only in how they send objects. A watch on the metadata of the children tracks what exists, so an
object that is up to date costs no request, and a change to a child enqueues its owner.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import discovery, list_keys
from lostromos_core.kube.ownership import claims, inventory_hints
from lostromos_core.kube.tracking import children, tracked_objects
from lostromos_kubectl.objects import desired_objects, expiring, memory, needs, object_readiness
from lostromos_kubectl.pruning import census, deletion, finding, prune, pruning
from lostromos_kubectl.writing import rules, sending, writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core.kube import cluster

Action = interfaces.Action
_log = structlog.get_logger("lostromos.applier")
SWEEP: Final = 20.0
"""Seconds after the start until the search for owners that were deleted while they were not watched."""
LOOK_AGAIN: Final = 300.0
"""Seconds until a kind that could not be inspected is tried again."""
BREATH: Final = 100
"""Objects of one resource to prepare before yielding to other tasks."""
Results = dict[tracked_objects.Key, interfaces.ObjectResult]


@final
class ApplySets:
    """Manage the sets of all owners of one controller. ``wait``: an owner is ready when all of its objects are."""

    def __init__(
        self,
        runtime: interfaces.Runtime,
        sender: sending.Sender,
        inventory_: inventory_hints.Inventory,
        *,
        policy: rules.Policy,
        limits: prune.Limits,
        wait: bool,
    ) -> None:
        self._kube: cluster.Cluster = runtime.kube
        self._children = self._kube.shared(children.Children)
        self._runtime = runtime
        self._inventory = inventory_
        self._finder = finding.Finder(self._kube, inventory_, runtime.namespaces)
        self._claims = claims.Claims(self._kube, runtime.controller, runtime.operator)
        self._wait = wait
        self._known = memory.Memory(runtime.enqueue)
        self._writer = writer.Writer(self._kube, f"{labels.MANAGER}{runtime.controller}", sender, self._known, policy)
        self._budget = prune.Budget(limits, runtime.enqueue)
        self._census = census.Census()
        self._deleter = deletion.Deleter(self._kube)
        self._pruner = pruning.Pruner(runtime, self._deleter, self._budget, self._census)
        self._readiness = object_readiness.Readiness(self._kube)
        self._expiring = expiring.Expiring(inventory_)
        self._listening: set[tuple[str, str]] = set()
        if not inventory_.of_kubernetes:
            looking = functools.partial(
                inventory_hints.enqueue_forgotten, inventory_, self._known.__contains__, runtime.enqueue, after=SWEEP
            )
            self._kube.background(looking, name="sweep what is remembered")

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Manifests) -> interfaces.Applied:
        """Apply every object of a rendering, and prune those of earlier renderings that it no longer contains."""
        await self._claims.refuse_claimed(owner)
        self._listen(owner.ref)
        if owner.key not in self._census:
            self._census.add(owner.key, len(self._children.of(owner.ref)))
        objects, results = await self._prepare(owner, rendered)
        await self._watch(objects)
        owned, known = await self._recall(owner)
        keys = {item.key for item in objects} | {child.key for child in known} | owned.entries.keys()
        kinds, namespaces = {key[:2] for key in keys} | owned.unseen, {key[2] for key in keys} - {""}
        if owned.unseen:  # the objects may be in any remembered namespace
            namespaces |= self._inventory.hints(owner).namespaces
        beyond = any(owner.ref.namespace not in {"", key[2]} for key in keys)
        await self._inventory.claim(owner, kinds, namespaces, finalizer=beyond)
        self._expiring.recall(owner, owned)
        active, gone = self._expiring.split(objects, owned)
        results.update(gone)
        results.update(await self._apply_waves(active, owned, owner))
        await self._expiring.remember(owner, objects, owned, results)
        if all(result.action in _DONE for result in results.values()):
            units = {unit.name: bool(unit.waiting) for unit in rendered.units}
            results.update(await self._pruner.delete_unwanted(owner, owned, {item.key for item in objects}, units))
        if self._wait and all(result.action in _DONE for result in results.values()):
            results.update(await self._readiness.unready(active, owned))
        return interfaces.Applied(tuple(results.values()))

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        """Delete the objects of an owner that is being deleted, last applied first, then release the owner."""
        self._budget.settled(key)
        owner = owner or await self._inventory.recall(key)
        if owner is None:
            self._forget(key)
            return await self._sweep(key)
        self._listen(owner.ref)
        if not await self._claims.may_clean_up(owner, known=key in self._known):
            return interfaces.Applied()  # it was refused: another controller cleans up after it
        shall_stay = "orphan" in (owner.metadata.get("finalizers") or ())
        if not self._holds(owner) and not shall_stay:
            self._forget(key)
            return interfaces.Applied()
        children, unseen = await self._finder.find(owner)
        if unseen:
            raise finding.cannot_look(owner, unseen)
        found = {child.key: child for child in children}
        owned = self._known.leave(owner)
        for entry in owned.entries.values() if owned else ():
            if entry.child is not None:  # the watch may not have delivered it yet
                found.setdefault(entry.child.key, entry.child)
        results = await self._remove(owner.ref, list(found.values()), shall_stay=shall_stay)
        remaining = sum(result.action is Action.WAITING for result in results)
        if not results:
            await self._inventory.release(owner)
            self._forget(key)
        return interfaces.Applied(tuple(results), remaining)

    async def _remove(
        self, owner: interfaces.ObjectRef, found: Sequence[tracked_objects.TrackedObject], *, shall_stay: bool = False
    ) -> list[interfaces.ObjectResult]:
        """Delete the objects of an owner, or release them if it was deleted with ``kubectl delete --cascade=orphan``.

        By then, garbage collection has removed the owner references from all of them.
        """
        ours = [child for child in found if child.ours]
        referring = [child for child in ours if owner.namespace in {"", child.namespace} and not child.orphan]
        orphaned = self._inventory.of_kubernetes and referring and not any(child.owner_uid for child in referring)
        if not shall_stay and not orphaned:
            return await self._deleter.delete_all(ours)
        for child in ours:
            await self._deleter.let_go(child)
        return []

    def _listen(self, ref: interfaces.ObjectRef) -> None:
        """Listen to changes of the children of all owners of a kind, and search once for deleted owners."""
        kind = ref.group, ref.kind
        if kind not in self._listening:
            self._listening.add(kind)
            self._children.listen(*kind, self._known.notice, moved=self._known.moved)
            self._children.listen(*kind, self._census.notice)
            self._kube.background(functools.partial(self._look_for_orphans, *kind), name=f"sweep {ref.kind}")

    async def _look_for_orphans(self, group: str, kind: str) -> None:
        await asyncio.sleep(SWEEP)
        for key in self._children.owners(group, kind):
            if key not in self._known:
                self._runtime.enqueue(key)

    def _forget(self, key: str) -> None:
        self._known.forget(key)
        self._census.forget(key)

    def _holds(self, owner: interfaces.Resource) -> bool:
        """Return whether we have to clean up before an owner is deleted; garbage collection does the rest."""
        if "deletionTimestamp" not in owner.metadata:
            return True
        return labels.FINALIZER in (owner.metadata.get("finalizers") or ())

    async def _prepare(
        self, owner: interfaces.Resource, rendered: interfaces.Manifests
    ) -> tuple[list[desired_objects.Desired], Results]:
        """Return the objects to apply, and an initial result for each; those that cannot be applied have failed."""
        objects: list[desired_objects.Desired] = []
        results: Results = {}
        reference: desired_objects.Reference = "none"
        if self._inventory.of_kubernetes:
            reference = "plain" if self._inventory.holds(owner) else "blocking"
        every = ((unit.name, manifest) for unit in rendered.units for manifest in unit.manifests)
        for number, (name, manifest) in enumerate(every, 1):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            ref = manifest.ref
            try:
                kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
                keys = await self._kube.shared(list_keys.ListKeys).of(kind, manifest.data)
                item = desired_objects.prepare(manifest, name, owner, kind, reference=reference, keys=keys)
            except errors.RenderError:
                raise
            except errors.LostromosError as error:
                place = str(manifest.locate() or "")
                results[ref.key] = interfaces.ObjectResult(ref, Action.FAILED, str(error), place, error.retryable)
                continue
            if item.key in results:
                msg = f"{item.ref} occurs twice: with and without its namespace"
                raise errors.RenderError(msg, place=str(manifest.locate() or ""))
            objects.append(item)
            results[item.key] = interfaces.ObjectResult(item.ref, Action.UNCHANGED)
        return objects, results

    def _scope(self, kind: discovery.Kind, namespace: str) -> str:
        """Return where to watch a kind: in all namespaces, or in one if the controller is limited to some."""
        return namespace if kind.namespaced and self._runtime.namespaces else ""

    async def _watch(self, objects: Sequence[desired_objects.Desired]) -> None:
        """Watch the kinds that are about to be applied; raises ApiError if a kind cannot be watched."""
        wanted = {(item.kind, self._scope(item.kind, item.ref.namespace)) for item in objects}
        for kind, namespace in wanted:
            await self._children.ensure(kind, namespace)

    async def _recall(self, owner: interfaces.Resource) -> tuple[memory.Owned, list[tracked_objects.TrackedObject]]:
        """Return what is known of an owner's objects: from the watch, if an earlier process applied them.

        Until all kinds could be inspected, each reconcile tries again: objects of an earlier process would never be
        pruned otherwise.
        """
        asked = str((owner.metadata.get("annotations") or {}).get(labels.RECONCILE, ""))
        owned = None if self._kube.dry_run else self._known.of(owner)  # a dry run changed nothing
        if owned is None or owned.unseen:
            known, unseen = await self._finder.find(owner)
            if owned is None:
                owned = self._known.begin(owner)
                owned.asked = asked
            owned.unseen = frozenset(unseen)
            if unseen:
                asyncio.get_running_loop().call_later(LOOK_AGAIN, self._runtime.enqueue, owner.key)
            known = [child for child in known if child.uid not in owned.pruned]
        else:
            known = [child for child in self._children.of(owner.ref) if child.uid not in owned.pruned]
        for child in known:
            entry = owned.entries.get(child.key)
            if entry is None and child.ours:
                owned.entries[child.key] = memory.Entry(child.uid, child)
        if asked != owned.asked:
            owned.asked = asked
            for entry in owned.entries.values():
                entry.digest, entry.due, entry.contended = "", True, None
            self._expiring.forget(owned)
        return owned, known

    async def _apply_waves(
        self, objects: Sequence[desired_objects.Desired], owned: memory.Owned, owner: interfaces.Resource
    ) -> Results:
        """Apply wave by wave: a wave begins when all objects of the earlier waves exist and are ready."""
        results: Results = {}
        earlier: list[desired_objects.Desired] = []
        due = {item.key for item in objects if not self._writer.rules.is_settled(item, owned.entries.get(item.key))}
        owned.watches_status = self._wait
        for wave, group in itertools.groupby(sorted(objects, key=_order), key=lambda item: item.directives.wave):
            items = list(group)
            here = [item for item in items if item.key in due]
            if here and earlier:
                unready = await self._readiness.unready(earlier, owned)
                if unready:
                    key, first = next(iter(unready.items()))
                    why = f"wave {wave} waits for {first.ref}: {first.message}"
                    why += next(needs.from_later(item, objects) for item in earlier if item.key == key)
                    later = [item for item in objects if item.directives.wave >= wave and item.key in due]
                    results.update({item.key: object_readiness.waits(item, why, after=first.after) for item in later})
                    break
            for _, rank in itertools.groupby(here, key=lambda item: item.rank):
                results.update(await self._writer.write(list(rank), owned, owner))
            if any(result.action not in _DONE for result in results.values()):
                later = [item for item in objects if item.directives.wave > wave and item.key in due]
                results.update({item.key: object_readiness.waits(item, f"wave {wave} has failed") for item in later})
                break
            earlier += items
        return results

    async def _sweep(self, key: str) -> interfaces.Applied:
        """Delete what an unknown owner left behind, if the owner is really gone."""
        self._inventory.forget(key)
        results: list[interfaces.ObjectResult] = []
        for group, kind in list(self._listening):
            namespace, name = interfaces.split_key(key)
            owner = interfaces.ObjectRef(f"{group}/", kind, namespace, name)
            left = [child for child in self._children.of(owner) if not child.owner_uid]
            if left and await self._inventory.is_gone(group, kind, key):
                results += await self._remove(owner, left)
        return interfaces.Applied(tuple(results), sum(result.action is Action.WAITING for result in results))


_DONE: Final = frozenset({Action.CREATED, Action.UPDATED, Action.UNCHANGED, Action.PRUNED})


def _order(item: desired_objects.Desired) -> tuple[int, int]:
    return item.directives.wave, item.rank
