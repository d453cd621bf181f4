"""Whose releases are: what is left of owners that vanished is found by the releases' own labels, and proven.

Several controllers may write the same name on their releases, for other kinds or for other namespaces. So a release is
an owner's only if the owner's id says so, and an owner is gone only if the cluster says so.
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
    """The owners of one controller's releases. Their kinds are learned from those that are seen."""

    def __init__(self, known: releases.Releases, inventory_: inventory_hints.Inventory) -> None:
        self._releases = known
        self._inventory = inventory_
        self._kinds: set[inventory_hints.GroupKind] = set()

    def learn(self, owner: interfaces.ObjectRef) -> None:
        """The controller looks after this kind."""
        self._kinds.add((owner.group, owner.kind))

    def unseen(self, seen: Collection[str]) -> Iterator[str]:
        """The keys of owners of releases whose ids are not among the seen ones."""
        for revision in self._releases.newest():
            if revision.owner not in seen and self.of(revision) is not None:
                yield revision.key

    async def left_by(self, key: str, owner: interfaces.ObjectRef | None) -> list[storage.Revision]:
        """The releases of an owner that is not there any more; none if the cluster still has it. Raises ApiError.

        ``owner`` is who it was, if that is known.
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
        """Whether a release has no owner, or one that does not exist any more; raises ApiError."""
        if not revision.owner:
            return True
        ref = _owner(revision, {revision.kind, *self._kinds})
        return ref is not None and await self._inventory.is_gone(ref.group, ref.kind, revision.key)

    def of(self, revision: storage.Revision) -> interfaces.ObjectRef | None:
        """The owner of a release if it is of our kind, as far as that is known."""
        return _owner(revision, self._kinds or {revision.kind})


def _owner(revision: storage.Revision, kinds: Collection[inventory_hints.GroupKind]) -> interfaces.ObjectRef | None:
    """The owner of a release, if its name and one of these kinds make its id."""
    namespace, _, name = revision.key.rpartition("/")
    refs = (interfaces.ObjectRef(f"{group}/", kind, namespace, name) for group, kind in kinds if kind and name)
    return next((ref for ref in refs if labels.set_id(ref) == revision.owner), None)
