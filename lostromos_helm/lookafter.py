"""Looking after the objects of releases: whether they are there and ready, and whether they are as Helm made them."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import discovery, fights, paths, requests
from lostromos_helm import content, drift, failures, live, manifest, storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lostromos_core.kube import client, members
    from lostromos_helm import operations, releases, settings

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")
_NEEDED: Final = frozenset({"list", "watch"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """One object to look at. ``ref`` is where it is, ``key`` what the release's content knows it by."""

    found: content.Content
    revision: storage.Revision
    order: operations.Order
    ref: interfaces.ObjectRef
    key: members.Key

    @property
    def place(self) -> releases.Place:
        """Its release."""
        return self.order.place

    @property
    def item(self) -> manifest.Item | None:
        """What Helm made of it; its manifest has cluster-scoped objects as if they were in the release's namespace."""
        items = self.found.items or {}
        as_written = dataclasses.replace(self.ref, namespace=self.ref.namespace or self.place[0])
        return items.get(self.key) or items.get(as_written.key)

    def result(
        self, action: interfaces.Action, message: str = "", *, retryable: bool = False, after: float | None = None
    ) -> interfaces.ObjectResult:
        """How it fares."""
        return interfaces.ObjectResult(self.ref, action, message, retryable=retryable, after=after)


