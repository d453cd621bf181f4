"""Look up the defaults of list item keys: an item of ``ports`` without ``protocol`` gets TCP from the API server.

``managedFields`` identify such an item by all of its keys, so without the defaults it is mistaken for another one.
Built-in kinds have one such default; for custom kinds, read the OpenAPI document of their group and version.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final, final

import structlog

from lostromos_core import errors
from lostromos_core.kube.kinds import schema as schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core import interfaces
    from lostromos_core.kube.kinds import discovery
    from lostromos_core.kube.transport import client

BUILT_IN_GROUPS: Final = frozenset({
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps",
    "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io",
    "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io",
    "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
    "storagemigration.k8s.io",
})  # fmt: skip
BELIEVE: Final = 600.0
"""Seconds after which the schema of a custom kind is read again, since its definition may have changed."""
_log = structlog.get_logger("lostromos.kube")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Defaults:
    """Hold the defaults of list item keys, at one place in a kind's schema and below it.

    ``keys`` are those of the items, if the place is a list. ``everywhere``: the same applies to all places below.
    """

    keys: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    below: Mapping[str, Defaults] = dataclasses.field(default_factory=dict)
    everywhere: bool = False

    def at(self, field: str) -> Defaults:
        """Return the defaults at a field of a mapping."""
        return self if self.everywhere else self.below.get(field, NONE)

    def in_items(self) -> Defaults:
        """Return the defaults in the items of a list."""
        return self if self.everywhere else self.below.get(_ITEMS, NONE)


_ITEMS: Final = "[]"
NONE: Final = Defaults()
BUILT_IN: Final = Defaults({"protocol": "TCP"}, everywhere=True)


@final
class ListKeys:
    """Provide the defaults of all kinds of a cluster; those of custom kinds are read on demand and cached."""

    def __init__(self, kube: client.Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Defaults]] = {}
        self._reading = asyncio.Lock()

    async def of(self, kind: discovery.Kind, body: Mapping[str, Any]) -> Defaults:
        """Return the defaults for an object; those of a custom kind are read only if it has lists of mappings.

        Return no defaults if they cannot be read.
        """
        if kind.group in BUILT_IN_GROUPS:
            return BUILT_IN
        known = self._get(kind)
        if known is not None or not _has_items(body):
            return known or NONE
        async with self._reading:
            known = self._get(kind)
            if known is None:
                known = await self._read(kind)
                self._known[kind.api_version, kind.name] = self._clock() + BELIEVE, known
        return known

    def _get(self, kind: discovery.Kind) -> Defaults | None:
        until, known = self._known.get((kind.api_version, kind.name), (float("-inf"), NONE))
        return known if self._clock() < until else None

    async def _read(self, kind: discovery.Kind) -> Defaults:
        try:
            found = await schemas.schema_of(self._kube, kind.api_version, kind.name)
        except errors.ApiError as error:
            _log.info("the keys of list items are not known", kind=kind.name, reason=str(error))
            return NONE
        return read(found)


def read(schema: Mapping[str, Any]) -> Defaults:
    """Return the defaults that an OpenAPI schema specifies."""
    keys: dict[str, Any] = {}
    below: dict[str, Defaults] = {}
    items = schema.get("items")
    if isinstance(items, dict):
        properties = items.get("properties") or {}
        names = schema.get("x-kubernetes-list-map-keys") or ()
        keys = {name: properties[name]["default"] for name in names if "default" in (properties.get(name) or {})}
        _keep(below, _ITEMS, items)
    for name, deeper in (schema.get("properties") or {}).items():
        if isinstance(deeper, dict):
            _keep(below, name, deeper)
    return Defaults(keys, below) if keys or below else NONE


def _keep(below: dict[str, Defaults], step: str, schema: Mapping[str, Any]) -> None:
    found = read(schema)
    if found is not NONE:
        below[step] = found


def _has_items(value: interfaces.Json) -> bool:
    """Return whether a value contains a list of mappings, apart from the metadata."""
    if isinstance(value, dict):
        return any(
            _has_items(item) for key, item in value.items() if key != "metadata" and isinstance(item, dict | list)
        )
    return isinstance(value, list) and any(isinstance(item, dict) or _has_items(item) for item in value)
