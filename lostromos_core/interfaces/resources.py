"""Define the resources that a Watcher returns, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Json: TypeAlias = Any
"""Plain data: None, bool, int, float, str, and lists and string-keyed dicts of these."""


Anything: TypeAlias = Any
"""Any object at all, for the few places where no other type is true: a value of a template, or of an untyped library.

It is an alias of Any, as Json is: mypy then checks nothing about these values, and reading them costs no cast.
"""

Path: TypeAlias = "Sequence[str | int]"
"""A path into plain data: ``("spec", "ports", 0, "port")``."""


def texts(value: Json) -> Iterator[str]:
    """Yield all strings in plain data, except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def group_of(api_version: str) -> str:
    """Return the API group of an ``apiVersion``; empty for the core group."""
    return api_version.rpartition("/")[0]


def join_key(namespace: str, name: str) -> str:
    """Return the key of an object: ``namespace/name``, or the name alone if it is cluster-scoped."""
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str, str]:
    """Return the namespace in a key, empty for a cluster-scoped object, and the name."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


@final
@dataclasses.dataclass(frozen=True, slots=True)
class ObjectRef:
    """Identify a Kubernetes object; ``namespace`` is empty for cluster-scoped kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """Return the API group; empty for the core group."""
        return group_of(self.api_version)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return group, kind, namespace and name: the same for every version of the group."""
        return self.group, self.kind, self.namespace, self.name

    def __str__(self) -> str:
        """Return ``Service team-a/shop``, as people write it; safe in a log, whatever the name contains."""
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return errors.shorten(f"{self.kind} {where}", 300)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """Describe one watched resource: a custom resource, or an item of another source.

    ``key`` is unique within its Watcher (``namespace/name`` for Kubernetes). ``data`` is the whole resource as plain
    data. ``generation`` grows with every change that its author makes (0 if the source does not count). ``deleting`` is
    true when its objects are to be cleaned up: its deletion was requested, or it left the selection. ``unreadable``
    says why its data cannot be read, if so; ``data`` then contains only metadata and status.
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
        """Return the ``metadata`` of ``data``; empty if missing."""
        found: Mapping[str, Json] = self.data.get("metadata") or {}
        return found

    @property
    def status(self) -> Mapping[str, Json]:
        """Return the ``status`` of ``data``; empty if missing or not a mapping, since other clients may write it."""
        found = self.data.get("status")
        return found if isinstance(found, dict) else {}
