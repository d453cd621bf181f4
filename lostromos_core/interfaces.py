"""The three contracts of Lostrómos, Watcher, Renderer and Applier, and the values that cross them.

A Watcher knows where resources come from; a Renderer turns one into what should exist; an Applier makes it so.
They never see each other: ``reconcile`` carries the values. Every method may be written as ``async def``; the
values are frozen, and the plain data inside of them (``Resource.data``, ``Manifest.data``) is read-only by
agreement, since it is shared and not copied.
"""

from __future__ import annotations

import dataclasses
import enum
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final, runtime_checkable

from lostromos_core import errors, firstlook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

Json: TypeAlias = Any
"""Plain data: None, bool, int, float, str, and lists and string-keyed dicts of these."""

Path: TypeAlias = "Sequence[str | int]"
"""A way into plain data: ``("spec", "ports", 0, "port")``."""


def texts(value: Json) -> Iterator[str]:
    """All texts in plain data, but for the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class ObjectRef:
    """The identity of a Kubernetes object; ``namespace`` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Group, kind, namespace and name: the same, whatever version of the group is spoken."""
        return self.group, self.kind, self.namespace, self.name

    def __str__(self) -> str:
        """``Service team-a/shop``, as people say it; harmless in a log, whatever the name holds."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return errors.shorten(f"{self.kind} {where}", 300)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """One watched thing: a custom resource, or an item of another source.

    ``key`` is unique within its Watcher (``namespace/name`` for Kubernetes). ``data`` is the whole of it as plain
    data. ``generation`` grows with every change that its author makes (0 if the source does not count). ``deleting``
    is true when it shall be cleaned up: from the moment somebody asked to delete it, or when it left the selection.
    ``unreadable`` says why its data cannot be read, if so; ``data`` then holds no more than metadata and status.
    """

    key: str
    ref: ObjectRef
    uid: str
    data: Mapping[str, Json]
    generation: int = 0
    deleting: bool = False
    unreadable: str = ""

    @property
    def metadata(self) -> Mapping[str, Json]:
        """The ``metadata`` of ``data``, empty if there is none."""
        found: Mapping[str, Json] = self.data.get("metadata") or {}
        return found

    @property
    def status(self) -> Mapping[str, Json]:
        """Return the ``status`` of ``data``; empty if there is none, or if it is no mapping: others may write it."""
        found = self.data.get("status")
        return found if isinstance(found, dict) else {}


CONTROL_PREFIXES = ("applyset.kubernetes.io/", "lostromos.dev/")
"""Begin the labels and annotations that tell the operator what to do, and those that it writes itself."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where in a template something comes from: the file, its line (from 1) and the expression that fed it."""

    file: str
    line: int
    expression: str = ""

    def __str__(self) -> str:
        """``templates/service.yaml:12``, what editors open; without the line if it is not known."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Source(Protocol):
    """Knows which place of which template fed a field."""

    def locate(self, path: Path) -> Place | None:
        """The place of the deepest node on ``path`` that is known."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """One object that should exist: plain data with apiVersion, kind and metadata.name, and where it came from."""

    data: Mapping[str, Json]
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def ref(self) -> ObjectRef:
        """Its identity, as written: the namespace is empty if the template names none."""
        metadata = self.data["metadata"]
        return ObjectRef(self.data["apiVersion"], self.data["kind"], metadata.get("namespace") or "", metadata["name"])

    def locate(self, path: Path = ()) -> Place | None:
        """Where the field at ``path`` comes from, as well as it is known."""
        return self.source.locate(path) if self.source else None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What one template file made: its manifests, or the reason why they have to wait for something.

    A waiting unit has no manifests; what it applied earlier stays as it is until it no longer waits. A ``stuck`` one
    waits for what can never come, since it waits for itself.
    """

    name: str
    manifests: tuple[Manifest, ...] = ()
    waiting: str = ""
    stuck: bool = False


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Manifests:
    """Rendered as Kubernetes objects, one unit a template file.

    ``reads`` are the objects that were looked up. ``status`` are fields for the resource's own status; None if they
    cannot be told now, and stay as they are.
    """

    units: tuple[Unit, ...]
    reads: frozenset[ObjectRef] = frozenset()
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """All manifests of all units, in order."""
        return tuple(manifest for unit in self.units for manifest in unit.manifests)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Values:
    """Rendered as one tree of values, what a Helm chart takes; ``waiting`` says why it cannot be used yet.

    ``source`` knows where each value comes from. ``hidden`` are texts that the resource's author must not see: the
    operator's variables, and Secrets that were looked up. ``reads`` and ``status`` are as in Manifests.
    """

    values: Mapping[str, Json]
    reads: frozenset[ObjectRef] = frozenset()
    waiting: str = ""
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)
    source: Source | None = dataclasses.field(default=None, repr=False, compare=False)
    hidden: frozenset[str] = dataclasses.field(default=frozenset(), repr=False, compare=False)

    def locate(self, path: Path) -> Place | None:
        """Where the value at ``path`` comes from, as well as it is known; its file may be empty: then it is a field."""
        return self.source.locate(path) if self.source else None


