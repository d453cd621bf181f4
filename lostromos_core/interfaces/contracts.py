"""Define the contracts of Watcher, Renderer and Applier, and their parameters."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

from lostromos_core import deprecations, firstlook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from lostromos_core.interfaces.rendered import Manifests, Rendered, Values
    from lostromos_core.interfaces.reports import Applied, Report
    from lostromos_core.interfaces.resources import Json, ObjectRef, Resource


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """Hold what a template sees besides the resource: the operator's own variables, and other objects.

    ``lookup`` finds an object on behalf of the resource that is rendered: it returns the data, or None if the object
    does not exist. It raises NotYetError if that is not known yet, RefusedError if the resource may not see the object.
    """

    vars: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    lookup: Callable[[ObjectRef], Mapping[str, Json] | None] | None = None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """Hold what a part of a controller may use; passed to its ``start``.

    ``kube`` is the operator's view of the cluster (``lostromos_core.kube.Cluster``), which connects when it is first
    used. ``enqueue(key)`` requests a reconcile of a resource. ``namespaces`` are those that the controller is limited
    to (empty: all). With ``dry_run`` nothing may be written anywhere; only parts that declare ``can_dry_run`` are
    started then. ``operator`` is the identity of the operator, ``NAMESPACE/NAME``; empty if it has none. ``first_look``
    tracks whether all resources have been reconciled once since the start. The other fields are what plug-ins provide
    for templates.
    """

    controller: str
    kube: Any
    enqueue: Callable[[str], None] = lambda _key: None
    namespaces: Sequence[str] = ()
    dry_run: bool = False
    operator: str = ""
    filters: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    tests: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)
    functions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    first_look: firstlook.FirstLook = dataclasses.field(default_factory=firstlook.FirstLook.ended)

    @property
    def ring(self) -> Callable[[str], None]:
        """Return ``enqueue``; this is its name in version 0.1."""
        deprecations.warn("Runtime.ring", "called enqueue")
        return self.enqueue


@runtime_checkable
class Startable(Protocol):
    """Prepare before work begins; optional for a Watcher, Renderer or Applier."""

    async def start(self, runtime: Runtime) -> None:
        """Get ready, or raise ConfigError that says what to change."""


@runtime_checkable
class Stoppable(Protocol):
    """Release what ``start`` has opened; optional for a Watcher, Renderer or Applier that is started."""

    async def stop(self) -> None:
        """Close connections and end background tasks, within 2 seconds; all work has ended.

        Called once for each successful ``start``. An exception is logged.
        """


@runtime_checkable
class DryRunning(Protocol):
    """Write nothing when ``Runtime.dry_run`` is set, and report what would have been done.

    A Watcher or Applier that does not declare ``can_dry_run = True`` is refused in a dry run.
    """

    can_dry_run: bool


class EventSink(Protocol):
    """Accept the keys of resources that need a reconcile; an event contains only the key."""

    def enqueue(self, key: str) -> None:
        """Enqueue a key that may have changed. Cheap, never blocks, may be called too often."""

    def synced(self) -> None:
        """Report that all resources that existed at startup have been enqueued."""

    def trouble(self, message: str) -> None:
        """Report why the source cannot be watched now; an empty message means that it can be again."""


@runtime_checkable
class Watcher(Protocol):
    """Watch and read the resources of a source, and report their status.

    ``get`` and ``report`` may raise any LostromosError: the key is then retried, as ``errors.Retry`` specifies.
    """

    async def watch(self, sink: EventSink) -> None:
        """Enqueue every existing resource and every change, until cancelled; handle failures internally."""

    async def get(self, key: str) -> Resource | None:
        """Return the newest known state of a resource, or None if it is gone or no longer selected.

        None before the source has been read (``EventSink.synced``) means "not known yet", not gone: the key is retried.
        See ``Knowing`` for a watcher that can tell earlier.
        """

    async def report(self, resource: Resource, report: Report) -> None:
        """Write a report to the resource; write only if that changes something."""


@runtime_checkable
class Knowing(Protocol):
    """Extend a Watcher that has several sources, which become known one after the other."""

    def knows(self, key: str) -> bool:
        """Return whether the source of this key has been read, so that a key that ``get`` does not find is gone."""


@runtime_checkable
class Renderer(Protocol):
    """Turn a resource into what should exist. Pure: the same resource and context give the same result."""

    @property
    def produces(self) -> type[Manifests | Values]:
        """Return the kind of Rendered that it makes; must be the one that the applier accepts."""

    def render(self, resource: Resource, context: Context) -> Rendered:
        """Render, or raise RenderError with the place."""


def render(renderer: Renderer, resource: Resource, context: Context) -> Rendered | Awaitable[Rendered]:
    """Render in an event loop; return the result, or an awaitable of it.

    A renderer that may take long has a coroutine ``render_in_turns``, with the parameters of ``render``, which does not
    block the loop.
    """
    begin: Callable[[Resource, Context], Rendered | Awaitable[Rendered]]
    begin = getattr(renderer, "render_in_turns", renderer.render)
    return begin(resource, context)


@runtime_checkable
class Applier(Protocol):
    """Make the target match what was rendered, on behalf of a resource, which owns what is applied."""

    @property
    def accepts(self) -> type[Manifests | Values]:
        """Return the kind of Rendered that it accepts."""

    async def apply(self, owner: Resource, rendered: Rendered) -> Applied:
        """Apply; idempotent. One object's failure is an ObjectResult, not an exception.

        It is cancelled after 10 minutes, or after the seconds in the attribute ``longest``, if that is more.
        """

    async def delete(self, key: str, owner: Resource | None) -> Applied:
        """Remove what was applied for an owner that is being deleted or gone (None); done at ``remaining`` 0."""
