"""What a release consists of: its objects and what is said of it, from Helm's answer, its Secret, or the status."""

from __future__ import annotations

import dataclasses
import types
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.kube import status as statuses
from lostromos_helm import failures, manifest, storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lostromos_core.kube import client, members
    from lostromos_helm import operations, releases

Action = interfaces.Action
RELEASE: Final = ("helm.sh/v1", "Release")
"""What stands for a release as a whole where its objects are listed."""
NOTES = 1000
"""Characters of a chart's notes that the status repeats."""
_OF_CHART: Final = ("chart", "version", "appVersion", "notes")
_NONE: Final[Mapping[str, str]] = types.MappingProxyType({})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """An object when it was compared: who else had written on it, what Helm owned, and what differed and was left."""

    writers: str = ""
    held: str = ""
    left: str = ""


@final
@dataclasses.dataclass(slots=True)
class Content:
    """One revision of a release. ``items`` is None as long as only the identities of its objects are known.

    ``actions`` is what the last operation did with each, told once. ``checked``: how each object was when it was
    last compared, and what differed and was left so.
    """

    revision: int
    refs: tuple[interfaces.ObjectRef, ...]
    items: Mapping[members.Key, manifest.Item] | None
    status: Mapping[str, Any]
    actions: dict[members.Key, interfaces.Action] = dataclasses.field(default_factory=dict)
    pruned: tuple[interfaces.ObjectRef, ...] = ()
    checked: dict[members.Key, Checked] = dataclasses.field(default_factory=dict)

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
    gone = (item for key, item in before.serving.items() if key not in made.items)
    made.pruned = tuple(item.ref for item in gone if not item.kept)
    return made


def told(owner: interfaces.Resource, revision: storage.Revision) -> Content | None:
    """What the resource's own status says, if it is about this revision: a hint that saves reading the Secret.

    A status that tells of a failure, or of so many objects that some may be left out, does not list what is there.
    """
    said, listed = _said(owner), (owner.data.get("status") or {}).get("resources")
    if not said.get("chart") or not isinstance(listed, list) or len(listed) >= statuses.MAX_OBJECTS:
        return None
    about = said.get("namespace"), said.get("name"), said.get("revision"), said.get("status")
    if about != (revision.namespace, revision.name, revision.number, storage.DEPLOYED):
        return None
    entries = [one for one in listed if isinstance(one, dict) and one.get("action") != Action.PRUNED.value]
    refs = tuple(
        interfaces.ObjectRef(*(str(one.get(key) or "") for key in ("apiVersion", "kind", "namespace", "name")))
        for one in entries
    )
    failed = any(one.get("action") == Action.FAILED.value for one in entries)
    whole = any((ref.api_version, ref.kind) == RELEASE for ref in refs)
    return None if failed or whole or not refs else Content(revision.number, refs, None, said)


def namespace_told(owner: interfaces.Resource) -> str:
    """Where a resource's status says that its release is; empty if it does not say."""
    return str(_said(owner).get("namespace") or "")


def _said(owner: interfaces.Resource) -> Mapping[str, Any]:
    """What a resource's status says of its release."""
    said = (owner.data.get("status") or {}).get("release")
    return said if isinstance(said, dict) else {}


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
    """What is said of a release that could not be made as it shall be, and still of the revision that serves."""
    found: dict[str, Any] = {"name": order.place[1], "namespace": order.place[0]}
    if history:
        found |= {"revision": history[-1].number, "status": history[-1].status}
    said = _said(order.owner)
    if (said.get("namespace"), said.get("name")) == order.place and any(
        one.status == storage.DEPLOYED for one in history
    ):
        found |= {key: said[key] for key in _OF_CHART if key in said}
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
