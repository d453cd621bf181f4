"""Mark values that are more than data: texts made from structure by a filter, and values that leave something out.

Where templates are text, ``key: {{ x | to_json }}`` inserts structure. Here, it would silently become a string. So such
a text keeps its origin until it is written, and is refused where structure is most likely meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    from lostromos_core import interfaces
    from lostromos_core.templates.data import budget

TEXTS: Final = frozenset({"annotations", "data", "stringData"})
"""Fields whose values are strings in every kind of object, so that a text is meant there."""
MAX_STRING: Final = 4 << 20
"""Characters that one operation may produce: more than any Kubernetes object can hold."""
_TOO_LONG: Final = (
    "so many lines, indented so far, would be too large for any Kubernetes object; limit the field's "
    "length in the resource's schema"
)
NO_ELSE_HINT: Final = 'an inline if without an else gave no value; write one: {{ a if b else "" }}'
OMIT_HINT: Final = "omit leaves a field or an item out; it cannot be part of a string or an expression"


@final
class Nothing:
    """Represent the omission of a value; ``hint`` explains why it is not allowed where it was written."""

    __slots__ = ("hint",)

    def __init__(self, hint: str) -> None:
        self.hint = hint


OMIT: Final = Nothing(OMIT_HINT)
"""The variable ``omit``: a field or item with this value is left out."""
NO_ELSE: Final = Nothing(NO_ELSE_HINT)
"""The value of an inline if whose condition is false and that has no else: empty inside a string."""


@final
class Text(str):
    """Hold a text that a filter made; ``maker`` is that filter, and ``source`` is the value that it was made from.

    ``laid`` is the text before ``indent`` moved its lines. It is a string by type; texts derived from it are plain
    strings.
    """

    __slots__ = ("laid", "maker", "source")
    laid: str
    maker: str
    source: Any

    def with_text(self, text: str, laid: str) -> Text:
        """Return another text of the same origin."""
        return made(text, self.maker, self.source, laid)


def made(text: str, maker: str, source: object = None, laid: str | None = None) -> Text:
    """Return a text that a filter made from ``source``; without a source, one whose lines were moved."""
    found = Text(text)
    found.maker, found.source, found.laid = maker, source, text if laid is None else laid
    return found


def laid(text: str) -> str:
    """Return a text as it was before ``indent`` moved its lines."""
    return text.laid if isinstance(text, Text) else text


def in_column(value: object, text: str, column: str, now: budget.Budget) -> str:
    """Return a text that begins a line of a block scalar, with its other lines aligned to the first."""
    text = value.laid if isinstance(value, Text) else text
    lines = text.count("\n")
    if not lines or not column:
        return text
    length = len(text) + lines * len(column)
    if length > MAX_STRING:
        raise errors.RenderError(_TOO_LONG)
    now.make(4 * length)
    now.spend(4 * lines)
    first, *rest = text.split("\n")
    return "\n".join([first, *[column + line if line else line for line in rest]])


class RefusedError(Exception):
    """Raised when a marked value is not allowed where it was written; ``path`` is its position."""

    def __init__(self, message: str, path: interfaces.Path) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def settle(data: interfaces.Json, now: budget.Budget) -> interfaces.Json:
    """Settle the marked values in a document's data, in place, and return the data; raises RefusedError."""
    if not isinstance(data, dict | list):
        return _settled(data, ())
    pending: list[tuple[Any, tuple[str | int, ...]]] = [(data, ())]
    while pending:
        container, path = pending.pop()
        now.spend(8 + 4 * len(container))
        left_out = []
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, dict | list):
                pending.append((value, (*path, key)))
            elif value is OMIT:
                left_out.append(key)
            elif isinstance(value, Text | Nothing):
                container[key] = _settled(value, (*path, key))
        for key in reversed(left_out):
            del container[key]
    return data


def _settled(value: interfaces.Json, path: interfaces.Path) -> interfaces.Json:
    if isinstance(value, Nothing):
        raise RefusedError(value.hint, path)
    if not isinstance(value, Text):
        return value
    if len(path) > 1 and path[-2] in TEXTS:
        return str.__str__(value)
    if value.maker != "indent":
        msg = (
            f"{value.maker} turns the value into a string; drop the filter to insert the value as it is, even a "
            "list or a mapping; if a string is meant, put the expression in quotes"
        )
        raise RefusedError(msg, path)
    if "\n" in value:
        msg = (
            "this is a string of several lines; if it is YAML, write | from_yaml instead of | indent; if a string "
            "is meant, drop the filter"
        )
        raise RefusedError(msg, path)
    return str.__str__(value)


MOVED: Final = "the text is moved by | indent, which moves no structure; write the expression in the column of the"


def is_moved(value: object) -> bool:
    """Report whether a text's first line was moved, too: its expression is then in a different column than the text."""
    return isinstance(value, Text) and value.startswith(" ")


def structure(value: interfaces.Anything) -> interfaces.Anything:
    """Return what to insert among keys or items: for a text of ``to_yaml``, the value that it was made from."""
    if isinstance(value, Nothing):
        return None
    if isinstance(value, Text) and isinstance(value.source, dict | list):
        return value.source
    return value


def refuse(value: Nothing) -> None:
    """Raise the RenderError for an omitted value where one is required."""
    raise errors.RenderError(value.hint)
