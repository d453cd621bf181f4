"""Make a release: decide what to do, let Helm do it, and record the result."""

from __future__ import annotations

import contextlib
import dataclasses
import http
import time
from typing import TYPE_CHECKING, Any, final

import structlog

from lostromos_core import errors
from lostromos_helm.helm import failures, hiding
from lostromos_helm.objects import contents, removal
from lostromos_helm.release import holders, steps, storage, versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_helm import attempts, settings
    from lostromos_helm.objects import repair
    from lostromos_helm.release import commands, owners, releases, seals

_log = structlog.get_logger("lostromos.helm")


@final
@dataclasses.dataclass(slots=True)
class Known:
    """Hold the state that we remember of one owner.

    ``asked``: the last request to apply everything again. ``told``: the places of its release according to its status.
    ``pending``: a revision with an operation in progress, and since when (monotonic) we have seen it. ``secrets``: the
    texts that were hidden last. ``beyond``: kinds of objects that are not deleted with the namespace.
    """

    owner: interfaces.ObjectRef
    owner_id: str
    place: releases.Place
    asked: str | None = None
    contents: contents.ReleaseContents | None = None
    failed: attempts.Failed | None = None
    told: frozenset[releases.Place] = frozenset()
    pending: tuple[int, float] | None = None
    secrets: hiding.Hidden = hiding.NOTHING
    beyond: frozenset[tuple[str, str]] = frozenset()


