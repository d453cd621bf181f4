"""The Operator: a set of controllers in one process, a queue between their watchers and the workers, and signals."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias, final

import structlog

from lostromos_core import errors, interfaces, plugins
from lostromos_core import identity as identities
from lostromos_core.engine import change_log, reconcile, workqueue
from lostromos_core.engine import controller as controllers_
from lostromos_core.kube import cluster
from lostromos_core.kube.ownership import presence
from lostromos_core.kube.transport import client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

    Variables: TypeAlias = Mapping[str, Any] | Callable[[cluster.Cluster], Awaitable[Mapping[str, Any]]]

_log = structlog.get_logger("lostromos.operator")

GRACE = 14.0
"""Seconds that running reconciles get to finish after a signal; the whole shutdown stays under 20."""
CANCEL = 4.0
"""Seconds that what was cancelled gets to clean up."""
MOST_WORKERS = 256
"""How many resources may be reconciled at the same time, at most."""
RESTART_WATCH = 5.0
"""Seconds before a watcher that failed is started again."""

Action = interfaces.Action
_DONE = frozenset({Action.CREATED, Action.UPDATED, Action.PRUNED, Action.DELETED})
Key: TypeAlias = tuple[str, str]
"""Controller name and resource key."""
Queues: TypeAlias = "Mapping[str, workqueue.WorkQueue[str]]"
"""The queue of each controller."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What ``once`` did: the report of every resource, and which controllers could not be watched, and why."""

    results: Mapping[Key, reconcile.Result]
    troubles: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether everything was watched, and every resource is as it should be."""
        return not self.troubles and all(not result.report or result.report.ready for result in self.results.values())


@final
class Operator:
    """Runs controllers until it is told to stop.

    ``vars`` are the variables that templates see, or a function that gets them from the cluster at start. ``kube``
    is the connection to use; the operator opens one of its own otherwise, and closes what it opened. ``workers``
    is how many resources of each controller are reconciled at the same time, 1 to 256. ``identity`` is which operator
    this is: what it looks after is left alone by others, and two of one identity do not work at the same time; by
    default it is that of the Pod's Deployment, or of the user, the machine and the program. Raises ConfigError for
    what cannot work. ``started`` is set when all controllers have been started.
    """

    def __init__(  # noqa: PLR0913 - what an operator consists of
        self,
        controllers: Sequence[controllers_.Controller],
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
        names = [controller.name for controller in controllers]
        for name in names:
            if names.count(name) > 1:
                msg = f"two controllers have the name {name!r}; names must differ"
                raise errors.ConfigError(msg)
        _refuse_overlap(controllers)
        self._controllers = {controller.name: controller for controller in controllers}
        self._states = {name: controllers_.WatchState() for name in names}
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
        """Run until SIGTERM or SIGINT; blocks. Raises ConfigError if the operator cannot start."""
        run_async(self.serve())

    def stop(self) -> None:
        """Take no new work, finish what runs, and return from ``serve``."""
        self._stop.set()

    async def serve(self) -> None:
        """As ``run``, inside of a running event loop."""
        with _signals(self.stop):
            async with self._running():
                await self._stop.wait()
                _log.info("stopping", busy=len(self._busy))
        _log.info("stopped")
        if self._failure:
            raise self._failure

    async def once(self) -> Summary:
        """Reconcile everything that exists once, and return how it went. An Operator runs once: then make another."""
        self._results = {}
        with _signals(self.stop):
            async with self._running() as queues:
                await self._until_known()
                join = asyncio.create_task(_join(queues))
                stop = asyncio.create_task(self._stop.wait())
                await asyncio.wait({join, stop}, return_when=asyncio.FIRST_COMPLETED)
                join.cancel()
                stop.cancel()
        if self._failure:
            raise self._failure
        troubles = {name: state.trouble for name, state in self._states.items() if not state.synced}
        return Summary(self._results, troubles)

    async def _until_known(self) -> None:
        """Wait until every watch has brought all there is, or has said why it cannot."""
        while not self._stop.is_set():
            if all(state.synced or state.trouble for state in self._states.values()):
                return
            await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def _running(self) -> Any:  # noqa: ANN401 - an async generator of the queues
        """Watchers and workers, from start to a bounded end.

        Each controller has a queue and workers of its own: one that waits for a slow program delays no other.
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
            queues: Queues = {name: workqueue.WorkQueue(_group_of) for name in self._controllers}
            contexts = await self._unless_stopped(self._start(kube, registry, queues, own))
            watches = [asyncio.create_task(self._watch(name, queues[name]), name=f"watch {name}") for name in contexts]
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
        """What the start brings; nothing if it shall stop before that: the cluster may never answer."""
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
                starting.exception()  # has been raised above, or came too late to matter

    def _lose(self, why: str) -> None:
        """Stop at once: another process does our work."""
        _log.error("stopping, since another operator has taken over", reason=why)
        self._failure = errors.RefusedError(why)
        for task in self._busy:
            task.cancel(reconcile.TAKEN_OVER)
        self.stop()

    async def _start(
        self,
        kube: cluster.Cluster,
        registry: plugins.Registry,
        queues: Queues,
        own: presence.Presence,
    ) -> dict[str, reconcile.ControllerContext]:
        contexts = {}
        for name, controller in self._controllers.items():
            runtime = interfaces.Runtime(
                controller=name,
                kube=kube,
                enqueue=queues[name].add,
                namespaces=controller.namespaces,
                dry_run=kube.dry_run,
                operator=str(self._identity),
                filters=registry.filters,
                tests=registry.tests,
                functions=registry.functions,
                first_look=self._states[name].first_look,
            )
            await controller.start(runtime)
        if kube.client.connected and not kube.dry_run:
            _log.info("this operator's identity", identity=str(self._identity), source=self._identity.source)
            await own.hold(wait=self._results is None)
        variables = await self._vars(kube) if callable(self._vars) else self._vars
        context = interfaces.Context(vars=variables)
        for name, controller in self._controllers.items():
            contexts[name] = controller.bind(context, registry, self._states[name])
            _log.info("controller started", controller=name)
        self.started.set()
        return contexts

    async def _watch(self, name: str, queue: workqueue.WorkQueue[str]) -> None:
        """Run one controller's watcher; a plug-in that fails is started again, and the others go on."""
        state = self._states[name]
        while True:
            try:
                await self._controllers[name].watch(queue.add, state)
                _log.error("the watcher ended, it will be started again", controller=name)
                state.trouble = "the watcher ended"
            except asyncio.CancelledError:
                if reconcile.is_cancelled():
                    raise
                _log.exception("the watcher was cancelled from within, it will be started again", controller=name)
                state.trouble = "the watcher was cancelled from within"
            except Exception as error:  # noqa: BLE001 - one plug-in's failure must not end the others
                _log.exception("the watcher failed, it will be started again", controller=name)
                state.trouble = f"the watcher failed: {_cause(error)}"
            await asyncio.sleep(RESTART_WATCH)

    async def _work(
        self, queue: workqueue.WorkQueue[str], controller: reconcile.ControllerContext, registry: plugins.Registry
    ) -> None:
        """Take keys and reconcile them, one at a time, until cancelled.

        Whatever one of them raises or lets out, the worker goes on: it would be missed for good, in silence.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        while not self._stop.is_set():
            key = await queue.get()
            self._busy.add(task)
            outcome = interfaces.Outcome.again()
            try:
                result = await self._reconcile(controller, key, registry)
                outcome = result.outcome
            except asyncio.CancelledError:
                if reconcile.is_cancelled():
                    raise
                _log.exception("unexpected error: a cancellation from within", controller=controller.name, resource=key)
            except Exception:  # noqa: BLE001 - see above
                _log.exception(
                    "unexpected error, the resource is tried again", controller=controller.name, resource=key
                )
            finally:
                self._busy.discard(task)
                queue.done(key, outcome)

    async def _reconcile(
        self, controller: reconcile.ControllerContext, key: str, registry: plugins.Registry
    ) -> reconcile.Result:
        started = time.monotonic()
        result = await reconcile.reconcile(controller, key)
        if result.report or result.resource or not result.outcome.retry:  # else it is not known yet, whether it exists
            settled = result.report is None or result.report.ready
            self._states[controller.name].first_look.reconciled(key, settled=settled)
        if result.resource is not None and result.report is not None and result.resource.unreadable:
            registry.tell_unreadable(controller.name, key, result.resource.unreadable)
        seconds = time.monotonic() - started
        change_log.record_all(controller.name, key, result.report, seconds)
        registry.tell_reconciled(controller.name, key, result.report, seconds)
        if self._results is not None:
            before = self._results.get((controller.name, key))
            if before is None or before.report or result.resource:  # else it was seen going, and is gone now
                self._results[controller.name, key] = _all_that_was_done(before, result)
        return result

    async def _shut_down(self, watches: Sequence[asyncio.Task[None]], workers: Sequence[asyncio.Task[None]]) -> None:
        """Stop intake first, then let running reconciles finish, then cancel what takes too long."""
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
            _log.warning("not everything could be finished in time; the next start goes on", count=len(self._busy))
        if watches or workers:
            _, stuck = await asyncio.wait([*watches, *workers], timeout=CANCEL)
            _complain(stuck)


def _complain(stuck: Iterable[asyncio.Task[Any]]) -> None:
    for task in stuck:
        _log.error("a plug-in does not let itself be cancelled", task=task.get_name())


def run_async(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what the coroutine returns
    """Run a coroutine in an event loop of its own: uvloop's if it is installed, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, errors.LostromosError) else f"{type(error).__name__}, see the log"


