"""Read the objects and the status of a release from Helm's answer, its Secret, or the resource's status."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.reporting import status as statuses
from lostromos_core.kube.tracking import expiry
from lostromos_helm.helm import hiding
from lostromos_helm.objects import manifest
from lostromos_helm.release import seals, storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lostromos_core.kube import cluster
    from lostromos_core.kube.tracking import tracked_objects
    from lostromos_helm.release import commands, releases

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")
RELEASE: Final = ("helm.sh/v1", "Release")
"""API version and kind that represent a whole release in a list of its objects."""
NOTES = 1000
"""Characters of a chart's notes that the status repeats."""
LONG: Final = 64 * 1024
"""Characters of a manifest that are parsed at once; a longer one is parsed in a thread, so as not to block others."""
UNPROVEN: Final = 4 * 1024 * 1024
"""Characters of a manifest that are read without proof of who wrote them."""
_OF_CHART: Final = ("chart", "version", "appVersion", "notes")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """Describe an object when it was compared: other writers, what Helm owned, and differences that were left.

    ``end``: how it had ended before it removed itself.
    """

    writers: str = ""
    held: str = ""
    left: str = ""
    end: expiry.End = expiry.End.NONE


@final
@dataclasses.dataclass(slots=True)
class ReleaseContents:
    """Hold one revision of a release. ``items`` is None while only the identities of its objects are known.

    ``actions``: what the last operation did with each object, reported once. ``checked``: each object when it was last
    compared, and differences that were left. ``proven``: Helm made these contents for us; otherwise any client that can
    write the release's Secret may have. ``digest`` is of what Helm would act on, and ``version`` is that of the Secret
    known to hold it, 0 if unknown. ``suspect``: an object differs from unproven contents.
    """

    revision: int
    refs: tuple[interfaces.ObjectRef, ...]
    items: Mapping[tracked_objects.Key, manifest.Item] | None
    status: Mapping[str, Any]
    actions: dict[tracked_objects.Key, interfaces.Action] = dataclasses.field(default_factory=dict)
    pruned: tuple[interfaces.ObjectRef, ...] = ()
    checked: dict[tracked_objects.Key, Checked] = dataclasses.field(default_factory=dict)
    proven: bool = False
    digest: str = ""
    version: int = 0
    suspect: bool = False

    def planned(self) -> Iterator[interfaces.ObjectResult]:
        """Yield what an operation would do with each object."""
        for ref in self.refs:
            yield interfaces.ObjectResult(ref, self.actions.get(ref.key, Action.UNCHANGED))
        for ref in self.pruned:
            yield interfaces.ObjectResult(ref, Action.PRUNED)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Before:
    """Hold the objects before an operation: those of the serving revision, and of revisions that failed after it.

    ``doubtful``: objects that Helm would treat as the release's, without proof that they are.
    """

    serving: Mapping[tracked_objects.Key, manifest.Item]
    failed: Mapping[tracked_objects.Key, manifest.Item]
    doubtful: tuple[manifest.Item, ...] = ()


async def of(
    release: Mapping[str, Any], place: releases.Place, before: Before, secrets: hiding.Hidden
) -> ReleaseContents:
    """Return what an operation has made, compared with the objects before it. ``secrets``: see ``hiding``."""
    made = await _read(release, place, secrets)
    made.proven = True
    assert made.items is not None  # noqa: S101 - just read
    for key in made.checked:
        twice = made.items[key]
        _log.warning(
            "the chart makes an object twice; remove one of them",
            release=place[1],
            object=str(twice.ref),
            file=twice.file,
        )
    for key, item in made.items.items():
        old = before.serving.get(key)
        if old is None:
            made.actions[key] = Action.CREATED
        else:
            made.actions[key] = Action.UNCHANGED if old.digest == item.digest else Action.UPDATED
    gone = (item for key, item in before.serving.items() if key not in made.items)
    made.pruned = tuple(item.ref for item in gone if not item.kept)
    return made


def told(owner: interfaces.Resource, revision: storage.Revision) -> ReleaseContents | None:
    """Return the contents listed in the resource's own status, if it is about this revision, else None.

    This is a hint that saves reading the Secret. A status that reports a failure, or so many objects that some may be
    omitted, does not list what exists.
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
    return None if failed or whole or not refs else ReleaseContents(revision.number, refs, None, said)


def place_told(owner: interfaces.Resource) -> releases.Place:
    """Return the place of a resource's release according to its status; empty texts if it specifies none."""
    said = _said(owner)
    return str(said.get("namespace") or ""), str(said.get("name") or "")


def _said(owner: interfaces.Resource) -> Mapping[str, Any]:
    """Return what a resource's status contains about its release."""
    said = (owner.data.get("status") or {}).get("release")
    return said if isinstance(said, dict) else {}


