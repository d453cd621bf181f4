"""Define the Controller: one watched kind, what is rendered for it, and how the result is applied."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from typing import TYPE_CHECKING, final

import structlog

from lostromos_core import errors, interfaces
from lostromos_core.engine import reconcile, supervision
from lostromos_core.kube.lookup import lookups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lostromos_core import plugins

_log = structlog.get_logger("lostromos.controller")

MOST_WORKERS = 256
"""Maximum number of resources of a controller that are reconciled at the same time."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


def check_name(name: str) -> None:
    """Raise ConfigError if the name is not valid for a controller."""
    if not _NAME.fullmatch(name):
        msg = f"the name {name!r} cannot be used: use lower-case letters, digits and '-', at most 40 characters"
        raise errors.ConfigError(msg)


def check_workers(option: str, count: int) -> None:
    """Raise ConfigError unless an option is a number of workers."""
    if not 1 <= count <= MOST_WORKERS:
        msg = f"{option} is {count}; choose a number from 1 to {MOST_WORKERS}"
        raise errors.ConfigError(msg)


def check_deadline(deadline: float) -> None:
    """Raise ConfigError unless the deadline is a number of seconds."""
    if not 0 < deadline < math.inf:
        msg = f"deadline is {deadline:g}; choose a number of seconds above 0"
        raise errors.ConfigError(msg)


def check_fit(render: interfaces.Renderer, apply: interfaces.Applier) -> None:
    """Raise ConfigError if the applier does not accept what the renderer produces."""
    if render.produces is not apply.accepts:
        msg = (
            f"the renderer makes {render.produces.__name__}, but the applier takes {apply.accepts.__name__}; choose a "
            "matching renderer and applier"
        )
        raise errors.ConfigError(msg)


@final
class Controller:
    """Combine a Watcher, a Renderer and an Applier under a name.

    ``lookup``: what templates may look up beyond the resource's own namespace and objects. ``resync``: seconds after
    which each resource is reconciled again even if nothing changed; 0: never. ``concurrency``: how many resources are
    reconciled at the same time, 1 to 256; by default as many as the Operator says. ``deadline``: seconds that one
    reconcile may take, unless the applier needs more; then it is stopped, reported, and retried.

    The name becomes part of field managers and annotations on the cluster: lower-case letters, digits and ``-``, at
    most 40 characters; changing it later creates a different controller. Raises ConfigError if the parts do not fit.
    """

    def __init__(
        self,
        name: str,
        *,
        watch: interfaces.Watcher,
        render: interfaces.Renderer,
        apply: interfaces.Applier,
        lookup: lookups.Policy | None = None,
        resync: float = 0.0,
        concurrency: int | None = None,
        deadline: float = reconcile.DEADLINE,
    ) -> None:
        check_name(name)
        if concurrency is not None:
            check_workers("concurrency", concurrency)
        check_deadline(deadline)
        try:
            check_fit(render, apply)
        except errors.ConfigError as error:
            raise errors.ConfigError(f"controller {name}: {error}") from error
        self.name = name
        self._watcher = watch
        self._renderer = render
        self._applier = apply
        self._policy = lookup or lookups.Policy()
        self._lookups: lookups.Lookups | None = None
        self.resync = resync
        self.concurrency = concurrency
        self._deadline = deadline
        self._started: list[interfaces.Startable] = []

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces that the watcher is limited to; empty if it is not limited."""
        return tuple(getattr(self._watcher, "namespaces", ()))

    def overlaps(self, other: Controller) -> bool:
        """Return whether both controllers could select the same resource."""
        overlaps = getattr(self._watcher, "overlaps", None)
        return bool(overlaps and overlaps(other._watcher))

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Start all parts; raises ConfigError, in a dry run also for a part that does not support dry runs."""
        if runtime.dry_run:
            self._refuse_what_would_write()
        for part in (self._watcher, self._renderer, self._applier):
            if isinstance(part, interfaces.Startable):
                await part.start(runtime)
                self._started.append(part)
        self._lookups = lookups.Lookups(runtime, self._policy)

    async def stop(self, seconds: float) -> None:
        """Stop the parts that have been started, the last one first; log what fails, or takes too long."""
        while self._started:
            part = self._started.pop()
            if not isinstance(part, interfaces.Stoppable):
                continue
            log = _log.bind(controller=self.name, part=type(part).__name__)
            try:
                async with asyncio.timeout(seconds):
                    await part.stop()
            except TimeoutError:
                log.exception("a part did not stop in time", seconds=seconds)
            except asyncio.CancelledError:
                if reconcile.is_cancelled():
                    raise
                log.exception("a part could not be stopped")
            except Exception:
                log.exception("a part could not be stopped")

    def _refuse_what_would_write(self) -> None:
        """Raise ConfigError if the watcher or the applier does not declare that it supports dry runs."""
        for role, part in (("watcher", self._watcher), ("applier", self._applier)):
            if not (isinstance(part, interfaces.DryRunning) and part.can_dry_run):
                msg = (
                    f"controller {self.name}: the {role} {type(part).__name__} has no dry run, and would write; omit "
                    "--dry-run, or ask its author to support `Runtime.dry_run` and set `can_dry_run = True`"
                )
                raise errors.ConfigError(msg)

    async def watch(self, enqueue: Callable[[str], None], state: supervision.WatchState) -> None:
        """Enqueue every resource, until cancelled."""
        await self._watcher.watch(supervision.StateSink(self.name, enqueue, state))

    def bind(
        self, context: interfaces.Context, registry: plugins.Registry, state: supervision.WatchState
    ) -> reconcile.ControllerContext:
        """Return what a reconcile needs; ``state`` holds whether the watcher has read its source."""
        watcher = self._watcher

        def review(resource: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Anything:
            return registry.review(self.name, resource, rendered)

        def knows(key: str) -> bool:
            return watcher.knows(key) if isinstance(watcher, interfaces.Knowing) else state.synced

        return reconcile.ControllerContext(
            self.name,
            watcher,
            self._renderer,
            self._applier,
            context,
            review,
            self._lookups,
            self.resync,
            knows=knows,
            deadline=max(self._deadline, float(getattr(self._applier, "longest", 0.0))),
        )


def refuse_overlap(controllers: Sequence[Controller]) -> None:
    """Raise ConfigError if two controllers could select the same resource."""
    for first, second in itertools.combinations(controllers, 2):
        if first.overlaps(second):
            msg = (
                f"the controllers {first.name!r} and {second.name!r} can select the same resource and would fight over "
                "it; give them different `namespaces`, `labels` (key=value) or `annotation` (key=value)"
            )
            raise errors.ConfigError(msg)