def _refuse_overlap(controllers: Sequence[controllers_.Controller]) -> None:
    for first, second in itertools.combinations(controllers, 2):
        if first.overlaps(second):
            msg = (
                f"the controllers {first.name!r} and {second.name!r} can select the same resource, and would fight for "
                "it; give them different `namespaces`, `labels` (key=value) or `annotation` (key=value)"
            )
            raise errors.ConfigError(msg)


def _all_that_was_done(before: reconcile.Result | None, now: reconcile.Result) -> reconcile.Result:
    """The result of a resource that was reconciled more than once, with what the earlier times did."""
    if before is None or before.report is None or now.report is None:
        return now
    done = {one.ref: one for one in before.report.objects if one.action in _DONE}
    objects = [done.get(one.ref, one) if one.action is Action.UNCHANGED else one for one in now.report.objects]
    there = {one.ref for one in objects}
    pruned = [one for one in done.values() if one.action is Action.PRUNED and one.ref not in there]
    report = dataclasses.replace(now.report, objects=(*objects, *pruned))
    return dataclasses.replace(now, report=report)


async def _join(queues: Queues) -> None:
    """Wait until no queue has anything to do; one may add to another while it is waited for."""
    while any(queue.depth for queue in queues.values()):
        await asyncio.sleep(0)
        for queue in queues.values():
            await queue.join()


def _group_of(key: str) -> str:
    """Fairness: namespaces take turns."""
    return key.rpartition("/")[0]


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Any:  # noqa: ANN401 - a generator
    """Call ``stop`` on the first SIGTERM or SIGINT; a second one ends the process as usual."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)

    def once() -> None:
        for number in handled:
            loop.remove_signal_handler(number)
        stop()

    # Outside of the main thread, and on Windows, no handler can be set: then signals do what they always do.
    with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
        for number in handled:
            loop.add_signal_handler(number, once)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, NotImplementedError, RuntimeError):
            for number in handled:
                loop.remove_signal_handler(number)
