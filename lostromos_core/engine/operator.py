"""Run a set of controllers in one process, with a queue between watchers and workers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any, TypeAlias, final

import structlog

from lostromos_core import errors, interfaces, plugins
from lostromos_core import identity as identities
from lostromos_core.engine import (
    controller,
    event_loop,
    reconcile,
    reports,
    supervision,
    worker_pool,
    workqueue,
)
from lostromos_core.kube import cluster
from lostromos_core.kube.ownership import presence
from lostromos_core.kube.transport import client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence

    Variables: TypeAlias = Mapping[str, Any] | Callable[[cluster.Cluster], Awaitable[Mapping[str, Any]]]

_log = structlog.get_logger("lostromos.operator")


@final
class Operator:
    """Run controllers until stopped.

    ``vars`` are the variables that templates see, or a function that gets them from the cluster at start. ``kube`` is
    the connection to use; without it, the operator opens its own connection, and closes it. ``workers`` is how many
    resources of each controller are reconciled at the same time, 1 to 256. ``identity`` identifies this operator: other
    operators leave its resources alone, and two operators with the same identity do not work at the same time; by
    default it is derived from the Pod's Deployment, or from the user, the machine and the program. Raises ConfigError
    for invalid parameters. ``started`` is set when all controllers have been started.
    """

    def __init__(
        self,
        controllers: Sequence[controller.Controller],
        *,
        vars: Variables | None = None,  # noqa: A002 - the name that templates use
        kube: client.Client | None = None,
        registry: plugins.Registry | None = None,
        workers: int = 16,
        identity: identities.Identity | None = None,
    ) -> None:
        controller.check_workers("workers", workers)
        names = [one.name for one in controllers]
        for name in names:
            if names.count(name) > 1:
                msg = f"two controllers have the name {name!r}; names must differ"
                raise errors.ConfigError(msg)
        controller.refuse_overlap(controllers)
        self._controllers = {one.name: one for one in controllers}
        self._states = {name: supervision.WatchState() for name in names}
        self._vars = vars or {}
        self._client = kube
        self._registry = registry
        self._workers = workers
        self._identity = identity or identities.choose("", f"{sys.argv[0]}#{','.join(sorted(names))}")
        self._failure: errors.LostromosError | None = None
        self._stop = asyncio.Event()
        self.started = asyncio.Event()
        self._ran = False
        self._pool: worker_pool.WorkerPool | None = None
        self._results: dict[reports.Key, reports.Result] | None = None

    def run(self) -> None:
        """Run in an event loop of its own until SIGTERM or SIGINT; blocks. Raises what ``serve`` raises."""
        event_loop.run_async(event_loop.until_signal(self.serve(), self.stop))

    def stop(self) -> None:
        """Take no new work, finish running reconciles, and return from ``serve``."""
        self._stop.set()

    async def serve(self) -> None:
        """Run in the running event loop until ``stop``, or until cancelled; signals remain the caller's business.

        Raises ConfigError if the operator cannot start, RefusedError if another one has taken over.
        """
        async with self._running():
            await self._stop.wait()
            _log.info("stopping", busy=self._pool.busy if self._pool else 0)
        _log.info("stopped")
        if self._failure:
            raise self._failure

    async def once(self) -> reports.Summary:
        """Reconcile everything that exists once, and return the results. An Operator can only run once."""
        self._results = {}
        async with self._running() as queues:
            await self._until_known()
            join = asyncio.create_task(workqueue.join_all(queues))
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait({join, stop}, return_when=asyncio.FIRST_COMPLETED)
            join.cancel()
            stop.cancel()
        if self._failure:
            raise self._failure
        troubles = {name: state.trouble for name, state in self._states.items() if not state.synced}
        return reports.Summary(self._results, troubles)

    async def _until_known(self) -> None:
        """Wait until every watch has listed all resources, or has reported why it cannot."""
        while not self._stop.is_set():
            if all(state.synced or state.trouble for state in self._states.values()):
                return
            await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[Mapping[str, workqueue.WorkQueue[str]]]:
        """Run watchers and workers, from the start to a shutdown of limited duration.

        Each controller has its own queue and workers, so that one that waits for a slow program does not delay the
        others.
        """
        if self._ran:
            msg = "an Operator runs once; make another"
            raise errors.LostromosError(msg)
        self._ran = True
        connection = self._client or client.Client()
        kube = cluster.Cluster(connection)
        registry = self._registry or plugins.load()
        own = presence.Presence(kube, self._identity, lost=self._lose)
        kube.shared(presence.OtherOperators).patient = self._results is not None
        try:
            queues: Mapping[str, workqueue.WorkQueue[str]] = {
                name: workqueue.WorkQueue(workqueue.namespace_of) for name in self._controllers
            }
            contexts = await self._unless_stopped(self._start(kube, registry, queues, own))
            watches = [self._watch(name, queues[name].add) for name in contexts]
            self._pool = worker_pool.WorkerPool(registry, self._states, self._stop, self._record)
            for name, one in contexts.items():
                self._pool.start(one, queues[name], self._controllers[name].concurrency or self._workers)
            try:
                yield queues
            finally:
                await self._pool.end(watches)
        finally:
            await self._stop_parts()
            await own.give_back()
            await kube.close()
            if connection is not self._client:
                await connection.close()

    async def _unless_stopped(
        self, start: Coroutine[Any, Any, dict[str, reconcile.ControllerContext]]
    ) -> dict[str, reconcile.ControllerContext]:
        """Return the result of ``start``, or nothing if stopped before that: the cluster may never answer."""
        starting = asyncio.create_task(start, name="start")
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return starting.result() if starting.done() else {}
        finally:
            stopping.cancel()
            starting.cancel()
            _, stuck = await asyncio.wait({starting, stopping}, timeout=worker_pool.CANCEL)
            worker_pool.complain(stuck)
            if starting.done() and not starting.cancelled():
                starting.exception()  # already raised above, or too late to matter

    def _lose(self, why: str) -> None:
        """Stop at once: another process has taken over."""
        _log.error("stopping, since another operator has taken over", reason=why)
        self._failure = errors.RefusedError(why)
        if self._pool:
            self._pool.interrupt(reconcile.TAKEN_OVER)
        self.stop()

    async def _start(
        self,
        kube: cluster.Cluster,
        registry: plugins.Registry,
        queues: Mapping[str, workqueue.WorkQueue[str]],
        own: presence.Presence,
    ) -> dict[str, reconcile.ControllerContext]:
        contexts = {}
        for name, one in self._controllers.items():
            runtime = interfaces.Runtime(
                controller=name,
                kube=kube,
                enqueue=queues[name].add,
                namespaces=one.namespaces,
                dry_run=kube.dry_run,
                operator=str(self._identity),
                filters=registry.filters,
                tests=registry.tests,
                functions=registry.functions,
                first_look=self._states[name].first_look,
            )
            await one.start(runtime)
        if kube.client.connected and not kube.dry_run:
            _log.info("this operator's identity", identity=str(self._identity), source=self._identity.source)
            await own.hold(wait=self._results is None)
        variables = await self._vars(kube) if callable(self._vars) else self._vars
        context = interfaces.Context(vars=variables)
        for name, one in self._controllers.items():
            contexts[name] = one.bind(context, registry, self._states[name])
            _log.info("controller started", controller=name)
        self.started.set()
        return contexts

    async def _stop_parts(self) -> None:
        """Stop the parts of all controllers that have been started, at the same time."""
        await asyncio.gather(*(one.stop(worker_pool.STOP) for one in self._controllers.values()))

    def _watch(self, name: str, enqueue: Callable[[str], None]) -> asyncio.Task[None]:
        keeping = supervision.keep_watching(name, self._controllers[name].watch, enqueue, self._states[name])
        return asyncio.create_task(keeping, name=f"watch {name}")

    def _record(self, controller: str, key: str, result: reports.Result) -> None:
        """Keep the result of a reconcile, if results are wanted."""
        if self._results is None:
            return
        before = self._results.get((controller, key))
        if before is None or before.report or result.resource:  # else keep the result of its deletion
            self._results[controller, key] = reports.merge(before, result)
