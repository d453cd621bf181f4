"""Parse texts in the filters ``from_yaml`` and ``from_json``, with errors that do not repeat the text.

The text is data, so it is read with care: YAML as a stream of events, without aliases (which multiply), tags and syntax
on which readers disagree; and each event is charged. The result is data, too: it cannot become a key or an object that
is not written in the template.
"""

from __future__ import annotations

import json
from typing import Any, Final

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, tokens, values
from lostromos_core.templates.filters import filters
from lostromos_core.templates.slots import compiler, program

_EVENT: Final = 60
"""Steps of reading a key, an item or a value."""


def from_yaml(value: interfaces.Json) -> interfaces.Json:
    """Return the value of a YAML document, null for an empty one; a value that is not a text is returned unchanged."""
    if not isinstance(value, str) or isinstance(value, tokens.Fragment):
        return _as_it_is(value, "from_yaml")
    now = budget.now()
    now.at_once(len(value) >> 2)
    now.make(8 * len(value))
    text = values.check_text(str.__str__(value))
    lines = list(range(1, text.count("\n") + 2))
    reader = compiler.Compiler(text, lines, {}, lambda: now.spend(_EVENT))
    try:
        documents = [node.fill(budget.Slots(now)) for node, _ in zip(reader.documents(), range(2), strict=False)]
    except program.Misplaced as error:
        where = f" (line {error.place} of the text)" if error.place is not None else ""
        raise errors.RenderError(f"{_NO_YAML}{where}") from error
    if len(documents) > 1:
        raise errors.RenderError("from_yaml takes one document, but the text has several")
    now.make(60 * reader.count)
    return documents[0] if documents else None


_NO_YAML: Final = (
    "from_yaml: the text is not YAML that all readers read alike; it must have no aliases, tags or repeated keys; "
    "write words such as yes, no, on, off, 0400 or 12:30 in quotes"
)


def from_json(value: interfaces.Json) -> interfaces.Json:
    """Return the value of a JSON text; a value that is not a text is returned unchanged."""
    if not isinstance(value, str) or isinstance(value, tokens.Fragment):
        return _as_it_is(value, "from_json")
    now = budget.now()
    now.at_once(2 * len(value))
    now.make(24 * len(value))
    try:
        return json.loads(value, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        where = f" (line {line} of the text)" if line is not None else ""
        msg = f"from_json: the text is not JSON or repeats a key{where}; write | from_yaml if it is YAML"
        raise errors.RenderError(msg) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_number(name: str) -> interfaces.Anything:
    raise ValueError(name)


def _as_it_is(value: interfaces.Anything, name: str) -> interfaces.Anything:
    if isinstance(value, tokens.Fragment):
        tokens.refuse(f"given to the filter {name}")
    return filters.plain_data(value, item=2) if isinstance(value, list | dict) else value


FILTERS: Final = {"from_yaml": from_yaml, "from_json": from_json}
