"""What we know of the objects of each owner: what we made of them, and whether somebody touched them since."""

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
    """What we know of one object.

    ``digest`` is what we made of it, empty if that has to be found out. ``touched``: somebody changed or removed
    something of ours since. ``due``: somebody asked for a write. ``adopted``: it is somebody else's until our first
    write. ``sending``: an answer is due, and news are ``held`` until it has come. ``held_fields`` are those that were
    ours after our last write: whoever has one of them now has taken it from us. ``others`` are the items of lists that
    other managers had then (None: not known).
    ``ready_at`` is the version in which it was seen to be ready last. ``ended``: the digest of a Job that is gone, and
    how it had ended.
    """

    uid: str = ""
    child: tracked_objects.TrackedObject | None = None
    digest: str = ""
    touched: bool = False
    due: bool = False
    adopted: bool = False
    sending: bool = False
    held: tuple[tuple[tracked_objects.TrackedObject | None, tracked_objects.TrackedObject | None], ...] = ()
    fight: contention.Contention | None = None
    held_fields: tracked_objects.FieldSet | None = None
    others: frozenset[tuple[str, ...]] | None = None
    ready_at: int = 0
    ended: tuple[str, expiry.End] = ("", expiry.End.NONE)


@final
@dataclasses.dataclass(slots=True)
class Owned:
    """What we know of one owner's objects.

    ``asked`` is the last request to apply everything again, ``pruned`` are the uids that the watch may still list.
    ``leaving``: the owner is going, so each object that goes is worth a look. ``watches_status``: so is each change.
    ``unseen`` are kinds that could not be looked at when the owner was first: objects of an earlier process may be
    there. ``granted`` are the uids that may be pruned, ``going`` those that were deleted and that something holds.
    ``ran``: Jobs that were made once, see ``expiring``; None until that was recalled.
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
        """Return whether an object is ready for certain: as it always is, or it has not changed since it was."""
        if readiness.at_once(*key[:2]):
            return True
        entry = self.entries.get(key)
        return entry is not None and entry.child is not None and entry.child.version <= entry.ready_at


@final
class Memory:
    """What one controller knows of the objects of all its owners; rings for an owner when something is touched."""

    def __init__(self, enqueue: Callable[[str], None]) -> None:
        self._enqueue = enqueue
        self._owned: dict[str, Owned] = {}

    def of(self, owner: interfaces.Resource) -> Owned | None:
        """What is known of an owner; nothing if another one had its name."""
        found = self._owned.get(owner.key)
        return found if found is not None and found.uid == owner.uid else None

    def begin(self, owner: interfaces.Resource) -> Owned:
        """Know nothing of an owner, from now on."""
        found = self._owned[owner.key] = Owned(owner.uid)
        return found

    def leave(self, owner: interfaces.Resource) -> Owned | None:
        """As ``of``; from now on, ring whenever one of the owner's objects is gone."""
        found = self.of(owner)
        if found is not None:
            found.leaving = True
        return found

    def forget(self, key: str) -> None:
        """The owner is going, or gone."""
        self._owned.pop(key, None)

    def __contains__(self, key: str) -> bool:
        """Whether anything is known of an owner."""
        return key in self._owned

    def notice(
        self, key: str, before: tracked_objects.TrackedObject | None, now: tracked_objects.TrackedObject | None
    ) -> None:
        """The watch has brought something about an owner's object."""
        owned = self._owned.get(key)
        if owned is None:
            if now is None:
                self._enqueue(key)
            return
        child = now or before
        assert child is not None  # noqa: S101 - one of them is there
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
        """The version in which an owner's objects were seen is not served any more."""
        if key in self._owned:
            self._enqueue(key)

    def answered(self, key: str, entry: Entry) -> None:
        """The answer to a write has come: look at what the watch brought meanwhile."""
        entry.sending = False
        held, entry.held = entry.held, ()
        for before, now in held:
            self.notice(key, before, now)

    def _gone(self, key: str, entry: Entry | None, child: tracked_objects.TrackedObject) -> None:
        """An object is gone, or carries our label no longer: which of them, the next write will show."""
        if entry is None:
            self._enqueue(key)
        elif entry.uid == child.uid:
            entry.ended = child.digest, child.end
            entry.touched, entry.child, entry.digest = True, None, ""
            self._enqueue(key)

    def _is_touched(self, entry: Entry, now: tracked_objects.TrackedObject) -> bool:
        """Whether an object differs from what we left; news that are older than our last write are none."""
        known = entry.child
        if known is None:
            return entry.uid != now.uid
        if now.version < known.version:
            return False
        if known.same(now):
            entry.child = now
            return False
        return True
