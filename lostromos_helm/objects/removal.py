"""Remove releases: with Helm if their contents are proven, otherwise by hand.

Helm runs the hooks in a release's Secret, and deletes the objects in its manifest, without checking ownership. So
anyone who can change the Secret could do anything with the operator's permissions. By hand, no hooks run, and only
objects that name the release themselves are deleted.
"""

from __future__ import annotations

import collections
import http
from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.transport import operations, paths
from lostromos_helm.helm import hiding
from lostromos_helm.objects import contents, manifest, watched_objects
from lostromos_helm.release import seals, storage, versions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from lostromos_core.kube import cluster
    from lostromos_helm import settings
    from lostromos_helm.release import commands, releases

Action = interfaces.Action
_JUDGED: Final = 1000
"""Releases for which it is remembered whether they are proven."""
_BLAMED: Final = 50
"""Maximum objects that are checked for why they cannot be deleted."""
_MOST: Final = 10_000
"""Maximum objects deleted by hand per release: a forged release may name any number."""
_log = structlog.get_logger("lostromos.helm")


class RemovalError(errors.LostromosError):
    """Raised when a release could not be removed; ``objects`` are those that prevented it, if known."""

    def __init__(
        self, error: errors.LostromosError, objects: Sequence[interfaces.ObjectResult], hidden: hiding.Hidden
    ) -> None:
        super().__init__(hidden.hide(str(error)))
        self.objects = tuple(objects)
        self.retryable = any(one.retryable for one in objects) if objects else error.retryable


@final
class Removal:
    """Remove the releases of one controller."""

    def __init__(  # noqa: PLR0917 - the parts that removal needs
        self,
        kube: cluster.Cluster,
        known: releases.Releases,
        run: commands.Operations,
        seal: seals.Seals,
        fitting: storage.Fitting,
        options: settings.HelmOptions,
    ) -> None:
        self._kube = kube
        self._releases = known
        self._operations = run
        self._seals = seal
        self._fitting = fitting
        self._options = options
        self._judged: collections.OrderedDict[releases.Place, tuple[int, bool]] = collections.OrderedDict()

    async def is_expected(self, revision: storage.Revision, places: Collection[releases.Place]) -> bool:
        """Return whether a release that claims an owner may be removed: it is known to us, or proven.

        ``places``: where the owner's releases are or were, according to our own records. Raises ApiError.
        """
        place = revision.namespace, revision.name
        if place in places:
            return True
        version, verdict = self._judged.get(place, (0, False))
        if version != revision.version or not version:
            stored = await self._load(revision)
            verdict = stored is not None and await self._seals.proves(revision, stored.release)
            self._judged[place] = revision.version, verdict
            self._judged.move_to_end(place)
            if len(self._judged) > _JUDGED:
                self._judged.popitem(last=False)
            if not verdict:
                _log.warning(
                    "a release claims to belong to a resource, without proof; it is left alone",
                    release=f"{place[0]}/{place[1]}",
                )
        return verdict

    async def remove(
        self, place: releases.Place, known: contents.ReleaseContents | None, hidden: hiding.Hidden
    ) -> None:
        """Uninstall a release, or orphan it, as the options specify; raises RemovalError, ApiError.

        ``known``: its contents, as remembered. ``hidden`` is not repeated in messages.
        """
        if self._options.on_delete == "orphan":
            for one in self._releases.of(place):
                await storage.let_go(self._kube, one)
        else:
            await self.uninstall(place, known, hidden)
        await self._releases.refresh(place)

    async def uninstall(
        self, place: releases.Place, known: contents.ReleaseContents | None, hidden: hiding.Hidden
    ) -> None:
        """Remove a release with its objects; do nothing if it is gone. Raises RemovalError, ApiError."""
        history, forged = await self._history(place)
        if not history and not forged:
            return
        held = await self._load(history[-1]) if history else None
        if forged or held is None or not await self._is_proven(history[-1], held, known):
            self._warn(place, held)
            others = [await self._load(revision) for revision in history[:-1]]
            await self._by_hand(place, await _items([*others, held], place), history)
            return
        items = await _items([held], place)
        # The author's own texts are unknown here, so without known secrets no value is repeated.
        hidden = hidden if hidden.hides else hiding.Hidden(interfaces.texts(held.release.get("config")))
        try:
            await self._operations.uninstall(place, hidden, hooks=_has_delete_hooks(held))
        except errors.LostromosError as error:
            if not await self._lacks_a_kind(items):
                raise RemovalError(error, await self._blame(items, hidden), hidden) from error
            if await versions.renew(self._kube, self._seals, history):
                await self.uninstall(place, None, hidden)  # once more: no revision is renewed twice
            else:
                await self._by_hand(place, items, history)

    async def _history(self, place: releases.Place) -> tuple[list[storage.Revision], bool]:
        """Return the revisions of a release, oldest first, and whether Helm would read a Secret it did not write."""
        found: list[storage.Revision] = []
        forged = False
        async for metadata in storage.secrets_of(self._kube, *place):
            revision = storage.read(metadata)
            if revision is None:
                forged = True
            else:
                found.append(revision)
        found.sort(key=lambda one: one.number)
        try:
            await self._fitting.check(found)
        except errors.RefusedError:
            forged = True
        return found, forged

    async def _load(self, revision: storage.Revision) -> storage.Stored | None:
        """Return a revision with its contents; None if it is gone, unreadable or forged. Raises ApiError."""
        try:
            return await storage.load(self._kube, revision)
        except errors.RefusedError:
            return None

    async def _is_proven(
        self, revision: storage.Revision, stored: storage.Stored, known: contents.ReleaseContents | None
    ) -> bool:
        if known is not None and known.proven and known.revision == revision.number:
            return known.digest == seals.digest_of(stored.release)
        return await self._seals.proves(revision, stored.release)

    def _warn(self, place: releases.Place, held: storage.Stored | None) -> None:
        """Warn that delete hooks are not run."""
        if self._options.hooks and held is not None and _has_delete_hooks(held):
            _log.warning(
                "the delete hooks of a release are not run: it is not proven that they are the chart's (an operation "
                "failed, an earlier version of the operator made the release, or its Secret was changed)",
                release=f"{place[0]}/{place[1]}",
            )

    async def _lacks_a_kind(self, items: Collection[manifest.Item]) -> bool:
        """Return whether the cluster no longer serves a kind of a release, so that Helm cannot remove it."""
        await self._kube.discovery.everything(seconds=0)
        try:
            for kind in {(item.ref.api_version, item.ref.kind) for item in items}:
                await self._kube.discovery.kind(*kind)
        except discovery.NoSuchKindError:
            return True
        return False

    async def _by_hand(
        self, place: releases.Place, items: Sequence[manifest.Item], history: Sequence[storage.Revision]
    ) -> None:
        """Delete the objects that name the release, last first, and then the Secrets; raises ApiError."""
        if self._kube.dry_run:
            return
        await self._kube.discovery.everything(seconds=0)  # otherwise, objects of a removed version would look deleted
        for item in reversed(items[:_MOST]):
            await delete(self._kube, item, place)
        for item in items[:_MOST] if self._options.wait else ():
            if await find(self._kube, item, place) is not None:
                msg = f"remove the release {place[0]}/{place[1]}: {item.ref} still exists"
                raise errors.ApiError(msg, status=0, retryable=True)
        await forget(self._kube, history)

    async def _blame(self, items: Sequence[manifest.Item], hidden: hiding.Hidden) -> list[interfaces.ObjectResult]:
        """Return the objects that the API server refuses to delete, and why, from dry runs: Helm does not report it."""
        found = []
        for item in items[:_BLAMED]:
            try:
                await self._try_to_delete(item)
            except errors.LostromosError as error:
                said = hidden.hide(str(error))
                found.append(interfaces.ObjectResult(item.ref, Action.FAILED, said, item.file, error.retryable))
        return found

    async def _try_to_delete(self, item: manifest.Item) -> None:
        path = await _path(self._kube, item)
        there = await operations.read(self._kube, path, str(item.ref)) if path else None
        if there is None or item.kept:
            return
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"], "preconditions": {"uid": there["uid"]}}
        try:
            await self._kube.request("DELETE", path, action=f"delete {item.ref}", body=body)
        except errors.ApiError as error:
            if error.status not in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT}:
                raise


