"""Find all objects of an owner: those that are watched, and those that the hints of its inventory point to.

Anyone who can edit the owner can write any hints, and any number of them. So hints that point to nothing must not block
us, nor cost much. If we wrote them ourselves, objects may exist, and what cannot be inspected is reported.
"""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Final, TypeAlias, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.ownership import inventory_hints
from lostromos_core.kube.tracking import children, tracked_objects
from lostromos_core.kube.transport import api_errors, paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lostromos_core.kube import cluster

_log = structlog.get_logger("lostromos.applier")

Unseen: TypeAlias = dict[inventory_hints.GroupKind, str]
"""Kinds that may have objects and cannot be inspected, and why."""
_NO_ACCESS: Final = api_errors.NO_ACCESS | {http.HTTPStatus.BAD_REQUEST}
"""Statuses of errors that do not pass by themselves: applying continues, and deletion waits."""


@final
class Finder:
    """Find objects for one controller. ``namespaces`` are those that it is limited to."""

    def __init__(self, kube: cluster.Cluster, owners: inventory_hints.Inventory, namespaces: Sequence[str]) -> None:
        self._kube = kube
        self._children = kube.shared(children.Children)
        self._inventory = owners
        self._limited = bool(namespaces)

    async def find(self, owner: interfaces.Resource) -> tuple[list[tracked_objects.TrackedObject], Unseen]:
        """Return the objects, and the kinds that we recorded and cannot inspect now. Raises ApiError."""
        hints, written = self._inventory.hints(owner), _Written(self._inventory, owner)
        if hints.are_many:
            hints = hints.bounded(await written.hints())
        kinds = sorted(hints.kinds)
        looks = await asyncio.gather(
            *(self._look(owner, kind, hints.namespaces, written) for kind in kinds), return_exceptions=True
        )
        found = {child.key: child for child in self._children.of(owner.ref)}
        unseen: Unseen = {}
        for kind, look in zip(kinds, looks, strict=True):
            if isinstance(look, BaseException):
                raise look
            found.update({child.key: child for child in look[0]})
            unseen |= {kind: look[1]} if look[1] else {}
        return list(found.values()), unseen

    async def _look(
        self,
        owner: interfaces.Resource,
        hinted: inventory_hints.GroupKind,
        namespaces: Iterable[str],
        written: _Written,
    ) -> tuple[list[tracked_objects.TrackedObject], str]:
        """Return an owner's objects of a hinted kind, or why they are unknown. Raises ApiError."""
        try:
            kind = await self._kube.discovery.by_group_kind(*hinted)
        except errors.ApiError as error:
            if error.reason != discovery.UNAVAILABLE or (await written.hints()).lead_to(hinted, ""):
                raise
            return [], ""
        if kind is None:
            ours = (await written.hints()).lead_to(hinted, "")
            lost = ours and not await self._kube.removals.is_removed(*hinted)
            return [], "the cluster does not serve it now" if lost else ""
        if not {"list", "delete"} <= kind.verbs:
            return [], ""
        found: list[tracked_objects.TrackedObject] = []
        why = ""
        for place in sorted(namespaces) if kind.namespaced and self._limited else [""]:
            if not self._children.covers(kind, place):
                some, failure = await self._see(owner, kind, place, written)
                found += some
                why = why or failure
        return found, why

    async def _see(
        self, owner: interfaces.Resource, kind: discovery.Kind, namespace: str, written: _Written
    ) -> tuple[list[tracked_objects.TrackedObject], str]:
        """Watch a hinted namespace, for all owners at once; list its objects only if it cannot be watched."""
        try:
            paths.collection(kind.api_version, kind.plural, namespace)  # a hint may contain anything
            if "watch" in kind.verbs and await self._children.borrow(kind, namespace):
                return [], ""
        except errors.RefusedError:
            pass
        except errors.ApiError as error:
            if error.status not in _NO_ACCESS:
                raise
        return await self._list(owner, kind, namespace, written)

    async def _list(
        self, owner: interfaces.Resource, kind: discovery.Kind, namespace: str, written: _Written
    ) -> tuple[list[tracked_objects.TrackedObject], str]:
        """Return an owner's objects of a kind in a namespace, or why not. Raises ApiError for errors that may pass."""
        try:
            return await tracked_objects.of(self._kube, owner.ref, kind, namespace), ""
        except (errors.RefusedError, errors.ApiError) as error:
            if isinstance(error, errors.ApiError) and error.status not in _NO_ACCESS:
                raise
            group = kind.group
            ours = (await written.hints()).lead_to((group, kind.name), namespace)
            _log.warning("an inventory hint cannot be followed", resource=owner.key, kind=kind.name, error=str(error))
            return [], str(error) if ours else ""


@final
class _Written:
    """Hold the hints that we wrote ourselves, read once, and only if needed."""

    def __init__(self, owners: inventory_hints.Inventory, owner: interfaces.Resource) -> None:
        self._inventory = owners
        self._owner = owner
        self._asking = asyncio.Lock()
        self._hints: inventory_hints.Hints | None = None

    async def hints(self) -> inventory_hints.Hints:
        """Return the hints; raises ApiError."""
        async with self._asking:
            if self._hints is None:
                self._hints = await self._inventory.written(self._owner)
            return self._hints


def cannot_look(owner: interfaces.Resource, unseen: Unseen) -> errors.ApiError:
    """Return the error of a resource that cannot be released, since objects of it may be left."""
    (_, kind), why = next(iter(unseen.items()))
    more = f" (and of {len(unseen) - 1} more kinds)" if len(unseen) > 1 else ""
    msg = (
        f"{owner.ref}: objects of kind {kind}{more} may belong to it but cannot be listed: {why}. Give the "
        "operator the verbs get, list, watch and delete on them; if you know that there are none, remove the finalizer "
        f"{labels.FINALIZER}"
    )
    return errors.ApiError(msg, status=403, reason="CannotLook")
