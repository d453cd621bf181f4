"""Read common templates quickly: block style, with one key or item per line.

A new text mostly consists of known lines: a list is one item longer. So each line is read once by the YAML parser and
cached; a document is assembled from its lines by their columns. Text that could have another meaning as a whole than
line by line (several lines of one scalar or flow collection, anchors, directives) is left to the YAML parser: ``read``
then returns None. A test checks that both produce the same result.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import sys
from typing import TYPE_CHECKING, Any, Final, final

import yaml

from lostromos_core.templates.data import memo, tokens
from lostromos_core.templates.slots import compiler, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core import interfaces
    from lostromos_core.templates.data import budget

KEPT: Final = 4 << 20
"""Bytes of lines that are cached."""
LINE: Final = 800
"""Bytes of a cached line, in addition to those of its text."""
_LINE_STEPS: Final = 60
"""Steps of reading a line for the first time, and of a token in it, in addition to those of its characters."""
ENTRY: Final = 120
"""Bytes of an entry of a document: a node and its share of the collection that contains it."""
_ODD: Final = ("\r", "\x85", "\u2028", "\u2029", "\ufeff")
"""Characters that only the YAML parser takes for the end of a line, and the byte order mark."""
_ODD_STARTS: Final = frozenset("!&*?%@`\t")
"""Characters that, after a line's dashes, make it more than a key or an item."""
_DASHES: Final = re.compile("[ ]*(?:-[ ]+)*")
_LINE_START: Final = re.compile(f"(?: |{tokens.LINE.pattern})*")
_EXPRESSION: Final = re.compile(f"{tokens.EXPRESSION.pattern}{tokens.TOKEN.pattern}")


