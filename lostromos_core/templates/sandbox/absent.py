"""Represent missing names and fields: using one raises an error that lists the existing names."""

from __future__ import annotations

import itertools
from typing import Final, NoReturn, final

import jinja2

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import values
from lostromos_core.templates.sandbox import advice, looked_up

COMPUTED: Final = "no field has the name that the template computes; write | default(...) if it may be absent"
_SHOWN: Final = 8
"""Number of keys that a message lists."""
_MANY_KEYS: Final = 200
_LONG_KEY: Final = 60
"""Keys of a mapping, and characters of a key, that are examined to list the existing names."""


class MissingField(jinja2.StrictUndefined):
    """Represent a missing name: using it raises an error that lists the existing names."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return str(self._undefined_hint)
        name, found = self._undefined_name, self._undefined_obj
        if found is jinja2.utils.missing:
            return advice.of_variable(str(name))
        if isinstance(found, dict):
            keys = sorted(str(key)[:_LONG_KEY] for key in itertools.islice(found, _MANY_KEYS))
            there = ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
            guess = errors.nearest(str(name)[:_LONG_KEY], keys)
            hint = f"available: {there}" if keys else "the mapping is empty"
            return f"there is no field {name!r} here ({hint}){guess}; write | default(...) if it may be absent"
        if isinstance(found, list) and isinstance(name, int):
            return f"there is no item {name} in a list of {len(found)}"
        hint = "; write (... | default({}, true)) before the dot" if found is None else ""
        return f"{values.kind_of(found)} has no field {name!r}{hint}"


@final
class MissingMethod(looked_up.Method, MissingField):
    """Represent a missing field that has the name of a mapping method: ``resource.spec.items()`` works."""

    __slots__ = ()


def missing(obj: interfaces.Anything, name: str) -> MissingField:
    """Return the placeholder for a missing key."""
    return (MissingMethod if name in looked_up.MAPPING_METHODS else MissingField)(obj=obj, name=name)


def below(found: MissingField, name: object) -> NoReturn:
    """Raise UndefinedError for a field of a missing value: a default after both has no effect."""
    message = found._undefined_message  # noqa: SLF001 - of our own class
    hint = f"; put the default before the dot: (... | default({{}})).{name}" if "default(" in message else ""
    raise jinja2.UndefinedError(message + hint)
