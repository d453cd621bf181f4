"""The applier ``helm``: each resource becomes a release of a chart, kept so, and removed with it.

What the releases are is known from a watch of their Secrets' metadata, and what their objects are from another one, so
a resource whose release is as it shall be costs no process and no request.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import math
import time
from typing import TYPE_CHECKING, Any, Unpack, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import claims, client, config_maps, inventory, marks
from lostromos_helm import (
    binary,
    charts,
    content,
    failures,
    lookafter,
    operations,
    orders,
    owners,
    plan,
    references,
    releases,
    settings,
    storage,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")

SWEEP = 20.0
"""Seconds after the start until owners are looked for that vanished while nobody watched."""
AFTER_KILL = 0.5
FIRST_RETRY = 5.0
LAST_RETRY = 600.0
"""Seconds until a release that failed is tried again: each time twice as long."""


@final
@dataclasses.dataclass(slots=True)
class _Known:
    """What we remember of one owner. ``asked`` is the last request to apply everything again."""

    owner: interfaces.ObjectRef
    owner_id: str
    place: releases.Place
    asked: str | None = None
    content: content.Content | None = None
    failed: _Failed | None = None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Failed:
    """What failed last, how, how often, and when (monotonic) it is tried again.

    What no retry can help as such is tried again too: the reason may be something else on the cluster, and go away.
    ``looked_at``: nothing was tried, so it costs nothing to look again before.
    """

    digest: str
    message: str
    objects: tuple[interfaces.ObjectResult, ...]
    retryable: bool
    times: int
    until: float
    looked_at: bool


@final
class HelmApplier:
    """Makes releases with the real Helm.

    ``chart``: a folder, a .tgz file, ``oci://REGISTRY/NAME:VERSION``, ``https://REPOSITORY/NAME:VERSION`` or a
    ``references.Reference``; empty if each resource names its own. The other options: see ``settings.Settings``.
    """

    accepts = interfaces.Values
    can_dry_run = True

    def __init__(self, chart: str | references.Reference = "", **options: Unpack[settings.Keywords]) -> None:
        self._options = settings.Settings(**options)
        self._chart = orders.chart(chart, self._options)
        self._known: dict[str, _Known] = {}
        self._keys: dict[str, str] = {}
        self._taken: set[releases.Place] = set()
        self._busy: set[releases.Place] = set()
        self._helm: binary.Helm
        self._charts: charts.Charts
        self._releases: releases.Releases
        self._care: lookafter.Care
        self._operations: operations.Operations
        self._inventory: inventory.Inventory
        self._owners: owners.Owners

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Find Helm, read the chart and connect; raises ConfigError."""
        kube: client.Kube = runtime.kube
        options = self._options
        self._runtime, self._kube = runtime, kube
        self._helm, self._charts = await orders.open_charts(kube, options, self._chart, changed=self._ring_all)
        if options.waits and options.processes == 1:
            _log.warning(
                "with `wait` or `atomic` and one process, nothing else is done while Helm waits for a release; "
                "give the applier more `processes`",
                controller=runtime.controller,
            )
        await kube.connect()
        self._orders = orders.Orders(self._chart, self._charts, self._helm, runtime.controller, options)
        spaces = {*runtime.namespaces, *([options.namespace] if options.namespace and runtime.namespaces else [])}
        self._releases = releases.Releases(kube, runtime.controller, sorted(spaces), self._release_changed)
        self._care = lookafter.Care(kube, options, everywhere=not spaces, changed=self._objects_changed)
        self._operations = operations.Operations(self._helm, runtime.controller, options, dry_run=kube.dry_run)
        self._inventory = config_maps.choose(runtime, namespace=options.inventory_namespace, finalizer="auto")
        self._claims = claims.Claims(kube, runtime.controller, runtime.operator)
        self._owners = owners.Owners(self._releases, self._inventory)
        kube.background(self._charts.look, name="look for changed charts")
        if self._inventory.of_kubernetes:
            kube.background(self._look_for_orphans, name="sweep releases")
        looking = functools.partial(
            inventory.ring_for_forgotten, self._inventory, self._known.__contains__, runtime.ring, after=SWEEP
        )
        kube.background(looking, name="sweep what is remembered")

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        """Make the owner's release be what the chart makes of the values."""
        assert isinstance(rendered, interfaces.Values)  # noqa: S101 - matched when the controller was made
        if rendered.waiting:
            return interfaces.Applied(status=None)
        order = await self._orders.make(owner, rendered)
        await self._releases.ready(order.place[0])
        await self._look_elsewhere(owner)
        spaces = {order.place[0], *(one.namespace for one in self._releases.owned_by(order.owner_id))}
        await self._inventory.claim(owner, (), spaces, finalizer=True)
        known = self._remember(owner, order)
        self._busy.add(order.place)
        try:
            found = await self._bring(order, known)
        except _LaterError as later:
            return self._waiting(order, later)
        except _LeftAloneError:
            assert known.failed is not None  # noqa: S101 - that is why it is left alone
            return self._failed(order, known.failed)
        except errors.LostromosError as error:
            return await self._failure(order, known, error)
        finally:
            self._busy.discard(order.place)
        known.failed = None
        if self._kube.dry_run:
            planned = await self._care.try_out(found, order)
            return interfaces.Applied(tuple(planned), status={"release": found.status})
        newest = self._releases.of(order.place)[-1]
        if not newest.ours:
            self._runtime.ring(owner.key)  # somebody made another one while we were busy
        results = await self._care.look(found, newest, order)
        applied = interfaces.Applied(tuple(results), status={"release": found.status})
        if not applied.failed and not applied.waiting:
            await self._remove_others(order)
        return applied

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        """Uninstall what was made for an owner, or let go of it, and then let the owner go.

        Nothing is touched if another controller looks after the owner.
        """
        owner = owner or await self._inventory.recall(key)
        if owner is not None and not await self._claims.may_clean_up(owner):
            return interfaces.Applied()  # it, and what was made for it, is another one's
        known = self._known.get(key)
        space = self._options.namespace or (owner.ref.namespace if owner else key.rpartition("/")[0])
        await self._releases.ready(known.place[0] if known else space)
        if owner is not None:
            owner_id = marks.set_id(owner.ref)
            await self._look_elsewhere(owner)
            mine = self._releases.owned_by(owner_id)
        else:
            owner_id = known.owner_id if known else ""
            mine = await self._owners.left_by(key, known.owner if known else None)
        results = []
        for revision in mine:
            ref = interfaces.ObjectRef(*content.RELEASE, revision.namespace, revision.name)
            try:
                await self._remove(revision)
            except errors.LostromosError as error:
                results.append(interfaces.ObjectResult(ref, Action.FAILED, str(error), retryable=error.retryable))
        if not results:
            if owner is not None:
                await self._inventory.release(owner)
            self._known.pop(key, None)
            self._keys.pop(owner_id, None)
            self._releases.forget(owner_id)
        return interfaces.Applied(tuple(results))

    async def _look_elsewhere(self, owner: interfaces.Resource) -> None:
        """Know the releases that the owner has where none are made any more; raises ApiError."""
        spaces = {*self._inventory.hints(owner).namespaces, content.namespace_told(owner)} - {""}
        for space in sorted(spaces):
            await self._releases.look(space, marks.set_id(owner.ref))

    def _remember(self, owner: interfaces.Resource, order: operations.Order) -> _Known:
        known = self._known.get(owner.key)
        if known is None or (known.owner_id, known.place) != (order.owner_id, order.place):
            known = self._known[owner.key] = _Known(owner.ref, order.owner_id, order.place)
        self._owners.learn(owner.ref)
        self._keys[order.owner_id] = owner.key
        return known

    async def _bring(self, order: operations.Order, known: _Known) -> content.Content:
        """Do what is to be done about the release, and say what it consists of; raises what keeps us from it."""
        asked = str((order.owner.metadata.get("annotations") or {}).get(marks.RECONCILE, ""))
        again = known.asked is not None and asked != known.asked
        history = self._releases.of(order.place)
        if not history and (self._options.adopt or order.place in self._taken):
            history = await self._releases.refresh(order.place)
            self._taken.discard(order.place)
        adopt = await self._adopts(order, history)
        # Whatever another controller made is made again, so that it carries our labels, and the watch has it.
        other = bool(history) and history[-1].controller != self._runtime.controller
        decision = plan.decide(
            history, owner=order.owner_id, digest=order.digest, adopt=adopt, again=again or other,
            now=time.time(), patience=self._options.timeout,
        )  # fmt: skip
        step = decision.step
        if step is plan.Step.REFUSE:
            self._taken.add(order.place)
            raise _NotOursError(decision.why)
        if step is plan.Step.NOTHING:
            known.asked = asked
            return await self._content(order, known, history[-1])
        if step is plan.Step.WAIT:
            raise _LaterError(decision.why, decision.after)
        if self._leaves_alone(order, known, again=again):
            raise _LeftAloneError
        try:
            values.check_for(order.chart, order.rendered)
        except errors.RenderError as error:
            raise _MisfitError(str(error)) from error
        before = await content.before(self._kube, history, known.content)
        try:
            answer = await self._run(order, step, history)
        except failures.NameTakenError:
            self._taken.add(order.place)
            return await self._bring(order, known)
        except errors.LostromosError:
            await self._releases.refresh(order.place)
            raise
        known.asked = asked
        made = known.content = content.of(answer, order.place, before, order.secrets)
        await self._care.remove_leftovers(before, made, order.place)
        if not self._kube.dry_run:
            await self._releases.arrive(order.place, made.revision)
            await self._care.settle(made)
        return made

    async def _adopts(self, order: operations.Order, history: Sequence[storage.Revision]) -> bool:
        """Whether a release is taken over that is not the owner's: nobody else may have it. Raises ApiError."""
        if not self._options.adopt or not history or history[-1].owner == order.owner_id:
            return self._options.adopt
        return await self._owners.is_abandoned(history[-1])

    def _leaves_alone(self, order: operations.Order, known: _Known, *, again: bool) -> bool:
        """Whether it failed before and is not to be tried now: later, or, if that cannot help, after a change."""
        failed = known.failed
        if failed is None or failed.digest != order.digest or failed.looked_at or again:
            return False
        return failed.until > time.monotonic()

    async def _run(
        self, order: operations.Order, step: plan.Step, history: Sequence[storage.Revision]
    ) -> Mapping[str, Any]:
        if step is plan.Step.INSTALL:
            return await self._operations.install(order)
        newest = history[-1]
        if step is plan.Step.RECOVER:
            await storage.mark_failed(self._kube, newest, "broken off; ended by Lostrómos")
            _log.info("a release was left pending, it is recovered", release=order.name, revision=newest.number)
        if step is plan.Step.REPLACE:
            await self._uninstall(order.place)
            return await self._operations.install(order)
        return await self._operations.upgrade(order, newest.number + 1)

    async def _content(self, order: operations.Order, known: _Known, revision: storage.Revision) -> content.Content:
        """What a release that is as it shall be consists of: remembered, told by the status, or read."""
        if known.content is None or known.content.revision != revision.number:
            told = content.told(order.owner, revision)
            known.content = told or await content.read(self._kube, revision, order.secrets)
        return known.content

    async def _remove(self, revision: storage.Revision) -> None:
        """Uninstall a release, or let go of it."""
        place = revision.namespace, revision.name
        if self._options.on_delete == "orphan":
            for one in self._releases.of(place):
                await storage.let_go(self._kube, one)
        else:
            await self._uninstall(place)
        await self._releases.refresh(place)

    async def _uninstall(self, place: releases.Place) -> None:
        try:
            await self._operations.uninstall(place)
        except errors.LostromosError:
            if not await self._care.lacks_a_kind(place):
                raise
            await self._care.remove_by_hand(place)

    async def _remove_others(self, order: operations.Order) -> None:
        """The new release stands: those go that the owner had under other names, or in other places."""
        for revision in self._releases.owned_by(order.owner_id):
            if (revision.namespace, revision.name) != order.place:
                _log.info("the release has another name now; the old one is removed", release=revision.name)
                await self._uninstall((revision.namespace, revision.name))
                await self._releases.refresh((revision.namespace, revision.name))

    def _as_a_whole(self, order: operations.Order, objects: tuple[interfaces.ObjectResult, ...]) -> interfaces.Applied:
        """Results that are about the release, and not about the objects that it should have."""
        history = self._releases.of(order.place)
        return interfaces.Applied(objects, status={"release": content.failed_status(order, history)})

    async def _failure(
        self, order: operations.Order, known: _Known, error: errors.LostromosError
    ) -> interfaces.Applied:
        """A release that could not be made: which object is to blame, when to try again, and what still serves."""
        before = known.failed
        times = before.times + 1 if before and before.digest == order.digest else 1
        first = AFTER_KILL if isinstance(error, failures.KilledError) else FIRST_RETRY
        pause = math.inf if isinstance(error, _MisfitError) else min(LAST_RETRY, first * 2.0 ** min(times - 1, 10))
        objects = await self._care.blame(self._releases.of(order.place)[-1:], order)
        retryable = any(one.retryable for one in objects) if objects else error.retryable
        known.content = None
        said = failures.hide(str(error), order.secrets)
        looked_at = isinstance(error, _NotOursError)
        known.failed = _Failed(order.digest, said, objects, retryable, times, time.monotonic() + pause, looked_at)
        _log.warning("the release failed", release=order.name, error=said, times=times)
        return self._failed(order, known.failed)

    def _failed(self, order: operations.Order, failed: _Failed) -> interfaces.Applied:
        """A failure as it is reported, the first time and until something changes."""
        after = max(0.1, failed.until - time.monotonic()) if math.isfinite(failed.until) else None
        history = self._releases.of(order.place)
        serving = next((one for one in reversed(history) if one.status == storage.DEPLOYED), None)
        still = f"; revision {serving.number} still serves" if serving else ""
        if failed.objects:
            first = dataclasses.replace(failed.objects[0], after=after, message=f"{failed.objects[0].message}{still}")
            objects = (first, *failed.objects[1:])
        else:
            ref = interfaces.ObjectRef(*content.RELEASE, *order.place)
            message = f"{failed.message}{still}"
            objects = (interfaces.ObjectResult(ref, Action.FAILED, message, "", failed.retryable, after),)
        return self._as_a_whole(order, objects)

    def _waiting(self, order: operations.Order, later: _LaterError) -> interfaces.Applied:
        """Somebody else is at work on the release."""
        ref = interfaces.ObjectRef(*content.RELEASE, *order.place)
        return self._as_a_whole(order, (interfaces.ObjectResult(ref, Action.WAITING, str(later), after=later.after),))

    def _release_changed(self, revision: storage.Revision) -> None:
        key = self._keys.get(revision.owner)
        if key is not None and (revision.namespace, revision.name) not in self._busy:
            self._runtime.ring(key)

    def _objects_changed(self, place: releases.Place) -> None:
        for revision in self._releases.of(place)[-1:]:
            self._release_changed(revision)

    def _ring_all(self) -> None:
        for key in list(self._known):
            self._runtime.ring(key)

    async def _look_for_orphans(self) -> None:
        """Ring for owners that vanished while nobody watched, once."""
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self._releases.ready()
            except errors.LostromosError as error:
                _log.warning("what owners that are gone have left cannot be looked for", error=str(error))
            else:
                break
        for key in list(self._owners.unseen(self._keys)):
            self._runtime.ring(key)


class _LaterError(errors.LostromosError):
    """Something else has to happen first."""

    def __init__(self, message: str, after: float | None) -> None:
        super().__init__(message)
        self.after = after


class _NotOursError(errors.RefusedError):
    """The release is somebody else's."""


class _MisfitError(errors.LostromosError):
    """The values do not fit the chart's schema, and never will."""


class _LeftAloneError(errors.LostromosError):
    """It failed a moment ago, and is not tried now."""
