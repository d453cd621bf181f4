"""Find list items that replaced ours: another manager changed the key of an item, as with ``kubectl edit``.

To the API server, one item was removed and another added: an apply that restores ours leaves the other one beside it.
Decide which items replaced ours, and which belong to another manager (a sidecar, an injected variable).
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from lostromos_core.kube.managed_fields import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from lostromos_core import interfaces
    from lostromos_core.kube.kinds import list_keys

HALF: Final = 0.5
Path: TypeAlias = tuple[str, ...]
"""Steps of ``managedFields`` to a field."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """Describe one place in an object: the desired value, who owns what of it, and the live value.

    ``ours`` is None where our manager owns nothing; ``others`` are the field sets of the other managers; ``way`` is the
    path in our body, ``path`` the path in the field sets.
    """

    body: Any
    ours: Mapping[str, Any] | None
    others: Sequence[Mapping[str, Any]]
    live: Any
    defaults: list_keys.Defaults
    way: tuple[str | int, ...] = ()
    path: Path = ()

    def at(self, field: str) -> View:
        """Return the view of a field of a mapping."""
        step = f"f:{field}"
        return View(
            self.body[field],
            (self.ours or {}).get(step),
            [other[step] for other in self.others if step in other],
            self.live.get(field) if isinstance(self.live, dict) else None,
            self.defaults.at(field),
            (*self.way, field),
            (*self.path, step),
        )

    def item(self, index: int, step: str) -> View:
        """Return the view of the list item that a step of a field set names."""
        return View(
            self.body[index],
            (self.ours or {}).get(step),
            [other[step] for other in self.others if step in other],
            find(self.live, step),
            self.defaults.in_items(),
            (*self.way, index),
            (*self.path, step),
        )


def lost(view: View) -> Iterator[tuple[View, list[int]]]:
    """Yield the keyed lists of which our manager has lost items, and the indexes of these items in our body."""
    if isinstance(view.body, dict):
        if view.ours is not None or view.others:
            for field in view.body:
                yield from lost(view.at(field))
    elif isinstance(view.body, list) and any(step.startswith("k:") for step in _steps(view)):
        missing = []
        for index, item in enumerate(view.body):
            step = fields.find_step(view.ours or {}, item, view.defaults.keys)
            if step is None:
                missing.append(index)
            else:
                yield from lost(view.item(index, step))
        if missing:
            yield view, missing


def replaced(
    view: View,
    missing: Sequence[int],
    known: frozenset[Path] | None,
    was_ours: Callable[[Sequence[str | int], Collection[str]], bool],
) -> list[Path]:
    """Return the list items that another manager put in the place of missing ones of ours.

    Such an item has at least half of what ours has; ``others`` of the view hold only what was written after ours.
    ``known`` are the items of others that existed after our last write (None: unknown); they stay. ``was_ours`` returns
    whether an item, identified by some keys, was applied before. If the template itself dropped items, none of its new
    ones is missing.
    """
    unwanted = [step for step in view.ours or {} if step.startswith("k:") and not _is_wanted(view, step)]
    theirs = [step for step in _steps(view) if step.startswith("k:") and step not in (view.ours or {})]
    free = [step for step in theirs if not _is_wanted(view, step) and (*view.path, step) not in (known or ())]
    found: list[Path] = []
    for index in () if unwanted else missing:
        keys = _keys(free[0]) if free else {}
        if not free or not was_ours((*view.way, index), keys):
            continue
        scores = {step: _likeness(view.body[index], find(view.live, step), keys) for step in free}
        best = max(free, key=lambda step: scores[step])
        alone = known is not None or len(view.body) == len(free) == 1
        if scores[best] >= HALF or (alone and not view.body[index].keys() - keys):
            free.remove(best)
            found.append((*view.path, best))
    return found


def may_be_replaced(
    body: interfaces.Json,
    ours: Mapping[str, Any] | None,
    held: Mapping[str, Any] | None,
    defaults: list_keys.Defaults,
) -> bool:
    """Return whether list items are no longer ours that were, or may have been.

    ``held`` is what was ours after our last write (None: unknown).
    """
    if ours is not None and not ours:  # owned as a whole
        return False
    if isinstance(body, dict):
        below = [
            (value, f"f:{field}", defaults.at(field))
            for field, value in body.items()
            if isinstance(value, dict | list) and field != "metadata"
        ]
        return any(
            may_be_replaced(value, (ours or {}).get(step), held and held[step], deeper)
            for value, step, deeper in below
            if held is None or step in held
        )
    return isinstance(body, list) and any(
        _is_lost(item, ours or {}, held, defaults) for item in body if isinstance(item, dict)
    )


def _is_lost(
    item: Mapping[str, Any], ours: Mapping[str, Any], held: Mapping[str, Any] | None, defaults: list_keys.Defaults
) -> bool:
    """Return whether an item, or one below it, is no longer ours but was, or may have been."""
    step = fields.find_step(ours, item, defaults.keys)
    before = None if held is None else fields.find_step(held, item, defaults.keys)
    if held is not None and before is None:
        return False
    if step is None:
        return True
    return may_be_replaced(item, ours[step], held[before] if held and before else None, defaults.in_items())


def find(live: interfaces.Json, step: str) -> interfaces.Json:
    """Return the list item that a field set names by its keys; None if it does not exist."""
    keys = _keys(step)
    items = live if isinstance(live, list) else ()
    return next((item for item in items if isinstance(item, dict) and fields.fits(item, keys, {})), None)


def _steps(view: View) -> list[str]:
    """Return the steps that any manager has at a place, without duplicates."""
    return list(dict.fromkeys(step for one in ([view.ours] if view.ours else []) + [*view.others] for step in one))


def _is_wanted(view: View, step: str) -> bool:
    keys = _keys(step)
    return any(isinstance(item, dict) and fields.fits(item, keys, view.defaults.keys) for item in view.body)


def _keys(step: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(step[2:])
    return found


def _likeness(wanted: Mapping[str, Any], there: interfaces.Json, keys: Mapping[str, Any]) -> float:
    """Return the share of an item, apart from its keys, that another one has; 0 if it has only keys."""
    rest = [name for name in wanted if name not in keys]
    if not rest or not isinstance(there, dict):
        return 0.0
    return sum(_is_like(wanted[name], there.get(name)) for name in rest) / len(rest)


def _is_like(wanted: interfaces.Json, there: interfaces.Json) -> bool:
    """Return whether a value is present, apart from what the server has added."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_is_like(value, there.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(_is_like(one, other) for one, other in zip(wanted, there, strict=True))
    return bool(wanted == there)
