"""The contracts of Watcher, Renderer and Applier, and what they are given."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

from lostromos_core import firstlook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from lostromos_core.interfaces.rendered import Manifests, Rendered, Values
    from lostromos_core.interfaces.reports import Applied, Report
    from lostromos_core.interfaces.resources import Json, ObjectRef, Resource


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a template sees beside the resource: the operator's own variables, and other objects.

    ``lookup`` finds an object on behalf of the resource that is rendered: its data, None if it does not exist. Raises
    NotYetError if that is not known yet, RefusedError if the resource may not see it.
    """

    vars: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    lookup: Callable[[ObjectRef], Mapping[str, Json] | None] | None = None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """What a part of a controller may use; given to its ``start``.

    ``kube`` is the operator's view of the cluster (``lostromos_core.kube.Cluster``), which connects when it is first
    used. ``enqueue(key)`` asks for a reconcile of a resource. ``namespaces`` are those that the controller is limited
    to (empty: all). With ``dry_run`` nothing may be written anywhere; only parts that say ``can_dry_run`` are started
    then. ``operator`` is the identity of the operator, ``NAMESPACE/NAME``; empty if it has none. ``first_look`` knows
    whether all resources have been reconciled once since the start. The others are what plug-ins bring for templates.
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
        """The name of ``enqueue`` in version 0.1."""
        warnings.warn("Runtime.ring is now called enqueue; it will be removed in 0.3", DeprecationWarning, stacklevel=2)
        return self.enqueue


@runtime_checkable
class Startable(Protocol):
    """A Watcher, Renderer or Applier that wants to be told before the work begins."""

    async def start(self, runtime: Runtime) -> None:
        """Get ready, or raise ConfigError that says what to change."""


@runtime_checkable
class DryRunning(Protocol):
    """A Watcher or Applier that writes nothing when ``Runtime.dry_run`` is set, and says what it would have done.

    A part that does not declare ``can_dry_run = True`` is refused in a dry run.
    """

    can_dry_run: bool


class EventSink(Protocol):
    """Takes the keys of resources that need a reconcile; an event carries nothing but the key."""

    def enqueue(self, key: str) -> None:
        """Something about this key may have changed. Cheap, never blocks, may be called too often."""

    def synced(self) -> None:
        """All resources that existed at the start have been enqueued."""

    def trouble(self, message: str) -> None:
        """The source cannot be watched now, and why; empty when it can be again."""


@runtime_checkable
class Watcher(Protocol):
    """Where resources come from, are read, and where their status is reported.

    ``get`` and ``report`` may raise any LostromosError: the key then comes again, as ``errors.Retry`` says.
    """

    async def watch(self, sink: EventSink) -> None:
        """Ring for every resource that exists and for every change, until cancelled; recover from failures itself."""

    async def get(self, key: str) -> Resource | None:
        """The newest known state of a resource, or None if it is gone or no longer selected.

        None before the source has been read (``Doorbell.synced``) counts as "not known yet", not as gone: the key
        comes again. See ``Knowing`` for a watcher that can tell earlier.
        """

    async def report(self, resource: Resource, report: Report) -> None:
        """Say on the resource how it went; writes only if that says something new."""


@runtime_checkable
class Knowing(Protocol):
    """A Watcher of several sources, which can be known one after the other."""

    def knows(self, key: str) -> bool:
        """Whether the source of this key has been read, so that what ``get`` does not return is gone."""


@runtime_checkable
class Renderer(Protocol):
    """Turns a resource into what should exist. Pure: same resource and context, same result."""

    @property
    def produces(self) -> type[Manifests | Values]:
        """Which kind of Rendered it makes; must be what the applier accepts."""

    def render(self, resource: Resource, context: Context) -> Rendered:
        """Render, or raise RenderError with the place."""


def render(renderer: Renderer, resource: Resource, context: Context) -> Rendered | Awaitable[Rendered]:
    """Render in an event loop, to be awaited if it is an awaitable.

    A renderer that may take long has a coroutine ``render_in_turns``, with the parameters of ``render``, which does not
    take the loop from others meanwhile.
    """
    begin: Callable[[Resource, Context], Rendered | Awaitable[Rendered]]
    begin = getattr(renderer, "render_in_turns", renderer.render)
    return begin(resource, context)


@runtime_checkable
class Applier(Protocol):
    """Makes the target be what was rendered, on behalf of a resource, which owns what is applied."""

    @property
    def accepts(self) -> type[Manifests | Values]:
        """Which kind of Rendered it takes."""

    async def apply(self, owner: Resource, rendered: Rendered) -> Applied:
        """Apply; idempotent. One object's failure is an ObjectResult, not an exception.

        It is cancelled after 10 minutes, or after as many seconds as the attribute ``longest`` says, if that is more.
        """

    async def delete(self, key: str, owner: Resource | None) -> Applied:
        """The owner is going (or gone: None): remove what was applied for it; ``remaining`` is 0 when that is done."""
