"""Check whether the objects of releases exist, are ready, and are as Helm made them, and repair them."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.managed_fields import contention
from lostromos_core.kube.tracking import expiry
from lostromos_helm.charts import traits
from lostromos_helm.objects import contents, drift, removal, watched_objects
from lostromos_helm.release import storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lostromos_core.kube import cluster
    from lostromos_core.kube.tracking import tracked_objects
    from lostromos_helm import settings
    from lostromos_helm.objects import manifest
    from lostromos_helm.release import commands, releases, seals

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")
REFUSED_AGAIN: Final = 60.0
"""Seconds until an unseen object in place of ours is checked again: only a release's objects are watched."""
LOOK_AGAIN: Final = 1.0
"""Seconds until a Job that was just deleted is checked again."""
_CHANGED: Final = "Leave the field out of the chart, or `ignore` it"
_NOT_THERE: Final = "Find out who deletes it, or leave it out of the chart"
_NEEDED: Final = frozenset({"list", "watch"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """Describe one object to check. ``ref`` is where it is, ``key`` its key in the release's contents."""

    found: contents.ReleaseContents
    revision: storage.Revision
    plan: commands.ReleasePlan
    ref: interfaces.ObjectRef
    key: tracked_objects.Key

    @property
    def place(self) -> releases.Place:
        """Return the place of its release."""
        return self.plan.place

    @property
    def item(self) -> manifest.Item | None:
        """Return what Helm made of it; manifests list cluster-scoped objects in the release's namespace."""
        items = self.found.items or {}
        as_written = dataclasses.replace(self.ref, namespace=self.ref.namespace or self.place[0])
        return items.get(self.key) or items.get(as_written.key)

    def result(
        self, action: interfaces.Action, message: str = "", *, retryable: bool = False, after: float | None = None
    ) -> interfaces.ObjectResult:
        """Return a result for the object."""
        return interfaces.ObjectResult(self.ref, action, message, retryable=retryable, after=after)


@final
class Repairer:
    """Look after the objects of one controller's releases. ``everywhere``: watch kinds in all namespaces."""

    def __init__(
        self,
        kube: cluster.Cluster,
        options: settings.HelmOptions,
        seal: seals.Seals,
        *,
        everywhere: bool,
        changed: Callable[[releases.Place], None],
    ) -> None:
        self._kube = kube
        self._seals = seal
        self._mode = options.drift
        self._everywhere = everywhere
        self._live = watched_objects.WatchedObjects(kube, changed)
        self._drift = drift.Drift(kube, options.ignore, adopt=options.adopt)
        self._contentions: dict[tuple[releases.Place, tracked_objects.Key], contention.Contention] = {}

    async def look(
        self, found: contents.ReleaseContents, revision: storage.Revision, plan: commands.ReleasePlan
    ) -> list[interfaces.ObjectResult]:
        """Return the state of each object of a release; repair drift if the options specify it."""
        actions, found.actions = found.actions, {}
        pruned, found.pruned = found.pruned, ()
        watched = [await self._watched(ref) for ref in found.refs]
        results = []
        for (ref, is_watched), written in zip(watched, found.refs, strict=True):
            case = _Case(found, revision, plan, ref, written.key)
            action = actions.get(case.key, Action.UNCHANGED)
            results.append(await self._fares(case, action) if is_watched else case.result(action))
        return results + [interfaces.ObjectResult(ref, Action.PRUNED) for ref in pruned]

    async def expect(self, plan: commands.ReleasePlan) -> None:
        """Watch Jobs before the first is created, if some remove themselves, to see whether they had ended."""
        if traits.of(plan.chart.path).expires or expiry.TTL.encode() in plan.input:
            with contextlib.suppress(errors.LostromosError):  # reported when the objects are checked
                await self._watched(interfaces.ObjectRef("batch/v1", "Job", plan.place[0], ""))

    async def settle(self, found: contents.ReleaseContents) -> None:
        """Wait briefly until what Helm has just applied is seen, and is ready if that is soon."""
        watched = [await self._watched(ref) for ref in found.refs]
        await self._live.settle([ref.key for ref, is_watched in watched if is_watched])

    async def try_out(
        self, found: contents.ReleaseContents, plan: commands.ReleasePlan
    ) -> list[interfaces.ObjectResult]:
        """Return what an operation would do with each object, or why the API server refuses it: Helm never asks."""
        results = list(found.planned())
        for index, result in enumerate(results):
            item = (found.items or {}).get(result.ref.key)
            refused = await self._refused(item, plan) if item is not None else None
            results[index] = refused or result
        return results

    async def blame(
        self, newest: Sequence[storage.Revision], plan: commands.ReleasePlan
    ) -> tuple[interfaces.ObjectResult, ...]:
        """Return the objects of a failed revision that the API server refuses, with the chart file and the field."""
        if not newest or newest[0].status != storage.FAILED or newest[0].digest != plan.digest:
            return ()
        try:
            found = await contents.read(self._kube, newest[0])
            refused = [await self._refused(item, plan) for item in (found.items or {}).values()]
        except errors.LostromosError:
            return ()
        return tuple(one for one in refused if one is not None)

    async def _refused(self, item: manifest.Item, plan: commands.ReleasePlan) -> interfaces.ObjectResult | None:
        """Return why the API server refuses an object in a dry run; secret values that it may repeat are hidden."""
        try:
            await self._drift.try_out(item, plan.place)
        except errors.LostromosError as error:
            cause = error.cause if isinstance(error, errors.ApiError) else None
            said = plan.secrets.hide(f"{item.ref}: {cause or error}")
            return interfaces.ObjectResult(item.ref, Action.FAILED, said, item.file, error.retryable)
        return None

    async def refuse_foreign(self, before: contents.Before, plan: commands.ReleasePlan) -> None:
        """Raise RefusedError if Helm would treat objects as the release's that are not; raises ApiError.

        Helm trusts the release's Secret: it deletes what a chart no longer makes, and changes what it makes, without
        checking ownership.
        """
        doubtful = {item.ref.key for item in before.doubtful}
        items = {**before.serving, **{item.ref.key: item for item in before.doubtful}}
        for key, item in items.items():
            if not self._is_seen(item, plan.place):
                await self._drift.refuse_foreign(item, plan.place, proven=key not in doubtful)

    def _is_seen(self, item: manifest.Item, place: releases.Place) -> bool:
        """Return whether the watch has seen an object as the release's."""
        everywhere = dataclasses.replace(item.ref, namespace="")
        found = (self._live.get(ref.key) for ref in (item.ref, everywhere))
        return any(seen is not None and seen.place == place for seen in found)

    async def remove_leftovers(
        self, before: contents.Before, made: contents.ReleaseContents, place: releases.Place
    ) -> None:
        """Delete what failed revisions have left behind: Helm only looks at the last good one."""
        kept = made.items or {}
        for key, item in before.failed.items():
            if key not in kept and key not in before.serving:
                await removal.delete(self._kube, item, place)

    async def _watched(self, ref: interfaces.ObjectRef) -> tuple[interfaces.ObjectRef, bool]:
        """Watch an object's kind; return the object with its actual namespace, and whether it is watched."""
        try:
            kind = await self._kube.discovery.in_any_version(ref.api_version, ref.kind)
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
        before = checked.setdefault(case.key, contents.Checked(held=seen.held if seen else ""))
        if seen is None and case.key[:2] == expiry.JOB and (end := await self._ended(case, before)):
            return case.result(action) if end is expiry.End.COMPLETE else case.result(Action.WAITING, end.value)
        if self._mode != "off" and (seen is None or _is_touched(seen, before)):
            result, held = await self._compare(case)
            left = result.message if result and result.action is Action.DRIFTED else ""
            if result is None or result.action is not Action.FAILED:
                # The state at the comparison: the watch may lag behind, and skip states in between.
                now = contents.Checked(seen.writers if seen else "", held or (seen.held if seen else ""), left)
                before = checked[case.key] = now
            if result is not None:
                return result
        elif seen and not before.held:
            checked[case.key] = dataclasses.replace(before, held=seen.held)
        if before.left:
            return case.result(Action.DRIFTED, before.left)
        if seen is None:
            after = LOOK_AGAIN if self._is_ending(case) else None if self._mode == "off" else REFUSED_AGAIN
            return case.result(Action.WAITING, "it is missing", after=after)
        if seen.why_not:
            return case.result(Action.WAITING, errors.shorten(seen.why_not, 300))
        return case.result(action)

    async def _ended(self, case: _Case, before: contents.Checked) -> expiry.End:
        """Return how a Job had ended before it removed itself, so that it is not run again for the same revision.

        Helm has made it. So if it disappeared unobserved, it did so because it had ended.
        """
        if before.end:
            return before.end
        seen = self._live.end(case.ref.key)
        if seen is expiry.End.NONE:
            return expiry.End.NONE
        try:
            await self._load(case)
            if case.item is None or not expiry.goes_by_itself(case.item.data):
                return expiry.End.NONE
            if not (await self._drift.find(case.item, case.place)).missing:
                return expiry.End.NONE  # the watch has not seen it yet
        except errors.LostromosError:
            return expiry.End.NONE  # the comparison reports why
        end = seen or expiry.End.COMPLETE
        case.found.checked[case.key] = contents.Checked(end=end)
        return end

    async def _load(self, case: _Case) -> None:
        """Load what Helm made of the release's objects; raises ApiError, RefusedError, RenderError."""
        if case.found.items is None:
            read = await contents.read(self._kube, case.revision, seal=self._seals)
            case.found.items, case.found.proven = read.items, read.proven

    async def _compare(self, case: _Case) -> tuple[interfaces.ObjectResult | None, str]:
        """Compare a touched object and handle drift; return the result, if any, and what Helm then owns of it."""
        try:
            await self._load(case)
            item = case.item
            if item is None:
                return None, ""
            difference = await self._difference(item, case)
            if not difference or (difference.missing and self._is_ending(case)):
                return None, difference.held
            if self._mode == "warn":
                return case.result(Action.DRIFTED, str(difference)), difference.held
            if not case.found.proven:
                case.found.suspect = True
                return case.result(Action.WAITING, f"{difference}; the release is upgraded"), ""
            return await self._repair(case, item, str(difference))
        except errors.LostromosError as error:
            said = case.plan.secrets.hide(str(error))
            after = REFUSED_AGAIN if isinstance(error, errors.RefusedError) else None
            return case.result(Action.FAILED, said, retryable=error.retryable, after=after), ""

    def _is_ending(self, case: _Case) -> bool:
        """Return whether a Job has ended and removes itself: the watch has seen it deleted, or is about to."""
        seen = self._live.get(case.ref.key)
        end = seen.end if seen else self._live.end(case.ref.key)
        return bool(end and case.item and expiry.goes_by_itself(case.item.data))

    async def _difference(self, item: manifest.Item, case: _Case) -> drift.Difference:
        """Return what differs; nothing if the API server cannot tell, as with unknown fields that Helm drops."""
        try:
            return await self._drift.find(item, case.place)
        except errors.ApiError as error:
            if error.retryable:
                raise
            said = case.plan.secrets.hide(str(error))
            _log.warning("an object of a release cannot be compared", object=str(item.ref), error=said)
            return drift.Difference()

    async def _repair(self, case: _Case, item: manifest.Item, what: str) -> tuple[interfaces.ObjectResult, str]:
        contended = self._contentions.setdefault((case.place, case.key), contention.Contention())
        pause = contended.pause(time.monotonic())
        if pause > 0:
            message = f"{contended.explain(pause, what)}. {_NOT_THERE if what == drift.DELETED else _CHANGED}"
            return case.result(Action.FAILED, message, retryable=True, after=pause), ""
        held = await self._drift.repair(item, case.place)
        contended.repaired(time.monotonic())
        _log.info("an object of a release was repaired", object=str(case.ref), release=case.place[1], what=what)
        return case.result(Action.UPDATED), held


def _is_touched(seen: watched_objects.Seen, before: contents.Checked) -> bool:
    """Return whether another manager wrote to an object, or removed a field, since it was last checked."""
    return seen.writers != before.writers or before.held not in {"", seen.held}