async def forget(kube: cluster.Cluster, history: Sequence[storage.Revision]) -> None:
    """Delete the Secrets of revisions; raises ApiError."""
    for revision in history:
        path = paths.item("v1", "secrets", revision.namespace, revision.secret)
        try:
            await kube.request_bytes("DELETE", path, action=f"remove the release {revision.namespace}/{revision.name}")
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise


def _has_delete_hooks(held: storage.Stored) -> bool:
    """Return whether a release has hooks that Helm runs before or after deleting it."""
    return any("delete" in str(event) for hook in seals.hooks_of(held.release) for event in hook.get("events") or ())


async def delete(kube: cluster.Cluster, item: manifest.Item, place: releases.Place) -> None:
    """Delete an object if it belongs to a release and need not be kept; raises ApiError."""
    there = await find(kube, item, place)
    if there is not None:
        await operations.delete(kube, await _path(kube, item), there["uid"], action=f"delete {item.ref}")


async def find(kube: cluster.Cluster, item: manifest.Item, place: releases.Place) -> Mapping[str, Any] | None:
    """Return the metadata of an object if it exists, is a release's and need not be kept; raises ApiError."""
    path = "" if item.kept else await _path(kube, item)
    there = await operations.find(kube, path, str(item.ref)) if path else None
    annotations = (there or {}).get("annotations") or {}
    if (
        manifest.is_kept(annotations)
        or (annotations.get(watched_objects.NAMESPACE), annotations.get(watched_objects.RELEASE)) != place
    ):
        return None
    return there


async def _path(kube: cluster.Cluster, item: manifest.Item) -> str:
    """Return an object's path at the API server; empty if its kind is not served."""
    try:
        kind = await kube.discovery.in_any_version(item.ref.api_version, item.ref.kind)
    except discovery.NoSuchKindError:
        return ""
    namespace = item.ref.namespace if kind.namespaced else ""
    return paths.item(kind.api_version, kind.plural, namespace, item.ref.name)


async def _items(stored: Sequence[storage.Stored | None], place: releases.Place) -> list[manifest.Item]:
    """Return the objects of some revisions, each once, as far as they can be read."""
    found = {}
    for one in stored:
        text = str(one.release.get("manifest") or "") if one else ""
        try:
            items = await contents.parse(text, place[0])
        except errors.RenderError:
            continue
        found.update({item.ref.key: item for item in items})
    return list(found.values())
