"""Run a set of controllers in one process, with a queue between watchers and workers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias, final

import structlog

from lostromos_core import errors, interfaces, plugins
from lostromos_core import identity as identities
from lostromos_core.engine import (
    change_log,
    controller,
    event_loop,
    reconcile,
    results,
    supervision,
    workqueue,
)
from lostromos_core.kube import cluster
from lostromos_core.kube.ownership import presence
from lostromos_core.kube.transport import client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

    Variables: TypeAlias = Mapping[str, Any] | Callable[[cluster.Cluster], Awaitable[Mapping[str, Any]]]

_log = structlog.get_logger("lostromos.operator")

GRACE = 14.0
"""Seconds that running reconciles have to finish after a signal; the whole shutdown takes less than 20."""
CANCEL = 4.0
"""Seconds that cancelled tasks have to clean up."""
MOST_WORKERS = 256
"""Maximum number of resources of a controller that are reconciled at the same time."""

Action = interfaces.Action
Key: TypeAlias = tuple[str, str]
"""Controller name and resource key."""


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
        if not 1 <= workers <= MOST_WORKERS:
            msg = f"workers is {workers}; choose a number from 1 to {MOST_WORKERS}"
            raise errors.ConfigError(msg)
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
        self._busy: set[asyncio.Task[None]] = set()
        self._results: dict[Key, reconcile.Result] | None = None

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
            _log.info("stopping", busy=len(self._busy))
        _log.info("stopped")
        if self._failure:
            raise self._failure

    async def once(self) -> results.Summary:
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
        return results.Summary(self._results, troubles)

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
            workers = [
                asyncio.create_task(self._work(queues[name], one, registry), name=f"worker {number} of {name}")
                for name, one in contexts.items()
                for number in range(self._workers)
            ]
            try:
                yield queues
            finally:
                await self._shut_down(watches, workers)
        finally:
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
            _, stuck = await asyncio.wait({starting, stopping}, timeout=CANCEL)
            _complain(stuck)
            if starting.done() and not starting.cancelled():
                starting.exception()  # already raised above, or too late to matter

    def _lose(self, why: str) -> None:
        """Stop at once: another process has taken over."""
        _log.error("stopping, since another operator has taken over", reason=why)
        self._failure = errors.RefusedError(why)
        for task in self._busy:
            task.cancel(reconcile.TAKEN_OVER)
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

    def _watch(self, name: str, enqueue: Callable[[str], None]) -> asyncio.Task[None]:
        keeping = supervision.keep_watching(name, self._controllers[name].watch, enqueue, self._states[name])
        return asyncio.create_task(keeping, name=f"watch {name}")

    async def _work(
        self, queue: workqueue.WorkQueue[str], context: reconcile.ControllerContext, registry: plugins.Registry
    ) -> None:
        """Take keys and reconcile them, one at a time, until cancelled.

        The worker continues after any exception: otherwise it would be lost for good, without notice.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this code runs in a task
        while not self._stop.is_set():
            key = await queue.get()
            self._busy.add(task)
            outcome = interfaces.Outcome.again()
            try:
                result = await self._reconcile(context, key, registry)
                outcome = result.outcome
            except asyncio.CancelledError:
                if reconcile.is_cancelled():
                    raise
                _log.exception("unexpected error: a cancellation from within", controller=context.name, resource=key)
            except Exception:  # noqa: BLE001 - see above
                _log.exception("unexpected error; the resource is retried", controller=context.name, resource=key)
            finally:
                self._busy.discard(task)
                queue.done(key, outcome)

    async def _reconcile(
        self, context: reconcile.ControllerContext, key: str, registry: plugins.Registry
    ) -> reconcile.Result:
        started = time.monotonic()
        result = await reconcile.reconcile(context, key)
        if result.report or result.resource or not result.outcome.retry:  # else it is not known yet whether it exists
            settled = result.report is None or result.report.ready
            self._states[context.name].first_look.reconciled(key, settled=settled)
        if result.resource is not None and result.report is not None and result.resource.unreadable:
            registry.tell_unreadable(context.name, key, result.resource.unreadable)
        seconds = time.monotonic() - started
        change_log.record_all(context.name, key, result.report, seconds)
        registry.tell_reconciled(context.name, key, result.report, seconds)
        if self._results is not None:
            before = self._results.get((context.name, key))
            if before is None or before.report or result.resource:  # else keep the result of its deletion
                self._results[context.name, key] = results.merge(before, result)
        return result

    async def _shut_down(self, watches: Sequence[asyncio.Task[None]], workers: Sequence[asyncio.Task[None]]) -> None:
        """Stop intake first, then let running reconciles finish, then cancel those that take too long."""
        self._stop.set()
        idle = [worker for worker in workers if worker not in self._busy]
        for task in (*watches, *idle):
            task.cancel()
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=GRACE)
        late = [task for task in workers if not task.done()]
        for task in late:
            task.cancel()
        if self._busy:
            _log.warning("some reconciles did not finish in time; the next start resumes them", count=len(self._busy))
        if watches or workers:
            _, stuck = await asyncio.wait([*watches, *workers], timeout=CANCEL)
            _complain(stuck)


def _complain(stuck: Iterable[asyncio.Task[Any]]) -> None:
    for task in stuck:
        _log.error("a task ignored its cancellation", task=task.get_name())