@final
class Maker:
    """Make the releases of one controller."""

    def __init__(
        self,
        kube: cluster.Cluster,
        controller: str,
        options: settings.HelmOptions,
        *,
        known: releases.Releases,
        run: commands.Operations,
        care: repair.Repairer,
        remove: removal.Removal,
        seal: seals.Seals,
        whose: owners.Owners,
        fitting: storage.Fitting,
    ) -> None:
        self._kube = kube
        self._controller = controller
        self._options = options
        self._releases = known
        self._operations = run
        self._care = care
        self._removal = remove
        self._seals = seal
        self._owners = whose
        self._fitting = fitting
        self._taken: set[releases.Place] = set()

    async def bring(self, plan: commands.ReleasePlan, known: Known, *, again: bool) -> contents.ReleaseContents:
        """Make the release match its desired state and return its content; raises the error that prevents it."""
        history = self._releases.of(plan.place)
        if not history and (self._options.adopt or plan.place in self._taken):
            history = await self._releases.refresh(plan.place)
            self._taken.discard(plan.place)
        decision = await self._decide(plan, known, history, again=again)
        if decision.step is steps.Step.NOTHING:
            return await self._content(plan, known, history[-1])
        if known.failed and not again:
            known.failed.wait_for_retry(plan.digest, time.monotonic())
        if history:
            # Read what Helm will read: the watch only covers Secrets with our labels.
            history = await self._releases.refresh(plan.place)
            decision = await self._decide(plan, known, history, again=again)
            if decision.step is steps.Step.NOTHING:
                return await self._content(plan, known, history[-1])
        await self._fitting.check(history)
        before = await contents.before(self._kube, history, known.contents, self._seals)
        await self._care.refuse_foreign(before, plan)
        await self._care.expect(plan)
        try:
            answer = await self._run(plan, decision.step, history, before)
        except failures.NameTakenError:
            self._taken.add(plan.place)
            if history:
                raise
            return await self.bring(plan, known, again=again)  # the other release is read this time
        made = known.contents = await contents.of(answer, plan.place, before, plan.secrets)
        if not self._kube.dry_run:
            await self._care.remove_leftovers(before, made, plan.place)
            await self._releases.arrive(plan.place, made.revision)
            await self._seal(plan, made)
            await self._care.settle(made)
        return made

    async def _decide(
        self, plan: commands.ReleasePlan, known: Known, history: Sequence[storage.Revision], *, again: bool
    ) -> steps.Decision:
        """Decide what to do; raises NotOursError or LaterError if we must not act."""
        # Upgrade a release of another controller, so that it gets our labels and is watched.
        other = bool(history) and history[-1].controller != self._controller
        decision = steps.decide(
            history, owner=plan.owner_id, digest=plan.digest, adopt=await self._adopts(plan, history),
            again=again or other, abandoned=bool(history) and self._is_abandoned(history[-1]),
            now=time.time(), waited=_waited(known, history), patience=self._options.timeout,
        )  # fmt: skip
        if decision.step is steps.Step.REFUSE:
            self._taken.add(plan.place)
            raise NotOursError(decision.why)
        if decision.step is steps.Step.WAIT:
            raise LaterError(decision.why, decision.after)
        return decision

    def _is_abandoned(self, revision: storage.Revision) -> bool:
        """Return whether no operation on a revision is running: this process began it, or its process is gone."""
        return revision.holder == holders.this_process() or holders.is_gone(revision.holder)

    async def _seal(self, plan: commands.ReleasePlan, made: contents.ReleaseContents) -> None:
        """Seal the revision that Helm has just made for us, so that it is recognized after a restart."""
        newest = self._releases.of(plan.place)[-1:]
        if not newest or newest[0].number != made.revision:
            return
        try:
            made.version = await self._seals.seal(newest[0], made.digest)
            if made.version:
                self._fitting.saw(newest[0], made.version)
        except errors.LostromosError as error:
            _log.warning("a release could not be sealed; retrying", release=plan.name, error=str(error))

    async def _adopts(self, plan: commands.ReleasePlan, history: Sequence[storage.Revision]) -> bool:
        """Return whether to adopt a release; one of another owner must be abandoned. Raises ApiError."""
        if not self._options.adopt or not history or history[-1].owner == plan.owner_id:
            return self._options.adopt
        return await self._owners.is_abandoned(history[-1])

    async def _run(
        self, plan: commands.ReleasePlan, step: steps.Step, history: Sequence[storage.Revision], before: contents.Before
    ) -> Mapping[str, Any]:
        """Do one step; raises the error that explains a failure."""
        try:
            if step is steps.Step.INSTALL:
                return await self._operations.install(plan)
            newest = history[-1]
            if step is steps.Step.RECOVER:
                await storage.mark_failed(self._kube, newest, "broken off; ended by Lostrómos")
                _log.info("a release was left pending; recovering it", release=plan.name, revision=newest.number)
                step = steps.goes_on(history)
            if step is steps.Step.REPLACE:
                await self._removal.uninstall(plan.place, None, plan.secrets)
                return await self._operations.install(plan)
            if step is steps.Step.INSTALL_AGAIN:
                if not self._kube.dry_run:  # Helm limits the history at upgrades only
                    await removal.forget(self._kube, history[: 1 - self._options.history or None])
                return await self._operations.install(plan, newest.number + 1)
            return await self._upgrade(plan, history, proven=not before.doubtful)
        except errors.LostromosError:
            with contextlib.suppress(errors.LostromosError):  # Helm's own error matters
                await self._releases.refresh(plan.place)
            raise

    async def _upgrade(
        self, plan: commands.ReleasePlan, history: Sequence[storage.Revision], *, proven: bool
    ) -> Mapping[str, Any]:
        """Upgrade; retry if the previous revision uses API versions that the cluster no longer serves."""
        number = history[-1].number + 1
        try:
            return await self._operations.upgrade(plan, number, proven=proven)
        except errors.ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND or self._kube.dry_run:
                raise
            history = await self._releases.refresh(plan.place)
            if history[-1].number >= number or not await versions.renew(self._kube, self._seals, history):
                raise
        return await self._operations.upgrade(plan, number, proven=proven)

    async def _content(
        self, plan: commands.ReleasePlan, known: Known, revision: storage.Revision
    ) -> contents.ReleaseContents:
        """Return the content of an up-to-date release: remembered, from the status, or read from its Secret."""
        if known.contents is None or known.contents.revision != revision.number:
            told = contents.told(plan.owner, revision)
            known.contents = told or await contents.read(self._kube, revision, plan.secrets, self._seals)
        elif known.contents.proven and not known.contents.version and not self._kube.dry_run:
            await self._seal(plan, known.contents)
        return known.contents


def _waited(known: Known, history: Sequence[storage.Revision]) -> float:
    """Return the seconds that we have seen the newest revision pending, by our own clock."""
    if not history or not history[-1].pending:
        known.pending = None
        return 0.0
    now = time.monotonic()
    if known.pending is None or known.pending[0] != history[-1].number:
        known.pending = history[-1].number, now
    return now - known.pending[1]


class LaterError(errors.LostromosError):
    """Raised when something else has to happen first."""

    def __init__(self, message: str, after: float | None) -> None:
        super().__init__(message)
        self.after = after


class NotOursError(errors.RefusedError):
    """Raised when the release belongs to another resource or was not made by Lostrómos."""
