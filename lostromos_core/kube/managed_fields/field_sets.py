"""Compute unions and differences of field sets, in the format of ``managedFields`` (``fieldsV1``).

A set is a mapping from steps (``f:name``, ``k:{...}``, ``v:...``) to the sets below; ``{}`` and ``.`` are the field
itself. Sets are never modified in place.
Source: https://github.com/kubernetes-sigs/structured-merge-diff/blob/master/fieldpath/serialize.go
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Fields: TypeAlias = "Mapping[str, Any]"
_ITSELF: Final = "."


def has_itself(fields: Fields) -> bool:
    """Return whether a set contains the field at its top, and not only fields below it."""
    return not fields or _ITSELF in fields


def minus(fields: Fields, other: Fields) -> dict[str, Any] | None:
    """Return the fields that are in one set but not in the other; None if no field is."""
    itself = has_itself(fields) and not has_itself(other)
    below = {}
    for step, deeper in fields.items():
        if step != _ITSELF:
            rest = minus(deeper, other[step]) if step in other else deeper
            if rest is not None:
                below[step] = rest
    return _made(below, itself=itself)


def union(fields: Fields, other: Fields) -> dict[str, Any]:
    """Return the fields that are in either of two sets."""
    itself = has_itself(fields) or has_itself(other)
    below = {step: deeper for step, deeper in fields.items() if step != _ITSELF}
    for step, deeper in other.items():
        if step != _ITSELF:
            below[step] = union(below[step], deeper) if step in below else deeper
    made = _made(below, itself=itself)
    return {} if made is None else made


def at(fields: Fields, path: Sequence[str]) -> Fields | None:
    """Return the set below some steps of another; None if it does not exist."""
    found: Any = fields
    for step in path:
        found = found.get(step)
        if found is None:
            return None
    return found  # type: ignore[no-any-return]


def of(path: Sequence[str]) -> dict[str, Any]:
    """Return the set that contains only the field at some steps."""
    made: dict[str, Any] = {}
    for step in reversed(path):
        made = {step: made}
    return made


def without(fields: Fields, path: Sequence[str]) -> dict[str, Any] | None:
    """Return a set without the field at some steps and all fields below it; None if nothing is left."""
    if not path:
        return None
    step, *rest = path
    if step not in fields:
        return dict(fields)
    below = {other: deeper for other, deeper in fields.items() if other not in {step, _ITSELF}}
    left = without(fields[step], rest)
    if left is not None:
        below[step] = left
    return _made(below, itself=has_itself(fields))


def walk(fields: Fields, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the steps to each field of a set."""
    if has_itself(fields):
        yield path
    for step, deeper in fields.items():
        if step != _ITSELF:
            yield from walk(deeper, (*path, step))


def _made(below: dict[str, Any], *, itself: bool) -> dict[str, Any] | None:
    if not below:
        return {} if itself else None
    return {_ITSELF: {}, **below} if itself else below
