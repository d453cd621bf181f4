"""Keep the live values that a chart generates anew at each rendering, such as passwords.

Helm renders once per revision; we render whenever the operator starts. So a rendering is compared with a second one,
and where they differ, the values of the live object are kept until the chart or the values change, as with a revision.
They are kept longer in Secrets of a chart that looks up existing objects, since that is its author's intention.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import http
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from lostromos_core import errors
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.ownership import inventory
from lostromos_core.kube.transport import paths
from lostromos_helm.templating import blending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.tracking import tracked_objects
    from lostromos_helm.objects import manifest

Path: TypeAlias = tuple[str | int, ...]
INPUT: Final = "lostromos.dev/input"
"""Annotation of an object with such values: the digest of the chart and values that they were made from."""
_SALTED: Final = ("$2a$", "$2b$", "$2y$")
"""Prefixes of bcrypt hashes, which differ each time for the same password."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Changing:
    """List differences between two renderings of the same input: leaves of objects, and objects with another name."""

    leaves: Mapping[tracked_objects.Key, Sequence[Path]]
    nameless: tuple[manifest.Item, ...] = ()


def compare(one: Sequence[manifest.Item], other: Sequence[manifest.Item]) -> Changing:
    """Return the differences between two renderings."""
    known = {item.ref.key: item for item in other}
    leaves = {}
    for item in one:
        twin = known.get(item.ref.key)
        if twin is not None and twin.digest != item.digest and (found := tuple(_leaves(item.data, twin.data, ()))):
            leaves[item.ref.key] = found
    return Changing(leaves, tuple(item for item in one if item.ref.key not in known))


def _leaves(one: interfaces.Json, other: interfaces.Json, path: Path) -> Iterator[Path]:
    """Yield the paths of strings and numbers that differ, where both renderings have the same structure."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in one.keys() & other.keys():
            yield from _leaves(one[key], other[key], (*path, key))
    elif isinstance(one, list) and isinstance(other, list):
        for index, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from _leaves(left, right, (*path, index))
    elif one != other and type(one) is type(other):
        yield path


@final
class Keeper:
    """Keep such values of one controller's objects."""

    def __init__(self, kube: cluster.Cluster) -> None:
        self._kube = kube

    async def keep(
        self,
        owner: interfaces.ObjectRef,
        one: Sequence[manifest.Item],
        other: Sequence[manifest.Item],
        *,
        made_of: str,
        looks: bool,
    ) -> Sequence[manifest.Item]:
        """Return a rendering with the live values of the owner's objects; raises ApiError.

        ``other``: a second rendering of the same input. ``made_of``: the digest of the chart and the values.
        ``looks``: the chart looks up existing objects.
        """
        leaves = compare(one, other).leaves
        twins = {item.ref.key: item for item in other}
        found = []
        for item in one:
            changing = leaves.get(item.ref.key)
            if changing:
                live = await self._read(item, owner)
                data = _kept(item, twins[item.ref.key], live, changing, made_of=made_of, looks=looks)
                found.append(dataclasses.replace(item, data=_marked(data, made_of)))
            else:
                found.append(item)
        return found

    async def _read(self, item: manifest.Item, owner: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        """Return the live object, or None if it does not exist or does not belong to the owner."""
        ref = item.ref
        try:
            kind = await self._kube.discovery.kind(ref.api_version, ref.kind)
            path = paths.item(ref.api_version, kind.plural, ref.namespace if kind.namespaced else "", ref.name)
            live: Mapping[str, Any] = await self._kube.request("GET", path, action=f"read {ref}")
        except discovery.NoSuchKindError:
            return None
        except errors.ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise
        return live if inventory.belongs_to(live["metadata"], owner) else None


def _kept(
    item: manifest.Item,
    twin: manifest.Item,
    live: Mapping[str, Any] | None,
    changing: Sequence[Path],
    *,
    made_of: str,
    looks: bool,
) -> interfaces.Anything:
    """Return an object with the live values at some paths, if they are still valid."""
    data: Any = item.data
    if live is None:
        return data
    same = (live["metadata"].get("annotations") or {}).get(INPUT) == made_of
    lasting = looks and item.ref.kind == "Secret" and item.ref.api_version == "v1"
    for path in changing:
        values, encoded = _values((item.data, twin.data, live), path)
        one, other, there = values
        if type(there) is not type(one) or not (same or (lasting and not _is_salted(there))):
            continue
        value = blending.blend(one, other, there) if isinstance(there, str) else there
        if value is not None:
            data = _with(data, path, base64.b64encode(value.encode()).decode() if encoded else value)
    return data


def _is_salted(value: interfaces.Json) -> bool:
    return isinstance(value, str) and any(mark in value for mark in _SALTED)


def _values(objects: Sequence[Mapping[str, Any]], path: Path) -> tuple[Sequence[Any], bool]:
    """Return the objects' values at a path, None where missing, and whether they are strings decoded from Secrets."""
    found = [_at(one, path) for one in objects]
    if not _is_secret(objects[0]) or path[0] not in {"data", "stringData"}:
        return found, False
    written = path[0] == "data"
    found[-1] = _at(objects[-1], ("data", *path[1:]))
    try:
        plain = [base64.b64decode(one, validate=True).decode() for one in (found if written else found[-1:])]
    except (binascii.Error, ValueError, TypeError):
        return (found if written else [*found[:-1], None]), False
    return (plain, True) if written else ([*found[:-1], *plain], False)


def _at(data: interfaces.Json, path: Path) -> interfaces.Json:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _is_secret(data: Mapping[str, Any]) -> bool:
    return data.get("kind") == "Secret" and data.get("apiVersion") == "v1"


def _with(data: interfaces.Json, path: Path, value: interfaces.Json) -> interfaces.Json:
    """Return a copy with another value at a path."""
    if not path:
        return value
    step, *rest = path
    inner = _with(data[step], tuple(rest), value)
    if isinstance(data, list):
        return [inner if index == step else one for index, one in enumerate(data)]
    return {**data, step: inner}


def _marked(data: Mapping[str, Any], made_of: str) -> Mapping[str, Any]:
    metadata = data["metadata"]
    annotations = metadata.get("annotations")
    marked = {**(annotations if isinstance(annotations, dict) else {}), INPUT: made_of}
    return {**data, "metadata": {**metadata, "annotations": marked}}
