"""Slots: text with tokens in, plain data out; the parsed template is kept and filled again and again.

Guarantees: a value arrives exactly, or RenderError names the place. No value can add, move or rename a node; it can
be a node's value, typed, or a part of a string.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from typing import TYPE_CHECKING, Any, final

from lostromos_core import errors, interfaces
from lostromos_core.templates import fragments, program, tokens

if TYPE_CHECKING:
    from lostromos_core.templates import budget, lines

MAX_TEXT = 16 << 20
"""Characters of rendered text, tokens and marks included."""
_EXPRESSION = re.compile(f"{tokens.EXPRESSION.pattern}{tokens.TOKEN.pattern}")
_LINE_START = re.compile(f"(?: |{tokens.LINE.pattern})*")
_LINE_END = re.compile("[\n\x85\u2028\u2029]")
"""What ends a line for the YAML parser."""
CACHE_SIZE = 256
"""Parsed texts that are kept; one template gives one text a path through its conditions and loops."""
CACHE_TEXT = 8 << 20
"""Characters of all texts that are kept: parsed, a text takes several times as much memory."""
KEPT_TEXT = 1 << 20
"""Characters of a text that is worth to be kept."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One filled document: its data, and the way back from a field to its place."""

    data: Any
    node: program.Node
    slots: budget.Slots
    places: lines.Places

    def locate(self, path: interfaces.Path) -> interfaces.Place | None:
        """The place of the deepest node on ``path`` that is known."""
        number = program.locate(self.node, self.slots, path)
        return None if number is None else self.places[number]


@final
class Programs:
    """The parsed texts of an environment, the most recently used ones kept."""

    def __init__(self, places: lines.Places) -> None:
        self._places = places
        self._parsed: collections.OrderedDict[str, tuple[program.Node, ...]] = collections.OrderedDict()
        self._length = 0

    def fill(self, text: str, slots: budget.Slots) -> list[Document]:
        """The documents of a rendered text; raises RenderError with the place."""
        try:
            nodes = self._parse(str.__str__(text))
            return [Document(node.fill(slots), node, slots, self._places) for node in nodes]
        except program.Misplaced as error:
            raise self._with_place(error) from error

    def _with_place(self, error: program.Misplaced) -> errors.RenderError:
        message = f"{field(error.path)}: {error.message}" if error.path else error.message
        if error.place is None:
            return errors.RenderError(message)
        place = self._places[error.place]
        origin = f" (from {place.expression})" if place.expression else ""
        return errors.RenderError(message + origin, place=str(place))

    def _parse(self, text: str) -> tuple[program.Node, ...]:
        found = self._parsed.get(text)
        if found is not None:
            self._parsed.move_to_end(text)
            return found
        if len(text) > MAX_TEXT:
            msg = f"the rendered text is larger than {MAX_TEXT >> 20} MiB"
            raise errors.RenderError(msg)
        nodes = _compile(text)
        if len(text) <= KEPT_TEXT:
            self._parsed[text] = nodes
            self._length += len(text)
            while len(self._parsed) > CACHE_SIZE or self._length > CACHE_TEXT:
                self._length -= len(self._parsed.popitem(last=False)[0])
        return nodes


def field(path: interfaces.Path) -> str:
    """``spec.ports[0].port``: a path as people and the API server write it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _compile(text: str) -> tuple[program.Node, ...]:
    laid_out = fragments.lay_out(text)
    numbers: list[int | None] = []
    for line in _LINE_END.split(laid_out):
        start = _LINE_START.match(line)
        last = start.group(1) if start else None
        numbers.append(int(last) if last else (numbers[-1] if numbers else None))
    expressions = {int(slot): int(place) for place, slot in _EXPRESSION.findall(laid_out)}
    compiler = program.Compiler(tokens.visible(laid_out), numbers, expressions)
    nodes: list[program.Node] = []
    for node in compiler.documents():
        if len(nodes) >= program.MAX_DOCUMENTS:
            msg = f"more than {program.MAX_DOCUMENTS} documents in one file"
            raise program.Misplaced(msg, node.place)
        nodes.append(node)
    return tuple(nodes)
