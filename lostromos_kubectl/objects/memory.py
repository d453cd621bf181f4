"""Remember the objects of each owner: what was applied, and whether it was changed since."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, final

from lostromos_core.kube.reporting import readiness
from lostromos_core.kube.tracking import expiry

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import interfaces
    from lostromos_core.kube.managed_fields import contention
    from lostromos_core.kube.tracking import tracked_objects


@final
@dataclasses.dataclass(slots=True)
class Entry:
    """Hold what is known of one object.

    ``digest`` is the digest of what we applied, empty if unknown. ``touched``: something of ours was changed or removed
    since. ``due``: a write was requested. ``adopted``: it is a foreign object until our first write. ``sending``: an
    answer is pending, and watch events are ``held`` until it arrives. ``held_fields`` are the fields that were ours
    after our last write: a manager that owns one of them now took it from us. ``others`` are the list items that other
    managers owned then (None: unknown). ``ready_at`` is the version in which it was last seen ready. ``ended``: the
    digest of a Job that is gone, and how it ended.
    """

    uid: str = ""
    child: tracked_objects.TrackedObject | None = None
    digest: str = ""
    touched: bool = False
    due: bool = False
    adopted: bool = False
    sending: bool = False
    held: tuple[tuple[tracked_objects.TrackedObject | None, tracked_objects.TrackedObject | None], ...] = ()
    contended: contention.Contention | None = None
    held_fields: tracked_objects.FieldSet | None = None
    others: frozenset[tuple[str, ...]] | None = None
    ready_at: int = 0
    ended: tuple[str, expiry.End] = ("", expiry.End.NONE)


@final
@dataclasses.dataclass(slots=True)
class Owned:
    """Hold what is known of one owner's objects.

    ``asked`` is the last request to apply everything again, ``pruned`` are the uids that the watch may still list.
    ``leaving``: the owner is being deleted, so each object that is gone enqueues it. ``watches_status``: each change of
    an object does, too. ``unseen`` are kinds that could not be inspected yet: objects of an earlier process may exist.
    ``granted`` are the uids that may be pruned, ``going`` the deleted objects that are still held. ``ran``: Jobs that
    were made once, see ``expiring``; None until that was recalled.
    """

    uid: str
    entries: dict[tracked_objects.Key, Entry] = dataclasses.field(default_factory=dict)
    asked: str | None = None
    pruned: set[str] = dataclasses.field(default_factory=set)
    watches_status: bool = False
    unseen: frozenset[tuple[str, str]] = frozenset()
    ran: set[str] | None = None
    leaving: bool = False
    granted: set[str] = dataclasses.field(default_factory=set)
    going: dict[str, interfaces.ObjectRef] = dataclasses.field(default_factory=dict)

    def is_ready(self, key: tracked_objects.Key) -> bool:
        """Return whether an object is certainly ready: its kind always is, or it has not changed since it was."""
        if readiness.at_once(*key[:2]):
            return True
        entry = self.entries.get(key)
        return entry is not None and entry.child is not None and entry.child.version <= entry.ready_at


@final
class Memory:
    """Track the objects of all owners of one controller; enqueue an owner when one of its objects is touched."""

    def __init__(self, enqueue: Callable[[str], None]) -> None:
        self._enqueue = enqueue
        self._owned: dict[str, Owned] = {}

    def of(self, owner: interfaces.Resource) -> Owned | None:
        """Return what is known of an owner; None if nothing is known, or if the uid differs."""
        found = self._owned.get(owner.key)
        return found if found is not None and found.uid == owner.uid else None

    def begin(self, owner: interfaces.Resource) -> Owned:
        """Start to track an owner from scratch."""
        found = self._owned[owner.key] = Owned(owner.uid)
        return found

    def leave(self, owner: interfaces.Resource) -> Owned | None:
        """Return the same as ``of``; from now on, enqueue the owner whenever one of its objects is gone."""
        found = self.of(owner)
        if found is not None:
            found.leaving = True
        return found

    def forget(self, key: str) -> None:
        """Forget an owner that is being deleted, or gone."""
        self._owned.pop(key, None)

    def __contains__(self, key: str) -> bool:
        """Return whether anything is known of an owner."""
        return key in self._owned

    def notice(
        self, key: str, before: tracked_objects.TrackedObject | None, now: tracked_objects.TrackedObject | None
    ) -> None:
        """Handle a watch event for an owner's object."""
        owned = self._owned.get(key)
        if owned is None:
            if now is None:
                self._enqueue(key)
            return
        child = now or before
        assert child is not None  # noqa: S101 - one of them is set
        if owned.leaving and now is None:
            self._enqueue(key)
            return
        if child.uid in owned.pruned:
            if now is None:
                owned.pruned.discard(child.uid)
            return
        entry = owned.entries.get(child.key)
        if entry is not None and entry.sending:
            entry.held += ((before, now),)
        elif now is None:
            self._gone(key, entry, child)
        elif entry is not None and self._is_touched(entry, now):
            entry.touched, entry.child, entry.digest = True, now, ""
            self._enqueue(key)
        elif owned.watches_status and not readiness.at_once(*child.key[:2]):
            self._enqueue(key)

    def moved(self, key: str) -> None:
        """Enqueue an owner if the version in which its objects were seen is no longer served."""
        if key in self._owned:
            self._enqueue(key)

    def answered(self, key: str, entry: Entry) -> None:
        """Process the watch events that were held until a write was answered."""
        entry.sending = False
        held, entry.held = entry.held, ()
        for before, now in held:
            self.notice(key, before, now)

    def _gone(self, key: str, entry: Entry | None, child: tracked_objects.TrackedObject) -> None:
        """Handle an object that is gone, or that no longer has our label; the next write shows which."""
        if entry is None:
            self._enqueue(key)
        elif entry.uid == child.uid:
            entry.ended = child.digest, child.end
            entry.touched, entry.child, entry.digest = True, None, ""
            self._enqueue(key)

    def _is_touched(self, entry: Entry, now: tracked_objects.TrackedObject) -> bool:
        """Return whether an object differs from our last write; states older than that write do not count."""
        known = entry.child
        if known is None:
            return entry.uid != now.uid
        if now.version < known.version:
            return False
        if known.same(now):
            entry.child = now
            return False
        return True
