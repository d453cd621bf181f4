"""Make each resource a release of a chart, keep the release up to date, and remove it with the resource.

One watch covers the metadata of the releases' Secrets, and another one their objects, so a resource whose release is up
to date costs no process and no request.
"""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Unpack, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.ownership import claims, config_maps, inventory_hints
from lostromos_helm import attempts, making, outcomes, settings
from lostromos_helm.helm import binary, hiding
from lostromos_helm.objects import contents, leftovers, removal, repair
from lostromos_helm.release import commands, naming, owners, planner, releases, seals, storage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core.kube import cluster
    from lostromos_helm.charts import chart_cache, references

Action = interfaces.Action
_log = structlog.get_logger("lostromos.helm")

SWEEP = 20.0
"""Seconds after the start before the search for owners that were deleted while the operator was down."""


@final
class HelmApplier:
    """Make releases with the real Helm.

    ``chart``: a folder, a .tgz file, ``oci://REGISTRY/NAME:VERSION``, ``https://REPOSITORY/NAME:VERSION`` or a
    ``references.Reference``; empty if each resource names its own. For the other options, see
    ``settings.HelmOptions``; raises ConfigError if one is not valid.
    """

    accepts = interfaces.Values
    can_dry_run = True

    def __init__(self, chart: str | references.Reference = "", **options: Unpack[settings.Keywords]) -> None:
        self._options = settings.HelmOptions.from_keywords(options)
        self._chart = planner.chart(chart, self._options)
        self._known: dict[str, making.Known] = {}
        self._keys: dict[str, str] = {}
        self._busy: set[releases.Place] = set()
        self._helm: binary.Helm
        self._charts: chart_cache.Charts
        self._releases: releases.Releases
        self._care: repair.Repairer
        self._removal: removal.Removal
        self._maker: making.Maker
        self._operations: commands.Operations
        self._inventory: inventory_hints.Inventory
        self._owners: owners.Owners
        self._leftovers: leftovers.Leftovers

    @property
    def longest(self) -> float:
        """Return the seconds that one apply may take: several operations of up to ``timeout`` each, and recovery."""
        return 4 * self._options.timeout

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Find Helm, read the chart and connect; raises ConfigError."""
        kube: cluster.Cluster = runtime.kube
        options = self._options
        self._runtime, self._kube = runtime, kube
        self._helm, self._charts = await planner.open_charts(kube, options, self._chart, changed=self._enqueue_all)
        if options.waits and options.processes == 1:
            _log.warning(
                "with `wait` or `atomic` and one process, nothing else is done while Helm waits for a release; "
                "give the applier more `processes`",
                controller=runtime.controller,
            )
        await kube.connect()
        self._planner = planner.Planner(self._chart, self._charts, self._helm, runtime.controller, options)
        spaces = {*runtime.namespaces, *([options.namespace] if options.namespace and runtime.namespaces else [])}
        self._releases = releases.Releases(kube, runtime.controller, sorted(spaces), self._release_changed)
        seal = seals.Seals(kube, self._helm.home, seals.own_namespace(kube))
        self._care = repair.Repairer(kube, options, seal, everywhere=not spaces, changed=self._objects_changed)
        self._outcomes = outcomes.Outcomes(self._releases, self._care)
        self._operations = commands.Operations(self._helm, runtime.controller, options, dry_run=kube.dry_run)
        fitting = storage.Fitting(kube)
        self._removal = removal.Removal(kube, self._releases, self._operations, seal, fitting, options)
        self._inventory = config_maps.choose(runtime, namespace=options.inventory_namespace, finalizer="auto")
        self._claims = claims.Claims(kube, runtime.controller, runtime.operator)
        self._owners = owners.Owners(self._releases, self._inventory)
        self._leftovers = leftovers.Leftovers(kube, self._inventory, options, runtime.namespaces)
        self._maker = making.Maker(
            kube, runtime.controller, options, known=self._releases, run=self._operations, care=self._care,
            remove=self._removal, seal=seal, whose=self._owners, fitting=fitting,
        )  # fmt: skip
        kube.background(self._charts.look, name="look for changed charts")
        if self._inventory.of_kubernetes:
            kube.background(self._look_for_orphans, name="sweep releases")
        looking = functools.partial(
            inventory_hints.enqueue_forgotten, self._inventory, self._known.__contains__, runtime.enqueue, after=SWEEP
        )
        kube.background(looking, name="sweep what is remembered")

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        """Make the owner's release match the chart's output for the values."""
        assert isinstance(rendered, interfaces.Values)  # noqa: S101 - matched when the controller was made
        if rendered.waiting:
            return interfaces.Applied(status=None)
        plan = await self._planner.make(owner, rendered)
        await self._releases.ready(plan.place[0])
        await self._look_elsewhere(owner)
        known = self._remember(owner, plan)
        elsewhere = await self._elsewhere(plan, known)
        spaces = {plan.place[0], *(one.namespace for one in elsewhere)}
        await self._inventory.claim(owner, known.beyond, spaces, finalizer=True)
        try:
            found, results = await self._make(plan, known)
        except making.LaterError as later:
            return self._outcomes.waiting(plan, later)
        except attempts.LeftAloneError as left_alone:
            return self._outcomes.failed(plan, left_alone.last)
        except errors.LostromosError as error:
            return await self._outcomes.failure(plan, known, error)
        known.failed = None
        self._learn(known, results, owner.key)
        applied = interfaces.Applied(tuple(results), status={"release": found.status})
        if not applied.failed and not applied.waiting and not self._kube.dry_run:
            for one in elsewhere:
                _log.info("the release has a new name; the old one is removed", release=one.name)
                place = one.namespace, one.name
                await self._removal.uninstall(place, None, plan.secrets)
                await self._releases.refresh(place)
        return applied

    def _learn(self, known: making.Known, results: Sequence[interfaces.ObjectResult], key: str) -> None:
        """Learn the kinds that are not deleted with the namespace; the next reconcile writes them to the owner.

        This one does not: the owner has to be read again before its annotations are written a second time.
        """
        beyond = leftovers.kinds_beyond(results, known.place[0])
        if not beyond <= known.beyond:
            known.beyond |= beyond
            self._runtime.enqueue(key)

    async def _make(
        self, plan: commands.ReleasePlan, known: making.Known
    ) -> tuple[contents.ReleaseContents, list[interfaces.ObjectResult]]:
        """Make the release and check its objects; repeat both if the release's content turns out not to be ours."""
        asked = str((plan.owner.metadata.get("annotations") or {}).get(labels.RECONCILE, ""))
        again = known.asked is not None and asked != known.asked
        found = await self._bring(plan, known, again=again)
        known.asked = asked
        if self._kube.dry_run:
            return found, await self._care.try_out(found, plan)
        results = await self._care.look(found, self._newest(plan), plan)
        if found.suspect:
            if known.failed:
                known.failed.wait_for_retry(plan.digest, time.monotonic())
            _log.warning(
                "an object differs from what the release's Secret says, but it is not proven that Helm wrote that for "
                "us; the release is upgraded",
                release=plan.name,
            )
            found = await self._bring(plan, known, again=True)
            results = await self._care.look(found, self._newest(plan), plan)
        return found, results

    async def _bring(self, plan: commands.ReleasePlan, known: making.Known, *, again: bool) -> contents.ReleaseContents:
        """Make the release; ignore changes meanwhile, since they are our own and the objects are checked afterwards."""
        self._busy.add(plan.place)
        try:
            return await self._maker.bring(plan, known, again=again)
        finally:
            self._busy.discard(plan.place)

    def _newest(self, plan: commands.ReleasePlan) -> storage.Revision:
        history = self._releases.of(plan.place)
        if not history:
            raise errors.ApiError(f"the {plan.name} was deleted meanwhile", status=0, retryable=True)
        if not history[-1].ours:
            self._runtime.enqueue(plan.owner.key)  # another client made a revision in the meantime
        return history[-1]

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        """Uninstall or orphan the releases of an owner, and then release the owner.

        Nothing is changed if the owner belongs to another controller.
        """
        owner = owner or await self._inventory.recall(key)
        if owner is not None and not await self._claims.may_clean_up(owner):
            return interfaces.Applied()  # the owner and its objects belong to another controller
        known = self._known.get(key)
        space = self._options.namespace or (owner.ref.namespace if owner else interfaces.split_key(key)[0])
        await self._releases.ready(known.place[0] if known else space)
        if owner is not None:
            owner_id = labels.set_id(owner.ref)
            await self._look_elsewhere(owner)
            mine = self._releases.owned_by(owner_id)
        else:
            owner_id = known.owner_id if known else ""
            mine = await self._owners.left_by(key, known.owner if known else None)
        results: list[interfaces.ObjectResult] = []
        for revision in mine:
            results += await self._remove(revision, owner, known)
        if not results and owner is not None:
            places = {self._place(owner.ref), *([known.place] if known else [])}
            results += await self._leftovers.remove(owner, places, known.contents if known else None)
        if not results:
            if owner is not None:
                await self._inventory.release(owner)
            self._known.pop(key, None)
            self._keys.pop(owner_id, None)
            self._releases.forget(owner_id)
        return interfaces.Applied(tuple(results))

    async def _remove(
        self, revision: storage.Revision, owner: interfaces.Resource | None, known: making.Known | None
    ) -> Sequence[interfaces.ObjectResult]:
        """Remove a release of an owner, if it may be removed; return the results that block it."""
        ref = owner.ref if owner else known.owner if known else self._owners.of(revision)
        places = {self._place(ref)} if ref else set()
        places |= {contents.place_told(owner)} if owner else set()
        place = revision.namespace, revision.name
        remembered = known.contents if known and known.place == place else None
        try:
            if await self._removal.is_expected(revision, places | (known.told if known else frozenset())):
                await self._removal.remove(place, remembered, known.secrets if known else hiding.NOTHING)
        except errors.LostromosError as error:
            blamed = error.objects if isinstance(error, removal.RemovalError) else ()
            return blamed or (outcomes.stays(place, error),)
        return ()

    def _place(self, ref: interfaces.ObjectRef) -> releases.Place:
        """Return where the release of an owner is made now."""
        namespace = self._options.namespace or ref.namespace
        prefix = self._options.prefix_of(self._runtime.controller)
        return namespace, naming.release_name(prefix, ref, namespace)

    async def _elsewhere(self, plan: commands.ReleasePlan, known: making.Known) -> list[storage.Revision]:
        """Return the owner's known releases under other names or in other namespaces."""
        others = [one for one in self._releases.owned_by(plan.owner_id) if (one.namespace, one.name) != plan.place]
        return [one for one in others if await self._removal.is_expected(one, known.told)]

    async def _look_elsewhere(self, owner: interfaces.Resource) -> None:
        """Find the owner's releases in namespaces where no releases are made any more; raises ApiError."""
        spaces = {*self._inventory.hints(owner).namespaces, contents.place_told(owner)[0]} - {""}
        for space in sorted(spaces):
            await self._releases.look(space, labels.set_id(owner.ref))

    def _remember(self, owner: interfaces.Resource, plan: commands.ReleasePlan) -> making.Known:
        known = self._known.get(owner.key)
        if known is None or (known.owner_id, known.place) != (plan.owner_id, plan.place):
            known = self._known[owner.key] = making.Known(owner.ref, plan.owner_id, plan.place)
        known.told |= {contents.place_told(owner)}
        known.secrets = plan.secrets.from_all()
        self._owners.learn(owner.ref)
        self._keys[plan.owner_id] = owner.key
        return known

    def _release_changed(self, revision: storage.Revision) -> None:
        key = self._keys.get(revision.owner)
        if key is not None and (revision.namespace, revision.name) not in self._busy:
            self._runtime.enqueue(key)

    def _objects_changed(self, place: releases.Place) -> None:
        for revision in self._releases.of(place)[-1:]:
            self._release_changed(revision)

    def _enqueue_all(self) -> None:
        for key in list(self._known):
            self._runtime.enqueue(key)

    async def _look_for_orphans(self) -> None:
        """Enqueue owners that were deleted while the operator was down, once."""
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self._releases.ready()
            except errors.LostromosError as error:
                _log.warning("cannot search for what deleted owners left behind", error=str(error))
            else:
                break
        for key in list(self._owners.unseen(self._keys)):
            self._runtime.enqueue(key)