async def read(
    kube: cluster.Cluster,
    revision: storage.Revision,
    secrets: hiding.Hidden = hiding.NOTHING,
    seal: seals.Seals | None = None,
) -> ReleaseContents:
    """Return what Helm stores of a revision; raises ApiError, RefusedError, RenderError. ``secrets``: see ``hiding``.

    Without a ``seal`` nothing is proven. An unproven manifest must be easy to parse: Helm may parse it differently, and
    parsing may take long.
    """
    stored = await storage.load(kube, revision)
    if stored is None:
        msg = f"the release {revision.namespace}/{revision.name} has changed meanwhile"
        raise errors.ApiError(msg, status=0, retryable=True)
    proven = seal is not None and await seal.proves(revision, stored.release)
    try:
        if not proven and len(str(stored.release.get("manifest") or "")) > UNPROVEN:
            raise errors.RenderError("it is too long")  # noqa: TRY301 - one of several read errors
        found = await _read(stored.release, (revision.namespace, revision.name), secrets)
    except errors.RenderError as error:
        if proven:
            raise
        msg = (
            f"the manifest in the Secret {revision.namespace}/{revision.secret} cannot be read, and it is not proven "
            f"that Helm wrote it for us ({secrets.hide(error.message)}); delete the Secret"
        )
        raise errors.RefusedError(msg) from error
    found.proven = proven
    return found


async def before(
    kube: cluster.Cluster, history: Sequence[storage.Revision], known: ReleaseContents | None, seal: seals.Seals
) -> Before:
    """Return the objects of the serving revision and of those that failed after it; raises ApiError, RefusedError.

    ``known`` is a revision that need not be read unless its Secret has changed.
    """
    serving: dict[tracked_objects.Key, manifest.Item] = {}
    failed: dict[tracked_objects.Key, manifest.Item] = {}
    doubtful: dict[tracked_objects.Key, manifest.Item] = {}
    for revision in reversed(history):
        try:
            same = known is not None and known.items and revision.ours and known.revision == revision.number
            here = known if known and same else await read(kube, revision, seal=seal)
            if here is known and known.version != revision.version:
                held = await read(kube, revision, seal=seal)
                here = known if held.digest == known.digest else held
            found = here.items or {}
        except errors.RenderError:
            continue  # it is proven, so Helm handles it correctly
        if revision.status == storage.DEPLOYED:
            serving.update(found)
            doubtful = {} if here.proven else dict(found)  # failed revisions do not count if one serves
            break
        failed = {**found, **failed}
        doubtful = doubtful if here.proven else {**found, **doubtful}
    return Before(serving, failed, tuple(doubtful.values()))


def failed_status(plan: commands.ReleasePlan, history: Sequence[storage.Revision]) -> Mapping[str, Any]:
    """Return the status of a release that could not be brought up to date, and of the revision that still serves."""
    found: dict[str, Any] = {"name": plan.place[1], "namespace": plan.place[0]}
    if history:
        found |= {"revision": history[-1].number, "status": history[-1].status}
    said = _said(plan.owner)
    if (said.get("namespace"), said.get("name")) == plan.place and any(
        one.status == storage.DEPLOYED for one in history
    ):
        found |= {key: said[key] for key in _OF_CHART if key in said}
    return found


async def _read(release: Mapping[str, Any], place: releases.Place, secrets: hiding.Hidden) -> ReleaseContents:
    parsed = await parse(str(release.get("manifest") or ""), place[0])
    items = {item.ref.key: item for item in parsed}
    number = int(release.get("version") or 0)
    status = _status(release, place, number, secrets)
    refs = tuple(item.ref for item in items.values())
    found = ReleaseContents(number, refs, items, status, digest=seals.digest_of(release))
    for item, _ in manifest.doubles(parsed):
        # Helm 4 applies both concurrently, so either may be live: the last one is restored, as with Helm 3.
        found.checked[item.ref.key] = Checked(writers="the chart itself")
    return found


async def parse(text: str, namespace: str) -> Sequence[manifest.Item]:
    """Return the objects of a manifest; raises RenderError."""
    return (
        await asyncio.to_thread(manifest.parse, text, namespace)
        if len(text) > LONG
        else manifest.parse(text, namespace)
    )


def _mapping(value: interfaces.Json) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _status(
    release: Mapping[str, Any], place: releases.Place, number: int, secrets: hiding.Hidden
) -> Mapping[str, Any]:
    info = _mapping(release.get("info"))
    about = _mapping(_mapping(release.get("chart")).get("metadata"))
    description = str(info.get("description") or "")
    installed = number == 1 or info.get("first_deployed") == info.get("last_deployed")
    rolled_back = description.startswith("Rollback to")
    found = {
        "name": place[1],
        "namespace": place[0],
        "revision": number,
        "status": str(info.get("status") or ""),
        "chart": str(about.get("name") or ""),
        "version": str(about.get("version") or ""),
        "appVersion": str(about.get("appVersion") or ""),
        "action": "rolled back" if rolled_back else "installed" if installed else "upgraded",
        "notes": secrets.hide(str(info.get("notes") or "").strip())[:NOTES],
    }
    return {key: value for key, value in found.items() if value != ""}
