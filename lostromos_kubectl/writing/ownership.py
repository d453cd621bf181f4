"""Move fields from one field manager to another, by writing ``managedFields``, so that the next apply removes them.

An apply removes fields that its manager owned and no longer sends, unless another manager owns them as well. It cannot
remove unowned fields (defaults), or fields of another manager (an item that replaced ours). No value is changed here.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields, and client-go's
``csaupgrade``, which moves fields in this way.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core.kube import labels
from lostromos_core.kube.managed_fields import applying, field_sets, fields, owned_fields
from lostromos_core.kube.transport import media_types, operations
from lostromos_kubectl.writing import places

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import list_keys
    from lostromos_kubectl.objects import desired_objects

Entry = dict[str, Any]
"""An entry of ``managedFields``."""
_CONTENTS: Final = frozenset({"apiVersion", "kind", "metadata", "status"})


@final
class Ownership:
    """Manage who owns the fields of one controller's objects."""

    def __init__(self, kube: cluster.Cluster, manager: str) -> None:
        self._kube = kube
        self._manager = manager
        self._left = f"{manager}{labels.LEFT}"

    async def read(self, item: desired_objects.Desired) -> dict[str, Any]:
        """Return the live object; raises ApiError."""
        found: dict[str, Any] = await self._kube.request("GET", item.path, action=f"read {item.ref}")
        return found

    async def take_replaced(
        self,
        item: desired_objects.Desired,
        live: Mapping[str, Any],
        known: frozenset[places.Path] | None,
        was_ours: Callable[[Sequence[str | int], Collection[str]], bool],
    ) -> Mapping[str, Any] | None:
        """Own the list items that replaced ours; return the metadata after that, None if nothing was replaced.

        ``known`` and ``was_ours``: see ``places.replaced``. Raises ApiError.
        """
        entries = _entries(live)
        since = next((str(entry.get("time")) for entry in entries if self._own([entry]) is not None), "")
        others = [
            entry["fieldsV1"] for entry in entries if self._is_foreign(entry) and str(entry.get("time", "")) >= since
        ]
        body = {key: value for key, value in item.body.items() if key not in _CONTENTS}
        view = places.View(body, self._own(entries), others, live, item.list_keys)
        taken = [
            path for place, missing in places.lost(view) for path in places.replaced(place, missing, known, was_ours)
        ]
        if not taken:
            return None
        kept = [
            _changed(entry, _without_all(entry["fieldsV1"], taken)) if self._is_foreign(entry) else entry
            for entry in entries
        ]
        return await self._write(item, live, self._with_own(kept, taken, item))

    async def take_defaults(
        self, item: desired_objects.Desired, live: Mapping[str, Any], refused: Iterable[str]
    ) -> tuple[Mapping[str, Any], list[places.Path]]:
        """Own unowned fields beside and below refused fields; return the metadata after that, and these fields.

        Those are defaults, which may contradict what is set now. When they are removed, the server sets them anew.
        Raises ApiError.
        """
        entries = _entries(live)
        owned: dict[str, Any] = {}
        for entry in entries:
            owned = field_sets.union(owned, entry["fieldsV1"])
        spot = _Spot(live, item.body, owned, item.list_keys)
        found = [path for field in refused for path in _unowned(spot, fields.parse(field, live))]
        if not found:
            return live["metadata"], []
        return await self._write(item, live, self._with_own(entries, found, item)), found

    async def give_back(
        self, item: desired_objects.Desired, live: Mapping[str, Any], paths: Sequence[places.Path]
    ) -> Mapping[str, Any]:
        """Disown fields that were unowned before; return the metadata after that. Raises ApiError."""
        entries = [
            _changed(entry, _without_all(entry["fieldsV1"], paths)) if self._own([entry]) is not None else entry
            for entry in _entries(live)
        ]
        return await self._write(item, live, entries)

    async def take_shared(self, item: desired_objects.Desired, live: Mapping[str, Any]) -> None:
        """Become the only owner of what we set on an adopted object; else it would stay when we no longer set it.

        Raises ApiError.
        """
        query = {**operations.apply_query(self._manager, force=True), "dryRun": "All"}
        applied = await applying.apply(
            self._kube,
            item.path,
            action=f"adopt {item.ref}",
            query=query,
            body=item.under(uid=live["metadata"]["uid"]),
            accept=media_types.METADATA_ONLY,
        )
        ours, entries = self._own(_entries(applied)) or {}, _entries(live)
        kept = [
            _changed(entry, field_sets.minus(entry["fieldsV1"], ours)) if self._is_foreign(entry) else entry
            for entry in entries
        ]
        if kept != entries:  # with ours: the server treats an empty list as a reset
            await self._write(item, live, self._with_own(kept, field_sets.walk(ours), item))

    async def leave(self, item: desired_objects.Desired, live: Mapping[str, Any], paths: Sequence[places.Path]) -> None:
        """Give fields that are no longer set to a manager that keeps their values; raises ApiError.

        Without that, an apply would set the server's defaults, such as one replica.
        """
        entries = _entries(live)
        before: Mapping[str, Any] = next(
            (entry["fieldsV1"] for entry in entries if entry.get("manager") == self._left), {}
        )
        wanted: dict[str, Any] = {}
        for path in (*field_sets.walk(before), *paths):
            _put(wanted, live, path)
        metadata = {
            key: live["metadata"][key]
            for key in ("name", "namespace", "uid", "resourceVersion")
            if key in live["metadata"]
        }
        body = {**wanted, "apiVersion": item.ref.api_version, "kind": item.ref.kind, "metadata": metadata}
        await applying.apply(
            self._kube,
            item.path,
            action=f"leave fields of {item.ref} as they are",
            query=operations.apply_query(self._left, force=True),
            body=body,
            accept=media_types.METADATA_ONLY,
        )

    def has_left(self, who: str) -> bool:
        """Return whether a manager, as named by a conflict, is ours for fields that were left."""
        return who.strip('"') == self._left

    def items_of_others(self, metadata: Mapping[str, Any]) -> frozenset[places.Path]:
        """Return the items of keyed lists that other managers own."""
        return frozenset(
            path
            for entry in metadata.get("managedFields") or ()
            if self._is_foreign(entry)
            for path in field_sets.walk(entry.get("fieldsV1") or {})
            if path and path[-1].startswith("k:")
        )

    def _is_foreign(self, entry: Entry) -> bool:
        ours = entry.get("manager") == self._manager and entry.get("operation") == "Apply"
        return not ours and entry.get("manager") != self._left and not entry.get("subresource")

    def _own(self, entries: Iterable[Entry]) -> Mapping[str, Any] | None:
        """Return what we own; None if nothing."""
        return owned_fields.of(entries, self._manager) or None

    def _with_own(
        self, entries: Sequence[Entry | None], taken: Iterable[places.Path], item: desired_objects.Desired
    ) -> list[Entry]:
        """Return the entries, with ``taken`` added to what we own."""
        there = [entry for entry in entries if entry]
        ours: Mapping[str, Any] = self._own(there) or {}
        for path in taken:
            ours = field_sets.union(ours, field_sets.of(path))
        own = {
            "manager": self._manager,
            "operation": "Apply",
            "apiVersion": item.ref.api_version,
            "time": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "fieldsType": "FieldsV1",
            "fieldsV1": ours,
        }
        return [own, *(entry for entry in there if self._own([entry]) is None)]

    async def _write(
        self, item: desired_objects.Desired, live: Mapping[str, Any], entries: Sequence[Entry | None]
    ) -> Mapping[str, Any]:
        """Write the entries if the object is still the one that was read; return its new metadata. Raises ApiError."""
        metadata = live["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": [entry for entry in entries if entry]},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        ]
        answer = await self._kube.request(
            "PATCH",
            item.path,
            action=f"take over fields of {item.ref}",
            query=operations.apply_query(self._manager),
            body=patch,
            content_type=media_types.JSON_PATCH,
            accept=media_types.METADATA_ONLY,
        )
        found: Mapping[str, Any] = answer["metadata"]
        return found