Rendered: TypeAlias = Manifests | Values


class Action(enum.Enum):
    """What was done with one object; ``drifted``: somebody changed it, and it is left so."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    FAILED = "failed"
    DELETED = "deleted"
    PRUNED = "pruned"
    DRIFTED = "drifted"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class ObjectResult:
    """How one object fared. ``place`` (file:line) and ``retryable`` matter for failures only.

    ``after``: how many seconds later it is worth another try, if that is known.
    """

    ref: ObjectRef
    action: Action
    message: str = ""
    place: str = ""
    retryable: bool = False
    after: float | None = None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """How an apply or a delete fared, object by object; ``remaining`` counts what a delete still waits for.

    ``status`` are fields that the applier wants on the resource's status; None leaves them as they are.
    """

    objects: tuple[ObjectResult, ...] = ()
    remaining: int = 0
    status: Mapping[str, Json] | None = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """The objects that could not be made as rendered."""
        return tuple(result for result in self.objects if result.action is Action.FAILED)

    @property
    def waiting(self) -> tuple[ObjectResult, ...]:
        """The objects that have to wait for something."""
        return tuple(result for result in self.objects if result.action is Action.WAITING)

    @property
    def after(self) -> float | None:
        """When to come again, in seconds, if an object says so."""
        return min((result.after for result in self.objects if result.after is not None), default=None)


PROGRESS = frozenset({"Waiting", "Deleting"})
"""Reasons not to be ready that are no failures."""
RELEASED = "Released"
"""Reason of the last report on a resource that left the selection: nobody looks after it any more."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What the author of a resource should know. ``reason`` is one CamelCase word, ``message`` a sentence.

    Not ready and retrying is "reconciling": it is likely to become ready by itself. Not ready and not retrying is
    "stalled": something has to be changed; it is tried again all the same, in longer and longer intervals.
    ``paused``: nobody looks after it now, so whether it is ready is not known. ``status``: the template author's own
    fields; None leaves them as they are.
    """

    ready: bool
    reason: str
    message: str
    retrying: bool = False
    objects: tuple[ObjectResult, ...] = ()
    paused: bool = False
    status: Mapping[str, Json] | None = None

    @property
    def is_progress(self) -> bool:
        """Whether nothing has failed, though it is not ready."""
        return not self.ready and (self.paused or self.reason in PROGRESS)


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


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the queue does with a key after a reconcile: forget it, or come again.

    ``after`` is in seconds; None with ``retry`` set means: after the key's own back-off, which has a ceiling of 5
    minutes, or of an hour when it is ``slow``; ``at_most`` is the longest that the back-off may be, in seconds.
    """

    retry: bool = False
    after: float | None = None
    slow: bool = False
    at_most: float = float("inf")

    @classmethod
    def done(cls) -> Outcome:
        """Nothing to do until something changes."""
        return cls()

    @classmethod
    def again(cls, after: float | None = None, *, slow: bool = False) -> Outcome:
        """Come again in ``after`` seconds, or after the back-off if the time is not known."""
        return cls(retry=True, after=after, slow=slow)
