"""What a release consists of: its objects and what is said of it, from Helm's answer, its Secret, or the status."""

from __future__ import annotations

import dataclasses
import types
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_helm import failures, manifest, storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lostromos_core.kube import client, members
    from lostromos_helm import operations, releases

Action = interfaces.Action
NOTES = 1000
"""Characters of a chart's notes that the status repeats."""
_NONE: Final[Mapping[str, str]] = types.MappingProxyType({})


@final
@dataclasses.dataclass(slots=True)
class Content:
    """One revision of a release. ``items`` is None as long as only the identities of its objects are known.

    ``actions`` is what the last operation did with each, told once. ``checked``: who else had written on each object
    when it was last compared, and what differed and was left so.
    """

    revision: int
    refs: tuple[interfaces.ObjectRef, ...]
    items: Mapping[members.Key, manifest.Item] | None
    status: Mapping[str, Any]
    actions: dict[members.Key, interfaces.Action] = dataclasses.field(default_factory=dict)
    pruned: tuple[interfaces.ObjectRef, ...] = ()
    checked: dict[members.Key, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def planned(self) -> Iterator[interfaces.ObjectResult]:
        """What an operation would do with each object."""
        for ref in self.refs:
            yield interfaces.ObjectResult(ref, self.actions.get(ref.key, Action.UNCHANGED))
        for ref in self.pruned:
            yield interfaces.ObjectResult(ref, Action.PRUNED)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Before:
    """What was there before an operation: the revision that served, and those that failed after it."""

    serving: Mapping[members.Key, manifest.Item]
    failed: Mapping[members.Key, manifest.Item]


def of(release: Mapping[str, Any], place: releases.Place, before: Before, secrets: Mapping[str, str]) -> Content:
    """What an operation has made, compared with what was there before. ``secrets``: see ``failures.hide``."""
    made = _read(release, place, secrets)
    assert made.items is not None  # noqa: S101 - just read
    for key, item in made.items.items():
        old = before.serving.get(key)
        if old is None:
            made.actions[key] = Action.CREATED
        else:
            made.actions[key] = Action.UNCHANGED if old.digest == item.digest else Action.UPDATED
    made.pruned = tuple(item.ref for key, item in before.serving.items() if key not in made.items)
    return made


def told(owner: interfaces.Resource, revision: storage.Revision) -> Content | None:
    """What the resource's own status says, if it is about this revision: a hint that saves reading the Secret."""
    status = owner.data.get("status") or {}
    said, listed = status.get("release"), status.get("resources")
    if not isinstance(said, dict) or not isinstance(listed, list):
        return None
    about = said.get("namespace"), said.get("name"), said.get("revision"), said.get("status")
    if about != (revision.namespace, revision.name, revision.number, storage.DEPLOYED):
        return None
    refs = tuple(
        interfaces.ObjectRef(*(str(one.get(key) or "") for key in ("apiVersion", "kind", "namespace", "name")))
        for one in listed
        if isinstance(one, dict) and one.get("action") != Action.PRUNED.value
    )
    return Content(revision.number, refs, None, said) if refs else None


async def read(kube: client.Kube, revision: storage.Revision, secrets: Mapping[str, str] = _NONE) -> Content:
    """What Helm keeps of a revision; raises ApiError, RefusedError. ``secrets``: see ``failures.hide``."""
    stored = await storage.load(kube, revision)
    if stored is None:
        msg = f"the release {revision.namespace}/{revision.name} has changed meanwhile"
        raise errors.ApiError(msg, status=0, retryable=True)
    return _read(stored.release, (revision.namespace, revision.name), secrets)


async def before(kube: client.Kube, history: Sequence[storage.Revision], known: Content | None) -> Before:
    """The objects of the revision that serves, and of those that failed after it; raises ApiError.

    ``known`` is a revision that need not be read.
    """
    serving: dict[members.Key, manifest.Item] = {}
    failed: dict[members.Key, manifest.Item] = {}
    for revision in reversed(history):
        try:
            same = known is not None and known.items and revision.ours and known.revision == revision.number
            here = known if known and same else await read(kube, revision)
            found = here.items or {}
        except (errors.RenderError, errors.RefusedError):
            found = {}
        if revision.status == storage.DEPLOYED:
            serving.update(found)
            break
        failed = {**found, **failed}
    return Before(serving, failed)


def failed_status(order: operations.Order, history: Sequence[storage.Revision]) -> Mapping[str, Any]:
    """What is said of a release that could not be made as it shall be."""
    found: dict[str, Any] = {"name": order.place[1], "namespace": order.place[0]}
    if history:
        found |= {"revision": history[-1].number, "status": history[-1].status}
    return found


def _read(release: Mapping[str, Any], place: releases.Place, secrets: Mapping[str, str]) -> Content:
    items = {item.ref.key: item for item in manifest.parse(str(release.get("manifest") or ""), place[0])}
    number = int(release.get("version") or 0)
    status = _status(release, place, number, secrets)
    return Content(number, tuple(item.ref for item in items.values()), items, status)


def _status(
    release: Mapping[str, Any], place: releases.Place, number: int, secrets: Mapping[str, str]
) -> Mapping[str, Any]:
    info = release.get("info") or {}
    about = (release.get("chart") or {}).get("metadata") or {}
    description = str(info.get("description") or "")
    rolled_back = description.startswith("Rollback to")
    found = {
        "name": place[1],
        "namespace": place[0],
        "revision": number,
        "status": str(info.get("status") or ""),
        "chart": str(about.get("name") or ""),
        "version": str(about.get("version") or ""),
        "appVersion": str(about.get("appVersion") or ""),
        "action": "rolled back" if rolled_back else "installed" if number == 1 else "upgraded",
        "notes": failures.hide(str(info.get("notes") or "").strip(), secrets)[:NOTES],
    }
    return {key: value for key, value in found.items() if value != ""}