class _Kind(enum.Enum):
    """Identify the kind of a single line."""

    BLANK = enum.auto()
    """An empty line, or a comment."""
    ENTRY = enum.auto()
    """Dashes, a key or both, with a value; if it has none, the value may follow below."""
    HEADER = enum.auto()
    """The beginning of a block scalar."""
    OTHER = enum.auto()
    """Something that only the YAML parser understands."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """Describe a line, or a block scalar with all its lines.

    ``columns`` are those of its dashes and of its key, if it has a ``key``. If ``open``, the value may follow below.
    ``slots`` is the number of tokens in the line; ``fixed`` means that its value contains none. ``is_key`` means that
    the line begins with its key.
    """

    kind: _Kind
    slots: int
    columns: tuple[int, ...] = ()
    key: program.Key | None = None
    value: program.Node = dataclasses.field(default_factory=lambda: program.Constant(None, None))
    place: int = 0
    open: bool = False
    fixed: bool = True
    is_key: bool = False


@final
class _Open:
    """Hold a collection whose entries are still being read; ``pending`` if its last entry has no value yet."""

    __slots__ = ("column", "constant", "keys", "nodes", "pending", "place")

    def __init__(self, column: int, place: int, keys: list[program.Key] | None) -> None:
        self.column = column
        self.place = place
        self.keys = keys
        self.nodes: list[program.Node] = []
        self.pending = self.constant = True

    def close(self) -> program.Node:
        """Return the node of the collection."""
        made: program.Items | program.Fields
        if self.keys is None:
            made = program.Items(tuple(self.nodes), self.place)
        else:
            made = program.Fields(tuple(zip(self.keys, self.nodes, strict=True)), self.place)
        return program.fixed(made) if self.constant else made


class _UnknownError(Exception):
    """Raised when the YAML parser has to read the whole text."""


@final
class Reader:
    """Read documents, given as shapes, line by line, and cache the lines."""

    def __init__(self) -> None:
        self._lines: memo.Memo[Line] = memo.Memo(KEPT)

    def read(self, shape: str, now: budget.Budget) -> tuple[program.Node, int] | None:
        """Return the node of one document and the number of its nodes; None if the YAML parser has to read it."""
        if any(odd in shape for odd in _ODD):
            return None
        try:
            return self._assemble(shape.split("\n"), now)
        except (_UnknownError, program.Misplaced):
            return None

    def _assemble(self, lines: Sequence[str], now: budget.Budget) -> tuple[program.Node, int]:
        root = _Open(-1, 0, None)
        root.nodes.append(_NOTHING)
        stack = [root]
        index = slots = entries = 0
        kept, entry, blank = self._lines.young.get, _Kind.ENTRY, _Kind.BLANK
        while index < len(lines):
            text = lines[index]
            found = kept(text)
            line = found[0] if found is not None else self._read(text, now)
            index += 1
            if line.kind is _Kind.HEADER:
                end = _end_of_scalar(lines, index, line.columns[-1])
                line = self._read("\n".join(lines[index - 1 : end]) + ("\n" if end < len(lines) else ""), now)
                index = end
            if line.kind is entry:
                _append(stack, line, slots)
                entries += 1
            elif line.kind is not blank:
                raise _UnknownError
            slots += line.slots
        while len(stack) > 1:
            _close(stack)
        if root.pending:
            raise _UnknownError
        return root.nodes[0], entries

    def _read(self, shape: str, now: budget.Budget) -> Line:
        found = self._lines.get(shape)
        if found is None:
            now.spend(_LINE_STEPS + len(shape) + _LINE_STEPS * shape.count(tokens.HOLE))
            found = _read_line(shape)
            self._lines.put(shape, found, sys.getsizeof(shape) + LINE)
        return found


def _append(stack: list[_Open], line: Line, slots: int) -> None:
    """Add an entry to the collection at its column, along with the collections nested in it."""
    top, column, is_key = stack[-1], line.columns[0], line.is_key
    while top.column > column or (top.column == column and is_key and top.keys is None):
        top = _close(stack)
    if top.column < column or (top.keys is not None) != is_key:
        if not top.pending:
            raise _UnknownError
        top = _open(stack, _Open(column, line.place, [] if is_key else None))
    if len(line.columns) > 1:
        top = _nest(stack, line)
    key, value = line.key, line.value
    if line.slots:
        if not line.fixed:
            value = value.shifted(slots)
            top.constant = False
        if key is not None and key.__class__ is not program.Constant:
            key = key.shifted(slots)
            top.constant = False
    if key is not None:
        top.keys.append(key)  # type: ignore[union-attr]  # it has keys, since the line has one
    top.nodes.append(value)
    top.pending = line.open


def _nest(stack: list[_Open], line: Line) -> _Open:
    """Open the collections that begin after the first dash of a line, and return the innermost one."""
    top, last = stack[-1], line.columns[-1]
    for column in line.columns[1:]:
        top.nodes.append(_NOTHING)
        top = _open(stack, _Open(column, line.place, [] if line.key is not None and column == last else None))
    return top


def _open(stack: list[_Open], opened: _Open) -> _Open:
    if len(stack) > program.MAX_DEPTH:
        raise _UnknownError
    stack.append(opened)
    return opened


def _close(stack: list[_Open]) -> _Open:
    """Close the top collection as the value of the last entry of the one below, and return the one below."""
    closed = stack.pop()
    below = stack[-1]
    below.nodes[-1] = closed.close()
    below.pending = False
    if not closed.constant:
        below.constant = False
    return below


_NOTHING: Final = program.Constant(None, None)


def _end_of_scalar(lines: Sequence[str], start: int, column: int) -> int:
    """Return the first line, from ``start``, that is not part of a block scalar of an entry at this column."""
    for index in range(start, len(lines)):
        line = tokens.visible(lines[index])
        content = line.lstrip(" ")
        if content and len(line) - len(content) <= column:
            return index
    return len(lines)


def _read_line(shape: str) -> Line:
    """Read a line by itself, or a block scalar with all its lines."""
    slots = shape.count(tokens.HOLE)
    marked = tokens.with_tokens(shape)
    text = tokens.visible(marked)
    content = text.lstrip(" ")
    if not content or (content[0] == "#" and "\n" not in text):
        return Line(_Kind.BLANK, slots)
    start = _LINE_START.match(marked)
    rest = text[_DASHES.match(text).end() :]  # type: ignore[union-attr]  # it matches every text
    if start is None or start.group(1) is None or rest[:1] in _ODD_STARTS or text[:3] in {"---", "..."}:
        return Line(_Kind.OTHER, slots)
    if "\t" in text.partition("\n")[0]:
        return Line(_Kind.OTHER, slots)
    numbers = _numbers(marked)
    expressions = {int(slot): int(place) for place, slot in _EXPRESSION.findall(marked)}
    try:
        events = list(yaml.parse(text, yaml.CSafeLoader))[2:-2]
        return _line_of(events, compiler.Compiler(text, numbers, expressions), slots, whole="\n" in text)
    except (yaml.YAMLError, program.Misplaced):
        return Line(_Kind.OTHER, slots)


def _numbers(marked: str) -> list[program.Number]:
    """Return the places of lines."""
    numbers: list[program.Number] = []
    for line in marked.split("\n"):
        start = _LINE_START.match(line)
        last = start.group(1) if start else None
        numbers.append(int(last) if last else (numbers[-1] if numbers else None))
    return numbers


def _column(event: interfaces.Anything) -> int:
    return int(event.start_mark.column)


def _line_of(events: list[Any], reader: compiler.Compiler, slots: int, *, whole: bool) -> Line:
    """Build a line from its events, or from those of a ``whole`` block scalar with its lines."""
    columns = []
    while isinstance(events[0], yaml.SequenceStartEvent) and not events[0].flow_style:
        columns.append(_column(events[0]))
        reader.check(events[0])
        events = events[1:-1]
    key = None
    if isinstance(events[0], yaml.MappingStartEvent) and not events[0].flow_style:
        columns.append(_column(events[0]))
        reader.check(events[0])
        key = reader.key(events[1]) if isinstance(events[1], yaml.ScalarEvent) else None
        if key is None:
            return Line(_Kind.OTHER, slots)
        events = events[2:-1]
    if not columns:
        return Line(_Kind.OTHER, slots)
    first, place = events[0], reader.place_of(events[0])
    if place is None:
        return Line(_Kind.OTHER, slots)
    if isinstance(first, yaml.ScalarEvent) and first.style in {"|", ">"} and not whole:
        return Line(_Kind.HEADER, slots, tuple(columns))
    reader.check(first)
    empty = isinstance(first, yaml.ScalarEvent) and first.implicit[0] and not first.value and not first.tag
    value = reader.value(events)
    constant = isinstance(value, program.Constant | program.Fixed)
    return Line(
        _Kind.ENTRY,
        slots,
        tuple(columns),
        key,
        value,
        place,
        open=empty,
        fixed=constant,
        is_key=key is not None and len(columns) == 1,
    )
