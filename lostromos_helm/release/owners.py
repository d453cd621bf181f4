"""Find, by the releases' own labels, those whose owners no longer exist, and prove it.

Several controllers may write the same name on their releases, for other kinds or for other namespaces. So a release
belongs to an owner only if the owner's id matches, and an owner is gone only if the cluster confirms it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from lostromos_core import interfaces
from lostromos_core.kube import labels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lostromos_core.kube.ownership import inventory_hints
    from lostromos_helm.release import releases, storage


@final
class Owners:
    """Find the owners of one controller's releases. Their kinds are learned from the owners seen."""

    def __init__(self, known: releases.Releases, inventory_: inventory_hints.Inventory) -> None:
        self._releases = known
        self._inventory = inventory_
        self._kinds: set[inventory_hints.GroupKind] = set()

    def learn(self, owner: interfaces.ObjectRef) -> None:
        """Remember the owner's kind as one that the controller looks after."""
        self._kinds.add((owner.group, owner.kind))

    def unseen(self, seen: Collection[str]) -> Iterator[str]:
        """Yield the keys of owners of releases whose ids are not in ``seen``."""
        for revision in self._releases.newest():
            if revision.owner not in seen and self.of(revision) is not None:
                yield revision.key

    async def left_by(self, key: str, owner: interfaces.ObjectRef | None) -> list[storage.Revision]:
        """Return the releases of an owner that no longer exists; empty if the cluster still has it. Raises ApiError.

        ``owner`` identifies it, if known.
        """
        self._inventory.forget(key)
        ours = (self.of(revision) for revision in self._releases.newest() if revision.key == key)
        found = []
        for ref in {owner} if owner else {ref for ref in ours if ref}:
            left = self._releases.owned_by(labels.set_id(ref))
            if left and await self._inventory.is_gone(ref.group, ref.kind, key):
                found += left
        return found

    async def is_abandoned(self, revision: storage.Revision) -> bool:
        """Return whether a release has no owner, or one that no longer exists; raises ApiError."""
        if not revision.owner:
            return True
        ref = _owner(revision, {revision.kind, *self._kinds})
        return ref is not None and await self._inventory.is_gone(ref.group, ref.kind, revision.key)

    def of(self, revision: storage.Revision) -> interfaces.ObjectRef | None:
        """Return the owner of a release if it is of our kind, as far as known."""
        return _owner(revision, self._kinds or {revision.kind})


def _owner(revision: storage.Revision, kinds: Collection[inventory_hints.GroupKind]) -> interfaces.ObjectRef | None:
    """Return the owner of a release, if its name and one of these kinds yield its id."""
    namespace, name = interfaces.split_key(revision.key)
    refs = (interfaces.ObjectRef(f"{group}/", kind, namespace, name) for group, kind in kinds if kind and name)
    return next((ref for ref in refs if labels.set_id(ref) == revision.owner), None)
