"""Values that are more than data: texts that a filter made of structure, and what stands for nothing.

Where templates are text, ``key: {{ x | to_json }}`` puts structure in place. Here it would be a string, without a word.
So such a text knows where it comes from until it is written, and is refused where most likely structure is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors

if TYPE_CHECKING:
    from lostromos_core import interfaces
    from lostromos_core.templates.data import budget

TEXTS: Final = frozenset({"annotations", "data", "stringData"})
"""Fields whose values are strings in every kind of object: a text is meant there."""
MAX_STRING: Final = 4 << 20
"""Characters that one operation may produce: more than any Kubernetes object can hold."""
_TOO_LONG: Final = (
    "a text of so many lines, so far to the right, would be too large for any Kubernetes object; limit the field's "
    "length in the resource's schema"
)
NO_ELSE_HINT: Final = 'an inline if without an else gave no value; write one: {{ a if b else "" }}'
OMIT_HINT: Final = "omit leaves a field or an item out; it has no place inside a string or an expression"


@final
class Nothing:
    """What leaves something out; ``hint`` says why it cannot stand where it stands."""

    __slots__ = ("hint",)

    def __init__(self, hint: str) -> None:
        self.hint = hint


OMIT: Final = Nothing(OMIT_HINT)
"""The variable ``omit``: the field or item whose value it is is left out."""
NO_ELSE: Final = Nothing(NO_ELSE_HINT)
"""The value of an inline if whose condition is false and that has no else: nothing, inside a string."""


@final
class Text(str):
    """A text that a filter made. ``maker`` is that filter, and ``source`` what it was made of.

    ``laid`` is the text before ``indent`` moved its lines. A string by type; what is made of it is a plain one.
    """

    __slots__ = ("laid", "maker", "source")
    laid: str
    maker: str
    source: Any

    def with_text(self, text: str, laid: str) -> Text:
        """Another text of the same origin."""
        return made(text, self.maker, self.source, laid)


def made(text: str, maker: str, source: object = None, laid: str | None = None) -> Text:
    """A text that a filter made of ``source``; without a source, one whose lines were moved."""
    found = Text(text)
    found.maker, found.source, found.laid = maker, source, text if laid is None else laid
    return found


def laid(text: str) -> str:
    """A text before ``indent`` moved its lines."""
    return text.laid if isinstance(text, Text) else text


def in_column(value: object, text: str, column: str, now: budget.Budget) -> str:
    """A text that begins a line of a block scalar, with its other lines below the first one."""
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
    """A marked value stands where it cannot; the path says where."""

    def __init__(self, message: str, path: interfaces.Path) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def settle(data: Any, now: budget.Budget) -> Any:  # noqa: ANN401 - plain data with marked values in it
    """The data of a document with marked values settled, in place; raises RefusedError."""
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


def _settled(value: Any, path: interfaces.Path) -> Any:  # noqa: ANN401 - a plain or marked value
    if isinstance(value, Nothing):
        raise RefusedError(value.hint, path)
    if not isinstance(value, Text):
        return value
    if len(path) > 1 and path[-2] in TEXTS:
        return str.__str__(value)
    if value.maker != "indent":
        msg = (
            f"{value.maker} makes a string of the value; drop the filter, and the value stands here as it is, also a "
            "list or a mapping; if a string is meant, put the expression in quotes"
        )
        raise RefusedError(msg, path)
    if "\n" in value:
        msg = (
            "this is a string of several lines; if it holds YAML, write | from_yaml instead of | indent; if a string "
            "is meant, drop the filter"
        )
        raise RefusedError(msg, path)
    return str.__str__(value)


MOVED: Final = "the text is moved by | indent, which moves no structure; write the expression in the column of the"


def is_moved(value: object) -> bool:
    """Whether the first line of a text was moved, too: then the expression stands in another column than its text."""
    return isinstance(value, Text) and value.startswith(" ")


def structure(value: Any) -> Any:  # noqa: ANN401 - what was written among keys or items
    """What is put among other keys or items: a text of ``to_yaml`` stands for what it was made of."""
    if isinstance(value, Nothing):
        return None
    if isinstance(value, Text) and isinstance(value.source, dict | list):
        return value.source
    return value


def refuse(value: Nothing) -> None:
    """Raise the RenderError for nothing where something is needed."""
    raise errors.RenderError(value.hint)
