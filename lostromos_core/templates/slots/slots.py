"""Fill parsed templates: text with tokens in, plain data out; a parsed template is cached and filled many times.

Guarantees: a value arrives intact, or RenderError names the place. No value can add, move or rename a node; it can be
a node's value, typed, or part of a string.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import errors, interfaces
from lostromos_core.configuration import yamlfile
from lostromos_core.templates.data import marked, memo, tokens
from lostromos_core.templates.slots import blocks, compiler, fragments, positions, program, splices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core.templates.data import budget
    from lostromos_core.templates.slots import lexer

MAX_TEXT: Final = 4 << 20
"""Characters of the rendered text of one file, including tokens and marks: thousands of objects."""
TOO_LONG: Final = f"the rendered text is larger than {MAX_TEXT >> 20} MiB; make fewer objects or lines in one file"
_PARSED: Final = 60
"""Steps of a token in a text that the YAML parser reads, in addition to those of its characters."""
CACHE_SIZE: Final = 32 << 20
"""Bytes of parsed documents that are cached."""
_FEW: Final = 8
"""One in this many shapes is cached while there are too many."""
ONCE: Final = 16_384
"""Shapes that are remembered as seen once."""
_EXPRESSION = re.compile(f"{tokens.EXPRESSION.pattern}{tokens.TOKEN.pattern}")
_LINE_START = re.compile(f"(?: |{tokens.LINE.pattern})*")
_LINE_END = re.compile("[\n\x85\u2028\u2029]")
"""Characters that end a line for the YAML parser."""
_SEPARATOR: Final = re.compile(f"(?m)^(?:{tokens.MARK.pattern})*---(?: |{tokens.MARK.pattern})*$\n?")
_UNSURE: Final = re.compile(
    f"(?m)^(?:{tokens.MARK.pattern})*(?:---(?: |{tokens.MARK.pattern})*[^ \n\ufdd3]|[.]{{3}}|%)"
)
"""Ends, beginnings and directives of documents that only the YAML parser understands."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """Hold one filled document, and find the template place of a field."""

    data: Any
    node: program.Node
    slots: budget.Slots
    places: lexer.Places

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:
        """Return the place of the deepest known node on ``path``, or None."""
        number = positions.locate(self.node, self.slots, path)
        return None if number is None else self.places[number]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Program:
    """Hold a parsed text: its documents, the number of its slots, and the number of its nodes."""

    nodes: tuple[program.Node, ...]
    slots: int
    count: int


@final
class Programs:
    """Parse and fill texts, and cache the recently used parsed documents of an environment."""

    def __init__(self, places: lexer.Places) -> None:
        self._places = places
        self._kept: memo.Memo[tuple[_Program, ...]] = memo.Memo(CACHE_SIZE)
        self._once: set[int] = set()
        self._reader = blocks.Reader()

    def fill(self, text: str, slots: budget.Slots) -> list[Document]:
        """Return the documents of a rendered text; raises RenderError with the place."""
        try:
            return self._fill(str.__str__(text), slots)
        except program.Misplaced as error:
            raise self._with_place(error) from error

    def _fill(self, text: str, slots: budget.Slots) -> list[Document]:
        try:
            shape, numbers = tokens.shape_of(text)
        except ValueError:
            raise program.Misplaced(program.CUT, None) from None
        begin, found = 0, list[Document]()
        for one in self._parse(shape, slots.budget):
            own = slots.part(numbers[begin : begin + one.slots])
            begin += one.slots
            if len(found) + len(one.nodes) > program.MAX_DOCUMENTS:
                raise program.Misplaced(_TOO_MANY, one.nodes[0].place)
            found += [Document(_filled(node, own), node, own, self._places) for node in one.nodes]
        return found

    def _with_place(self, error: program.Misplaced) -> errors.RenderError:
        message = f"{yamlfile.dotted(tuple(error.path))}: {error.message}" if error.path else error.message
        if error.place is None:
            return errors.RenderError(message)
        place = self._places[error.place]
        origin = f" (from {place.expression})" if place.expression else ""
        return errors.RenderError(message + origin, place=str(place))

    def _parse(self, shape: str, now: budget.Budget) -> Sequence[_Program]:
        found = self._kept.get(shape)
        if found is not None:
            return found
        if len(shape) > MAX_TEXT:
            raise errors.RenderError(TOO_LONG)
        now.make(6 * len(shape))
        made = self._parse_spliced(fragments.lay_out(shape), now)
        self._keep(shape, made)
        return made

    def _parse_spliced(self, text: str, now: budget.Budget) -> tuple[_Program, ...]:
        """Parse a text with expressions among keys and items; if that is not valid, parse it without them."""
        written = splices.write(text)
        if written is text:
            return self._parse_parts(text, now)
        now.spend(len(text))
        try:
            return self._parse_parts(written, now)
        except program.Misplaced:
            with contextlib.suppress(program.Misplaced):
                return self._parse_parts(text, now)
            raise

    def _parse_parts(self, text: str, now: budget.Budget) -> tuple[_Program, ...]:
        parts = _split(text)
        return tuple([self._parse_part(one, now) for one in parts]) if len(parts) > 1 else (self._read(text, now),)

    def _keep(self, shape: str, made: tuple[_Program, ...]) -> None:
        """Cache a program when its shape recurs.

        If there is more than fits, cache only one shape in ``_FEW``: the others would only take time.
        """
        mark = hash(shape)
        if self._kept.thrashes and mark % _FEW:
            return
        if mark in self._once:
            self._kept.put(shape, made, sys.getsizeof(shape) + blocks.ENTRY * sum(one.count + 4 for one in made))
            return
        if len(self._once) >= ONCE:
            self._once = set()
        self._once.add(mark)

    def _parse_part(self, shape: str, now: budget.Budget) -> _Program:
        """Return the program of one of several documents."""
        found = self._kept.get(shape)
        if found is None:
            found = (self._read(shape, now),)
            self._keep(shape, found)
        return found[0]

    def _read(self, shape: str, now: budget.Budget) -> _Program:
        quick = self._reader.read(shape, now)
        if quick is None:
            now.spend(len(shape) + _PARSED * shape.count(tokens.HOLE))
            return _compile(shape)
        return _Program((quick[0],), shape.count(tokens.HOLE), quick[1])


def _filled(node: program.Node, own: budget.Slots) -> interfaces.Json:
    """Return the data of a document; raises Misplaced."""
    data = node.fill(own)
    if not own.marked:
        return data
    try:
        return marked.settle(data, own.budget)
    except marked.RefusedError as error:
        raise _misplaced(node, own, error) from error


def _misplaced(node: program.Node, own: budget.Slots, error: marked.RefusedError) -> program.Misplaced:
    """Return the error with its place.

    It is created here, since an error in a cycle with its own traceback would keep all values alive.
    """
    refused = program.Misplaced(error.message, positions.locate(node, own, error.path))
    refused.path = list(error.path)
    return refused


def _split(text: str) -> Sequence[str]:
    """Return the documents of a text if their borders are certain, otherwise the whole text."""
    if "---" not in text or _UNSURE.search(text):
        return (text,)
    parts = _SEPARATOR.split(text)
    if len(parts) > program.MAX_DOCUMENTS * 2:
        raise program.Misplaced(_TOO_MANY, None)
    return parts


_TOO_MANY = f"more than {program.MAX_DOCUMENTS} documents in one file"


def _compile(shape: str) -> _Program:
    """Parse a text with the YAML parser."""
    text = tokens.with_tokens(shape)
    numbers: list[int | None] = []
    for line in _LINE_END.split(text):
        start = _LINE_START.match(line)
        last = start.group(1) if start else None
        numbers.append(int(last) if last else (numbers[-1] if numbers else None))
    expressions = {int(slot): int(place) for place, slot in _EXPRESSION.findall(text)}
    reader = compiler.Compiler(tokens.visible(text), numbers, expressions)
    nodes: list[program.Node] = []
    for node in reader.documents():
        if len(nodes) >= program.MAX_DOCUMENTS:
            raise program.Misplaced(_TOO_MANY, node.place)
        nodes.append(node)
    return _Program(tuple(nodes), shape.count(tokens.HOLE), reader.count)