def _entries(item: Mapping[str, Any]) -> list[Entry]:
    found = item["metadata"].get("managedFields") or ()
    return [entry for entry in found if isinstance(entry.get("fieldsV1"), dict)]


def _changed(entry: Entry, left: Mapping[str, Any] | None) -> Entry | None:
    return None if left is None else {**entry, "fieldsV1": left}


def _without_all(found: Mapping[str, Any], paths: Iterable[places.Path]) -> Mapping[str, Any] | None:
    left: Mapping[str, Any] | None = found
    for path in paths:
        left = None if left is None else field_sets.without(left, path)
    return left


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Spot:
    """Describe one place in a live object: its value, what we set, and who owns what (None: unowned)."""

    live: Any
    body: Any
    owned: Mapping[str, Any] | None
    defaults: list_keys.Defaults
    path: places.Path = ()

    def at(self, field: str) -> _Spot:
        step = f"f:{field}"
        body = self.body.get(field) if isinstance(self.body, dict) else None
        owned = None if self.owned is None else self.owned.get(step)
        return _Spot(self.live[field], body, owned, self.defaults.at(field), (*self.path, step))

    def items(self) -> Iterator[_Spot]:
        """Yield the items of a list of which a manager owns something."""
        wanted = self.body if isinstance(self.body, list) else ()
        for item in self.live:
            step = fields.find_step(self.owned or {}, item, {})
            if step is not None and step.startswith("k:"):
                keys = json.loads(step[2:])
                fitting = (
                    one for one in wanted if isinstance(one, dict) and fields.fits(one, keys, self.defaults.keys)
                )
                owned = (self.owned or {})[step]
                yield _Spot(item, next(fitting, None), owned, self.defaults.in_items(), (*self.path, step))

    @property
    def is_whole(self) -> bool:
        """Return whether it is owned as a whole."""
        return self.owned is not None and not self.owned


def _unowned(spot: _Spot, way: Sequence[str | int]) -> Iterator[places.Path]:
    """Yield paths to unowned fields that we do not set: siblings of the field that ``way`` leads to, and below it."""
    if spot.is_whole or (not spot.path and way and way[0] in _CONTENTS):
        return
    if isinstance(spot.live, list):
        for item in [item for item in spot.items() if way and item.live is spot.live[int(way[0])]]:
            yield from _unowned(item, way[1:])
    elif isinstance(spot.live, dict) and len(way) > 1:
        if way[0] in spot.live:
            yield from _unowned(spot.at(str(way[0])), way[1:])
    elif isinstance(spot.live, dict):
        for below in [spot.at(name) for name in spot.live if spot.path or name not in _CONTENTS]:
            if below.owned is None and below.body is None:
                yield below.path
            elif not way or below.path[-1] == f"f:{way[0]}":
                yield from _unowned(below, ())


def _put(wanted: dict[str, Any], live: interfaces.Json, path: places.Path) -> None:
    """Copy the live value of a field into a body; skip a field that is in a list, or that no longer exists."""
    at = wanted
    for step in path[:-1]:
        if not step.startswith("f:") or not isinstance(live, dict):
            return
        live = live.get(step[2:])
        at = at.setdefault(step[2:], {})
    name = path[-1][2:] if path else ""
    if path and path[-1].startswith("f:") and isinstance(live, dict) and name in live:
        at[name] = live[name]
