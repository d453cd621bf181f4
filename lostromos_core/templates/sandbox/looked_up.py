"""Represent cluster objects in templates: a missing value is not an error, but makes the unit wait.

A field that is absent from a looked-up object is usually set later: an address that the cluster assigns, a status that
a controller writes. So using it raises NotYetError, unless ``default`` handles it.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Final, final

import jinja2

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, tokens
from lostromos_core.templates.sandbox import advice

MAPPING_METHODS = frozenset({"items", "keys", "values", "get"})
"""Methods of mappings that templates may call; a key of the same name takes precedence."""

MAX_READS: Final = 1_000
"""Objects that one resource may look up; each is watched."""
_LOOK: Final = 200
"""Steps of looking up an object."""
_KNOWING: Final = 200
"""Bytes of an item that records its origin."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@final
@dataclasses.dataclass(slots=True)
class Reading:
    """Hold the lookup function of the current rendering, and the objects that it has looked up."""

    find: Callable[[interfaces.ObjectRef], Mapping[str, Any] | None] | None
    namespace: str
    reads: set[interfaces.ObjectRef] = dataclasses.field(default_factory=set)
    seen: dict[interfaces.ObjectRef, LiveMapping] = dataclasses.field(default_factory=dict)


_reading: contextvars.ContextVar[Reading] = contextvars.ContextVar("reading")


@contextlib.contextmanager
def reading(what: Reading) -> Iterator[Reading]:
    """Let ``lookup`` find objects within the block."""
    reset = _reading.set(what)
    try:
        yield what
    finally:
        _reading.reset(reset)


def lookup(
    apiVersion: interfaces.Anything = "",  # noqa: N803 - the name in YAML
    kind: interfaces.Anything = None,
    name: interfaces.Anything = None,
    namespace: interfaces.Anything = None,
    **others: interfaces.Anything,
) -> interfaces.Anything:
    """Return an object of the cluster, in the resource's own namespace unless another is specified."""
    of_ansible = advice.of_lookup(apiVersion)
    if of_ansible or others:
        raise errors.RenderError(of_ansible or advice.TAKES)
    parts = [apiVersion, kind, name, *([] if namespace is None else [namespace])]
    for part in parts:
        if isinstance(part, jinja2.Undefined):
            str(part)
        if isinstance(part, tokens.Fragment) or not isinstance(part, str):
            raise errors.RenderError(advice.TAKES)
    now = _reading.get()
    ref = interfaces.ObjectRef(apiVersion, kind, now.namespace if namespace is None else namespace, name)
    if now.find is None:
        msg = "nothing can be looked up here"
        raise errors.RenderError(msg)
    if ref in now.seen:
        return now.seen[ref]
    now.reads.add(ref)
    if len(now.reads) > MAX_READS:
        msg = f"more than {MAX_READS:,} objects are looked up; limit the number of items in the resource's schema"
        raise errors.RenderError(msg)
    budget.now().spend(_LOOK)
    found = now.find(ref)
    if found is None:
        return not_yet(f"{ref} is not there yet", of=ref)
    now.seen[ref] = _live(found, (str(ref), ""), 0, budget.now())
    return now.seen[ref]


class Method:
    """Represent an undefined value that has the name of a mapping method, and can still be called."""

    __slots__ = ()
    # Jinja2 reads these from everything that it calls; reading them from an undefined value raises.
    unsafe_callable = alters_data = False
    jinja_pass_arg = None
    _undefined_obj: Any
    _undefined_name: Any

    def __call__(self, *args: interfaces.Anything, **kwargs: interfaces.Anything) -> interfaces.Anything:
        """Call the method."""
        return getattr(self._undefined_obj, self._undefined_name)(*args, **kwargs)


class NotYet(jinja2.StrictUndefined):
    """Represent a value that does not exist yet; values below it do not exist either."""

    __slots__ = ()


@final
class NotYetMethod(Method, NotYet):
    """Represent a field that does not exist yet and has the name of a mapping method."""

    __slots__ = ()


def not_yet(message: str, *, of: interfaces.ObjectRef | None = None) -> NotYet:
    """Return the placeholder for a value that does not exist yet."""
    return NotYet(hint=message, exc=functools.partial(errors.NotYetError, of=of))  # type: ignore[arg-type]


class LiveMapping(dict[str, Any]):
    """Hold a mapping of a looked-up object; ``where`` is its place, for messages."""

    where: tuple[str, str] = ("", "")

    def missing(self, name: object) -> NotYet:
        """Return the placeholder for a missing field."""
        message = _absent(self.where, f".{name}")
        if name in MAPPING_METHODS:
            raising: Any = functools.partial(errors.NotYetError, of=None)
            return NotYetMethod(hint=message, obj=self, name=str(name), exc=raising)
        return not_yet(message)


class LiveList(list[Any]):
    """Hold a list of a looked-up object."""

    where: tuple[str, str] = ("", "")

    def missing(self, index: object) -> NotYet:
        """Return the placeholder for a missing item."""
        return not_yet(_absent(self.where, f"[{index}]"))


def has(value: object, name: object) -> bool:
    """Decide whether ``below`` handles a value: it was looked up, or does not exist yet."""
    return isinstance(value, NotYet | LiveMapping) or (isinstance(value, LiveList) and isinstance(name, int))


def below(value: interfaces.Anything, name: interfaces.Anything) -> interfaces.Anything:
    """Return the value below such a value, by name or index."""
    if isinstance(value, NotYet):
        return value
    if isinstance(value, LiveMapping):
        return value[name] if name in value else value.missing(name)
    return value[name] if -len(value) <= name < len(value) else value.missing(name)


def _absent(where: tuple[str, str], step: str) -> str:
    origin, path = where
    return f"{origin} has no {(path + step).lstrip('.')} yet"


def _live(value: interfaces.Json, where: tuple[str, str], depth: int, now: budget.Budget) -> interfaces.Json:
    """Return a value in which every mapping and list records its origin, down to the levels that may be written."""
    if depth > budget.MAX_DEPTH or not isinstance(value, dict | list):
        return value
    now.spend(10 + 10 * len(value))
    now.make(_KNOWING * (1 + len(value)))
    origin, path = where
    if isinstance(value, dict):
        mapping = LiveMapping(
            (key, _live(item, (origin, f"{path}.{key}"), depth + 1, now)) for key, item in value.items()
        )
        mapping.where = where
        return mapping
    items = LiveList(_live(item, (origin, f"{path}[{index}]"), depth + 1, now) for index, item in enumerate(value))
    items.where = where
    return items
