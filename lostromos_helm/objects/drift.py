"""Find by dry runs where a release's objects differ from what Helm applied, and repair them.

The API server itself reports what applying an object again would change. It takes defaults, keyed lists and admission
into account, where comparing texts would report false differences.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import dataclasses
import http
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.managed_fields import applying, fields
from lostromos_core.kube.transport import media_types, operations, paths
from lostromos_helm.objects import watched_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_helm.objects import manifest
    from lostromos_helm.release import releases

DELETED: Final = "it was deleted"
SHOWN: Final = 3
"""Fields of one object that are listed in a message."""
_TRIES: Final = 3
_ABSENT: Final = "1"
"""A resourceVersion that no object has: an apply with it creates the object, or fails with a conflict."""
_BOOKKEEPING: Final = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """Describe a difference: some fields, or the whole object if missing. ``held``: see ``watched_objects.Seen``."""

    fields: tuple[str, ...] = ()
    missing: bool = False
    held: str = ""

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return self.missing or bool(self.fields)

    def __str__(self) -> str:
        """Return a readable summary, without values."""
        if self.missing:
            return DELETED
        more = f" and {len(self.fields) - SHOWN} more" if len(self.fields) > SHOWN else ""
        return f"changed: {', '.join(self.fields[:SHOWN])}{more}"


@final
class Drift:
    """Find and repair drift. ``ignore``: JSON pointers by kind, to fields that others may change."""

    def __init__(self, kube: cluster.Cluster, ignore: Mapping[str, Sequence[str]], *, adopt: bool = False) -> None:
        self._kube = kube
        self._ignore = ignore
        self._adopt = adopt

    async def find(self, item: manifest.Item, place: releases.Place) -> Difference:
        """Return what applying an object again would change; raises ApiError, RefusedError if it is not the release's.

        Nothing differs in an object that is being deleted: once it is gone, it is missing.
        """
        path = await self._path(item)
        there = await self._read(item, path)
        if there is None:
            return Difference(missing=True)
        self._refuse_foreign(item, place, there)
        if "deletionTimestamp" in there["metadata"]:
            return Difference(held=watched_objects.held_of(there))
        made = await self._apply(item, place, path, there, dry_run=True)
        return Difference(tuple(_differences(_view(there), _view(made), "")), held=watched_objects.held_of(there))

    async def try_out(self, item: manifest.Item, place: releases.Place) -> None:
        """Apply an object in a dry run; raises the API server's objections.

        Managed fields of the release's own object that name versions no longer served are rewritten, so that Helm can
        apply it next time.
        """
        path = await self._path(item)
        there = await self._read(item, path)
        if there is not None and not watched_objects.belongs(there["metadata"], place):
            there = None
        await self._apply(item, place, path, there, dry_run=True)

    async def repair(self, item: manifest.Item, place: releases.Place) -> str:
        """Apply an object again, over changes by others, and return what Helm then owns; see ``watched_objects.Seen``.

        Raises ApiError, RefusedError if it is not the release's.
        Ignored fields stay as they are: changes that others make to them meanwhile are not undone.
        """
        path = await self._path(item)
        attempt = 0
        while True:
            there = await self._read(item, path)
            if there is not None:
                self._refuse_foreign(item, place, there)
            try:
                return watched_objects.held_of(await self._apply(item, place, path, there, dry_run=False))
            except errors.ApiError as error:
                attempt += 1
                if not _is_another(error) or attempt == _TRIES:
                    raise

    async def refuse_foreign(self, item: manifest.Item, place: releases.Place, *, proven: bool) -> None:
        """Raise RefusedError if an object exists and is not the release's; raises ApiError.

        Unless ``proven``, nothing outside of the release's namespace is adopted.
        """
        ref = item.ref
        try:
            kind = await self._kube.discovery.in_any_version(ref.api_version, ref.kind)
        except discovery.NoSuchKindError:
            return
        adopt = self._adopt and (proven or (kind.namespaced and ref.namespace == place[0]))
        there = None if adopt else await operations.find(self._kube, await self._path(item), str(ref))
        if there is not None and not watched_objects.belongs(there, place):
            raise _foreign(item, there)

    def _refuse_foreign(self, item: manifest.Item, place: releases.Place, there: Mapping[str, Any]) -> None:
        if not self._adopt and not watched_objects.belongs(there["metadata"], place):
            raise _foreign(item, there["metadata"])

    async def _read(self, item: manifest.Item, path: str) -> Mapping[str, Any] | None:
        """Return the live object, None if it is gone."""
        try:
            found: Mapping[str, Any] = await self._kube.request("GET", path, action=f"read {item.ref}")
        except errors.ApiError as error:
            if operations.lacks_kind(error):
                self._kube.discovery.look_again()
                raise
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    async def _path(self, item: manifest.Item) -> str:
        ref = item.ref
        kind = await self._kube.discovery.in_any_version(ref.api_version, ref.kind)
        return paths.item(kind.api_version, kind.plural, ref.namespace if kind.namespaced else "", ref.name)

    async def _apply(
        self,
        item: manifest.Item,
        place: releases.Place,
        path: str,
        there: Mapping[str, Any] | None,
        *,
        dry_run: bool,
    ) -> interfaces.Json:
        query = operations.apply_query(watched_objects.MANAGER, force=True)
        kind = await self._kube.discovery.in_any_version(item.ref.api_version, item.ref.kind)
        body = {**self._body(item, place, there), "apiVersion": kind.api_version}
        if not dry_run:
            # An object created, deleted or recreated meanwhile is not touched.
            body["metadata"] |= _as_seen(there, ignoring=item.ref.kind in self._ignore)
        action = f"{'compare' if dry_run else 'repair'} {item.ref}"
        query |= {"dryRun": "All"} if dry_run else {}
        if there is None:  # or not the release's: its managed fields are left alone
            return await self._kube.request(
                "PATCH", path, action=action, query=query, body=body, content_type=media_types.APPLY
            )
        return await applying.apply(self._kube, path, action=action, query=query, body=body, accept=media_types.JSON)

    def _body(self, item: manifest.Item, place: releases.Place, there: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return an object as Helm applies it: with Helm's label and annotations, and ignored fields as in ``there``.

        Omitting an ignored field would remove it if only Helm owns it.
        """
        metadata = item.data["metadata"]
        marked = {
            **metadata,
            "labels": {**(metadata.get("labels") or {}), **watched_objects.LABELS},
            "annotations": {
                **(metadata.get("annotations") or {}),
                watched_objects.RELEASE: place[1],
                watched_objects.NAMESPACE: place[0],
            },
        }
        body = {**item.data, "metadata": marked}
        body.pop("status", None)
        for pointer in self._ignore.get(item.ref.kind, ()) if there else ():
            body = _as_there(body, there, fields.point(pointer, body))
        return body


