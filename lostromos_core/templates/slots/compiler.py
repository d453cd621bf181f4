"""Compile YAML events to a parsed template.

YAML is read as a flat stream of events, not recursively, so that no text can exhaust the stack. Only unambiguous YAML
is accepted: no aliases, anchors, tags, merge keys or duplicate keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import yaml

from lostromos_core import errors
from lostromos_core.configuration import scalars
from lostromos_core.templates.data import tokens
from lostromos_core.templates.slots import program, splices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lostromos_core import interfaces


def _expects_key(stack: list[tuple[Any, list[program.Node]]]) -> bool:
    return bool(stack) and isinstance(stack[-1][0], yaml.MappingStartEvent) and len(stack[-1][1]) % 2 == 0


def _fix(node: program.Items | program.Fields) -> program.Items | program.Fields | program.Fixed:
    """Return the node, already filled if it contains no expressions."""
    inner = node.nodes if isinstance(node, program.Items) else [part for pair in node.pairs for part in pair]
    return program.fixed(node) if all(isinstance(part, program.Constant | program.Fixed) for part in inner) else node


def _columns(parts: Sequence[str | int]) -> Iterator[str | None]:
    """Yield the spaces before each part of a block scalar, if nothing else precedes it on its line; else None."""
    before: str | None = ""
    for part in parts:
        if isinstance(part, int):
            yield before
            before = None
            continue
        yield None
        last = part.rpartition("\n")[2] if "\n" in part or before == "" else None
        before = None if last is None or last.strip(" ") else last


@final
class Compiler:
    """Turn text with tokens into nodes.

    ``lines`` and ``slots`` are the numbers of their places; ``spend`` is called for each event.
    """

    def __init__(
        self,
        text: str,
        lines: Sequence[program.Number],
        slots: dict[int, int],
        spend: Callable[[], None] | None = None,
    ) -> None:
        self._text = text
        self._spend = spend
        self._lines = lines
        self._slots = slots
        self.count = 0

    def documents(self) -> Iterator[program.Node]:
        """Yield the nodes of all documents that are not empty; raises Misplaced."""
        stack: list[tuple[Any, list[program.Node]]] = []
        try:
            for event in yaml.parse(self._text, yaml.CSafeLoader):
                if self._spend is not None:
                    self._spend()
                done = self._take(event, stack)
                if done is not None and not (isinstance(done, program.Constant) and done.value is None):
                    yield done
        except yaml.MarkedYAMLError as error:
            raise self._yaml_error(error) from error
        except yaml.reader.ReaderError as error:
            msg = f"the template has a character that YAML does not allow: U+{error.character:04X}"
            raise program.Misplaced(msg, None) from error

    def _take(self, event: interfaces.Anything, stack: list[tuple[Any, list[program.Node]]]) -> program.Node | None:
        """Handle one event, and return the node of a document if the event completed one."""
        self.count += 1
        if isinstance(event, yaml.NodeEvent):
            self.check(event)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(stack) >= program.MAX_DEPTH:
                raise program.Misplaced(f"nested deeper than {program.MAX_DEPTH} levels", self.place_of(event))
            stack.append((event, []))
            return None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, is_key=_expects_key(stack))
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self._collection(*stack.pop())
        else:
            return None
        if not stack:
            return node
        stack[-1][1].append(node)
        return None

    def key(self, event: interfaces.Anything) -> program.Key:
        """Return the node of a key from its event; raises Misplaced."""
        self.check(event)
        return self._key(self._scalar(event, is_key=True))

    def value(self, events: Sequence[Any]) -> program.Node:
        """Return the node of one value from its events; raises Misplaced."""
        stack: list[tuple[Any, list[program.Node]]] = []
        found = [done for event in events if (done := self._take(event, stack)) is not None]
        if len(found) != 1 or stack:
            raise program.Misplaced("this is not one value", None)
        return found[0]

    def check(self, event: interfaces.Anything) -> None:
        """Raise Misplaced for ambiguous YAML: anchors, aliases and tags."""
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise program.Misplaced(
                "anchors and aliases are not supported; use a macro or a variable", self.place_of(event)
            )
        if getattr(event, "tag", None) and event.tag not in {"!", "tag:yaml.org,2002:str"}:
            raise program.Misplaced("tags are not supported, except !!str", self.place_of(event))

    def place_of(self, event: interfaces.Anything) -> program.Number:
        """Return the place of the line on which an event begins."""
        line = event.start_mark.line
        return self._lines[line] if line < len(self._lines) else None

    def _collection(self, event: interfaces.Anything, nodes: list[program.Node]) -> program.Node:
        place = self.place_of(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return _fix(program.Items(tuple(nodes), place))
        pairs = tuple((self._key(key), value) for key, value in zip(nodes[::2], nodes[1::2], strict=True))
        seen = set()
        for key, _ in pairs:
            written = key.value if isinstance(key, program.Constant) else None
            if written is not None and written in seen:
                raise program.Misplaced(
                    f"the key {errors.shorten(written, 80)!r} is repeated in one mapping", key.place
                )
            seen.add(written)
        return _fix(program.Fields(pairs, place))

    def _key(self, node: program.Node) -> program.Key:
        if isinstance(node, program.Items | program.Fields | program.Fixed):
            raise program.Misplaced("a key must be a string, not a list or a mapping", node.place)
        return node

    def _scalar(self, event: interfaces.Anything, *, is_key: bool) -> program.Node:
        text, plain = event.value, event.implicit[0]
        place = self.place_of(event)
        if tokens.RESERVED.search(text):
            return self._with_slots(text, place, plain=plain, style=event.style)
        if not plain:
            return program.Constant(text, place)
        try:
            return program.Constant(scalars.resolve_key(text) if is_key else scalars.resolve(text), place)
        except scalars.AmbiguousScalarError as error:
            raise program.Misplaced(str(error), place) from error

    def _with_slots(self, text: str, line: program.Number, *, plain: bool, style: str | None) -> program.Node:
        pieces = tokens.TOKEN.split(text)
        slots = [int(number) for number in pieces[1::2]]
        if plain and len(slots) == 1 and pieces[::2] == [splices.SPLICE, ""]:
            return program.Spread(slots[0], self._slots.get(slots[0], line))
        if not slots or any(tokens.RESERVED.search(piece) for piece in pieces[::2]):
            raise program.Misplaced(program.CUT, line)
        if plain and pieces == ["", pieces[1], ""]:
            return program.Typed(slots[0], self._slots.get(slots[0], line))
        parts = tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces) if piece != "")
        places = tuple(self._slots.get(part, line) if isinstance(part, int) else line for part in parts)
        columns = tuple(_columns(parts)) if style in {"|", ">"} else None
        return program.Text(parts, places, columns=columns)

    def _yaml_error(self, error: interfaces.Anything) -> program.Misplaced:
        is_key = error.context == "while scanning a simple key"  # the error is at the key, not after it
        mark = (error.context_mark if is_key else None) or error.problem_mark or error.context_mark
        number = self._lines[min(mark.line, len(self._lines) - 1)] if mark and self._lines else None
        if "maximum nesting depth" in str(error.problem):  # libyaml has a limit of its own since 0.2.5
            return program.Misplaced(f"nested deeper than {program.MAX_DEPTH} levels", number)
        context = f" {error.context}" if error.context else ""
        message = tokens.TOKEN.sub("{{...}}", f"not valid YAML{context}: {error.problem}")
        return program.Misplaced(message, number)