@final
class Care:
    """Looks after the objects of one controller's releases. ``everywhere``: kinds are watched in all namespaces."""

    def __init__(
        self,
        kube: client.Kube,
        options: settings.Settings,
        *,
        everywhere: bool,
        changed: Callable[[releases.Place], None],
    ) -> None:
        self._kube = kube
        self._mode = options.drift
        self._everywhere = everywhere
        self._live = live.Live(kube, changed)
        self._drift = drift.Drift(kube, options.ignore)
        self._fights: dict[tuple[releases.Place, members.Key], fights.Fight] = {}

    async def look(
        self, found: content.Content, revision: storage.Revision, order: operations.Order
    ) -> list[interfaces.ObjectResult]:
        """How each object of a release fares; what differs is repaired, if it shall be."""
        actions, found.actions = found.actions, {}
        pruned, found.pruned = found.pruned, ()
        watched = [await self._watched(ref) for ref in found.refs]
        results = []
        for (ref, is_watched), written in zip(watched, found.refs, strict=True):
            case = _Case(found, revision, order, ref, written.key)
            action = actions.get(case.key, Action.UNCHANGED)
            results.append(await self._fares(case, action) if is_watched else case.result(action))
        return results + [interfaces.ObjectResult(ref, Action.PRUNED) for ref in pruned]

    async def settle(self, found: content.Content) -> None:
        """Wait a moment for what Helm has just applied to be seen, and to be ready if that is soon."""
        watched = [await self._watched(ref) for ref in found.refs]
        await self._live.settle([ref.key for ref, is_watched in watched if is_watched])

    async def try_out(self, found: content.Content, order: operations.Order) -> list[interfaces.ObjectResult]:
        """What an operation would do with each object, or what the API server has against it: Helm does not ask."""
        results = list(found.planned())
        for index, result in enumerate(results):
            item = (found.items or {}).get(result.ref.key)
            refused = await self._refused(item, order) if item is not None else None
            results[index] = refused or result
        return results

    async def blame(
        self, newest: Sequence[storage.Revision], order: operations.Order
    ) -> tuple[interfaces.ObjectResult, ...]:
        """The objects of a revision that failed which the API server refuses, with the chart's file and the field."""
        if not newest or newest[0].status != storage.FAILED or newest[0].digest != order.digest:
            return ()
        try:
            found = await content.read(self._kube, newest[0])
            refused = [await self._refused(item, order) for item in (found.items or {}).values()]
        except errors.LostromosError:
            return ()
        return tuple(one for one in refused if one is not None)

    async def _refused(self, item: manifest.Item, order: operations.Order) -> interfaces.ObjectResult | None:
        """What the API server has against an object, found by a dry run; it may repeat values that are secret."""
        try:
            await self._drift.try_out(item, order.place)
        except errors.LostromosError as error:
            cause = error.causes[0] if isinstance(error, errors.ApiError) and error.causes else None
            message = f"{cause.field}: {cause.message}" if cause and cause.field else str(error)
            said = failures.hide(f"{item.ref}: {message}", order.secrets)
            return interfaces.ObjectResult(item.ref, Action.FAILED, said, item.file, error.retryable)
        return None

    async def remove_leftovers(self, before: content.Before, made: content.Content, place: releases.Place) -> None:
        """Delete what revisions that failed have left behind: Helm looks at the last good one only."""
        kept = made.items or {}
        for key, item in before.failed.items():
            if key not in kept and key not in before.serving:
                await self._delete(item, place)

    async def lacks_a_kind(self, place: releases.Place) -> bool:
        """Whether the cluster does not serve a kind of a release any more, so that Helm cannot remove it."""
        kinds = {(item.ref.api_version, item.ref.kind) for item in await self._items(place)}
        for kind in kinds:
            self._kube.discovery.forget(*kind)
        try:
            for kind in kinds:
                await self._kube.discovery.kind(*kind)
        except discovery.NoSuchKindError:
            return True
        return False

    async def remove_by_hand(self, place: releases.Place) -> None:
        """Uninstall without Helm, which cannot remove kinds that are not served any more; raises ApiError."""
        for item in await self._items(place):
            await self._delete(item, place)
        async for revision in storage.history(self._kube, *place):
            path = paths.item("v1", "secrets", revision.namespace, revision.secret)
            await self._kube.request_bytes("DELETE", path, action=f"remove the release {place[0]}/{place[1]}")

    async def _items(self, place: releases.Place) -> Sequence[manifest.Item]:
        """The objects of a release's newest revision, as the cluster has it now."""
        history = [one async for one in storage.history(self._kube, *place)]
        if not history:
            return ()
        newest = max(history, key=lambda one: one.number)
        return tuple(((await content.read(self._kube, newest)).items or {}).values())

    async def _watched(self, ref: interfaces.ObjectRef) -> tuple[interfaces.ObjectRef, bool]:
        """An object with the namespace that it really is in, and whether we see it."""
        try:
            kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
        except discovery.NoSuchKindError:
            return ref, False
        if not kind.namespaced:
            ref = interfaces.ObjectRef(ref.api_version, ref.kind, "", ref.name)
        if not kind.verbs >= _NEEDED:
            return ref, False
        await self._live.ensure(kind, "" if self._everywhere else ref.namespace)
        return ref, True

    async def _fares(self, case: _Case, action: interfaces.Action) -> interfaces.ObjectResult:
        seen, checked = self._live.get(case.ref.key), case.found.checked
        before = checked.setdefault(case.key, content.Checked(held=seen.held if seen else ""))
        if self._mode != "off" and (seen is None or _is_touched(seen, before)):
            result = await self._compare(case)
            left = result.message if result and result.action is Action.DRIFTED else ""
            if result is None or result.action is not Action.FAILED:
                now = (seen.writers, seen.held) if seen else ("", "")
                before = checked[case.key] = content.Checked(*now, left)
            if result is not None:
                return result
        elif seen and not before.held:
            checked[case.key] = dataclasses.replace(before, held=seen.held)
        if before.left:
            return case.result(Action.DRIFTED, before.left)
        if seen is None:
            return case.result(Action.WAITING, "it is not there")
        if seen.why_not:
            return case.result(Action.WAITING, errors.shorten(seen.why_not, 300))
        return case.result(action)

    async def _compare(self, case: _Case) -> interfaces.ObjectResult | None:
        """What an object that somebody touched differs in, and what is done about it."""
        try:
            if case.found.items is None:
                case.found.items = (await content.read(self._kube, case.revision)).items
            item = case.item
            if item is None:
                return None
            difference = await self._difference(item, case)
            if not difference:
                return None
            if self._mode == "warn":
                return case.result(Action.DRIFTED, str(difference))
            return await self._repair(case, item, str(difference))
        except errors.LostromosError as error:
            said = failures.hide(str(error), case.order.secrets)
            return case.result(Action.FAILED, said, retryable=error.retryable)

    async def _difference(self, item: manifest.Item, case: _Case) -> drift.Difference:
        """What differs; nothing, if the API server cannot tell, as with fields that it does not know and Helm drops."""
        try:
            return await self._drift.find(item, case.place)
        except errors.ApiError as error:
            if error.retryable:
                raise
            said = failures.hide(str(error), case.order.secrets)
            _log.warning("an object of a release cannot be compared", object=str(item.ref), error=said)
            return drift.Difference()

    async def _repair(self, case: _Case, item: manifest.Item, what: str) -> interfaces.ObjectResult:
        fight = self._fights.setdefault((case.place, case.key), fights.Fight())
        pause = fight.pause(time.monotonic())
        if pause > 0:
            message = (
                f"somebody changes it again and again ({fight.repairs} repairs; {what}); next repair in {pause:.0f} s. "
                "Leave the field out of the chart, or `ignore` it"
            )
            return case.result(Action.FAILED, message, retryable=True, after=pause)
        await self._drift.repair(item, case.place)
        fight.repaired(time.monotonic())
        _log.info("an object of a release was repaired", object=str(case.ref), release=case.place[1], what=what)
        return case.result(Action.UPDATED)

    async def _delete(self, item: manifest.Item, place: releases.Place) -> None:
        """Delete an object, if it is a release's, and need not be kept."""
        if item.kept:
            return
        try:
            kind = await self._kube.discovery.kind(item.ref.api_version, item.ref.kind)
        except discovery.NoSuchKindError:
            return
        namespace = item.ref.namespace if kind.namespaced else ""
        path = paths.item(item.ref.api_version, kind.plural, namespace, item.ref.name)
        there = await requests.read(self._kube, path, str(item.ref))
        annotations = (there or {}).get("annotations") or {}
        if manifest.is_kept(annotations):
            return
        if there and (annotations.get(live.NAMESPACE), annotations.get(live.RELEASE)) == place:
            await requests.delete(self._kube, path, there["uid"], action=f"delete {item.ref}")


def _is_touched(seen: live.Seen, before: content.Checked) -> bool:
    """Whether somebody else wrote on an object, or took a field off it, since it was looked at."""
    return seen.writers != before.writers or before.held not in {"", seen.held}