def _foreign(item: manifest.Item, metadata: Mapping[str, Any]) -> errors.RefusedError:
    other = (metadata.get("annotations") or {}).get(watched_objects.RELEASE)
    whose = f"belongs to the release {errors.shorten(str(other), 80)}" if other else "does not belong to the release"
    msg = f"{item.ref} exists and {whose}; delete it, or let the controller's option `adopt` take it over"
    return errors.RefusedError(msg)


def _is_another(error: errors.ApiError) -> bool:
    """Return whether a write failed because the object is no longer the one that was read."""
    return error.status == http.HTTPStatus.CONFLICT or any(cause.field == "metadata.uid" for cause in error.causes)


def _as_seen(there: Mapping[str, Any] | None, *, ignoring: bool) -> Mapping[str, str]:
    """Return metadata that limits a write to what was read: no object, this one, or this one in this state."""
    if there is None:
        return {"resourceVersion": _ABSENT}
    metadata = there["metadata"]
    found = {"uid": metadata["uid"]}
    return {**found, "resourceVersion": metadata["resourceVersion"]} if ignoring else found


def _as_there(body: interfaces.Json, there: interfaces.Json, path: Sequence[str | int] | None) -> interfaces.Json:
    """Return a body with the field at a path as in another object, or without it if it is absent there."""
    if not path:
        return body
    step, *rest = path
    try:
        below = there[step]
    except (KeyError, IndexError, TypeError):
        return fields.without(body, [path])
    value = _as_there(body[step], below, rest) if rest else below
    if isinstance(body, list):
        return [value if index == step else item for index, item in enumerate(body)]
    return {**body, step: value}


def _view(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parts of an object that are compared."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _BOOKKEEPING}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def _differences(before: interfaces.Json, after: interfaces.Json, where: str) -> Iterator[str]:
    """Yield the paths at which two values differ."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            name = f"{where}.{key}" if where else str(key)
            if key not in before or key not in after:
                yield name
            else:
                yield from _differences(before[key], after[key], name)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{where}[{index}]")
    elif before != after:
        yield where
