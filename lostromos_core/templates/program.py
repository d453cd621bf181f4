"""The parsed template: a tree of plain data with places for values, made once and filled many times.

YAML is read as a flat stream of events, not by recursion, so that no text can exhaust the stack. What has one
meaning only is accepted: no aliases, anchors, tags, merge or duplicate keys.

Nodes are never changed. They are not frozen, since that makes it three times as expensive to create them, and a new
text has hundreds.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import yaml

from lostromos_core import errors, interfaces, scalars
from lostromos_core.templates import budget, tokens, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Slots: TypeAlias = "budget.Slots"
Number: TypeAlias = int | None
"""The number of a place, None if it is not known."""

MAX_DEPTH = 100
MAX_DOCUMENTS = 1_000
COMPUTED: Final = "{{...}}"
"""Stands in a path for a key that an expression made: what it says may be a secret."""
CUT: Final = "the output of a fragment was cut apart by a string operation"


@final
@dataclasses.dataclass(slots=True)
class Constant:
    """A scalar of the template's own text."""

    value: Any
    place: Number

    def fill(self, slots: Slots) -> Any:  # noqa: ANN401, ARG002 - any JSON value; the signature of all nodes
        """The value itself."""
        return self.value

    def shifted(self, by: int) -> Constant:  # noqa: ARG002 - the signature of all nodes
        """Itself: it has no slots."""
        return self


@final
@dataclasses.dataclass(slots=True)
class Typed:
    """A whole plain scalar that is one expression: keeps the value's type."""

    slot: int
    place: Number

    def fill(self, slots: Slots) -> Any:  # noqa: ANN401 - any JSON value
        """The value as it is."""
        return slots[self.slot]

    def shifted(self, by: int) -> Typed:
        """The node with slots that are numbered from ``by``."""
        return Typed(self.slot + by, self.place)


@final
@dataclasses.dataclass(slots=True)
class Text:
    """A string with expressions in it.

    ``parts`` are texts and slot numbers, from ``base`` on; ``places`` are those of the parts.
    """

    parts: tuple[str | int, ...]
    places: tuple[Number, ...]
    base: int = 0

    @property
    def place(self) -> Number:
        """The place of the first expression."""
        return next(place for place, part in zip(self.places, self.parts, strict=True) if isinstance(part, int))

    def fill(self, slots: Slots) -> str:
        """The string; raises Misplaced if a value has no place inside a string."""
        texts: list[str] = []
        base = self.base
        try:
            for part in self.parts:
                found = part if part.__class__ is str else slots[base + part]  # type: ignore[operator]  # a number
                texts.append(found if found.__class__ is str else values.to_text(found))
            slots.budget.write(sum(map(len, texts)))
        except errors.RenderError as error:
            raise Misplaced(error.message, self.places[min(len(texts), len(self.places) - 1)]) from error
        return "".join(texts)

    def shifted(self, by: int) -> Text:
        """The node with slots that are numbered from ``by``."""
        return Text(self.parts, self.places, self.base + by)


@final
@dataclasses.dataclass(slots=True)
class Items:
    """A sequence."""

    nodes: tuple[Node, ...]
    place: Number

    def fill(self, slots: Slots) -> list[Any]:
        """The list of its filled nodes."""
        filled = []
        try:
            for node in self.nodes:
                filled.append(node.fill(slots))  # noqa: PERF401 - the error below wants to know how far we got
        except Misplaced as error:
            error.path.insert(0, len(filled))
            raise
        return filled

    def shifted(self, by: int) -> Items:
        """The node with slots that are numbered from ``by``."""
        return Items(tuple(node.shifted(by) for node in self.nodes), self.place)


@final
@dataclasses.dataclass(slots=True)
class Fields:
    """A mapping; a key is a string, or holds expressions."""

    pairs: tuple[tuple[Key, Node], ...]
    place: Number

    def child(self, name: str) -> Node | None:
        """The value whose key is this text, if the template wrote such a key."""
        return next((node for key, node in self.pairs if isinstance(key, Constant) and key.value == name), None)

    def fill(self, slots: Slots) -> dict[str, Any]:
        """The dict of its filled nodes; raises RenderError for a key that is no string or comes twice."""
        filled: dict[str, Any] = {}
        for key_node, node in self.pairs:
            key = key_node.value if key_node.__class__ is Constant else key_node.fill(slots)
            if key.__class__ is not str or key in filled:
                raise _no_key(key_node, key)
            try:
                filled[key] = node.fill(slots)
            except Misplaced as error:
                error.path.insert(0, key if isinstance(key_node, Constant) else COMPUTED)
                raise
        return filled

    def shifted(self, by: int) -> Fields:
        """The node with slots that are numbered from ``by``."""
        return Fields(tuple((key.shifted(by), node.shifted(by)) for key, node in self.pairs), self.place)


def _no_key(node: Key, key: object) -> Misplaced:
    """A key that is no string or comes twice; what a value says is not repeated, for it may be a secret."""
    if not isinstance(key, str):
        msg = f"a key must be a string, and this is {values.kind_of(key)}; put the expression in quotes"
    elif isinstance(node, Constant):
        msg = f"the key {errors.shorten(key, 80)!r} comes twice in one mapping"
    else:
        msg = "the key that an expression makes comes twice in one mapping"
    return Misplaced(msg, node.place)


@final
@dataclasses.dataclass(slots=True)
class Fixed:
    """A sequence or mapping without any expression in it: filled once, and shared from then on."""

    node: Items | Fields
    value: Any

    @property
    def place(self) -> Number:
        """Where it begins."""
        return self.node.place

    def fill(self, slots: Slots) -> Any:  # noqa: ANN401, ARG002 - any JSON value; the signature of all nodes
        """The value itself."""
        return self.value

    def shifted(self, by: int) -> Fixed:  # noqa: ARG002 - the signature of all nodes
        """Itself: it has no slots."""
        return self


_NO_SLOTS: Final = budget.Slots()
Key: TypeAlias = Constant | Typed | Text
Node: TypeAlias = Constant | Typed | Text | Items | Fields | Fixed


def fixed(node: Items | Fields) -> Fixed:
    """A node without any expression in it, filled."""
    return Fixed(node, node.fill(_NO_SLOTS))


def _fix(node: Items | Fields) -> Items | Fields | Fixed:
    """The node, filled already if it needs nothing for that."""
    inner = node.nodes if isinstance(node, Items) else [part for pair in node.pairs for part in pair]
    return fixed(node) if all(isinstance(part, Constant | Fixed) for part in inner) else node


class Misplaced(Exception):  # noqa: N818 - carries a place, becomes a RenderError at the door
    """Something is wrong at a place of the template that is known by its number."""

    def __init__(self, message: str, place: Number) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.path: list[str | int] = []


def unfixed(node: Node) -> Node:
    """The node with its parts, also if it has been filled already."""
    return node.node if isinstance(node, Fixed) else node


def _expects_key(stack: list[tuple[Any, list[Node]]]) -> bool:
    return bool(stack) and isinstance(stack[-1][0], yaml.MappingStartEvent) and len(stack[-1][1]) % 2 == 0


def locate(node: Node, slots: Slots, path: interfaces.Path) -> Number:
    """The place of the deepest node on ``path``; inside a value that came whole, that value's place."""
    place = node.place
    for step in path:
        below = _step(node, slots, step)
        if below is None:
            return place
        node = below
        place = node.place if node.place is not None else place
    return _first_expression(node) or place


def _step(node: Node, slots: Slots, step: str | int) -> Node | None:
    node = unfixed(node)
    if isinstance(node, Fields):
        return next((value for key, value in node.pairs if key.fill(slots) == step), None)
    if isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.nodes):
        return node.nodes[step]
    return None


def _first_expression(node: Node) -> Number:
    return node.place if isinstance(node, Typed | Text) else None


@final
class Compiler:
    """Turns text with tokens into nodes; ``places`` are the numbers of the lines' and the slots' places."""

    def __init__(self, text: str, lines: Sequence[Number], slots: dict[int, int]) -> None:
        self._text = text
        self._lines = lines
        self._slots = slots
        self.count = 0

    def documents(self) -> Iterator[Node]:
        """The nodes of all documents that are not empty; raises Misplaced."""
        stack: list[tuple[Any, list[Node]]] = []
        try:
            for event in yaml.parse(self._text, yaml.CSafeLoader):
                done = self._take(event, stack)
                if done is not None and not (isinstance(done, Constant) and done.value is None):
                    yield done
        except yaml.MarkedYAMLError as error:
            raise self._yaml_error(error) from error
        except yaml.reader.ReaderError as error:
            msg = f"the template holds a character that YAML does not allow: U+{error.character:04X}"
            raise Misplaced(msg, None) from error

    def _take(self, event: Any, stack: list[tuple[Any, list[Node]]]) -> Node | None:  # noqa: ANN401 - PyYAML is untyped
        """Handle one event; the node of a document that it completed, if it did."""
        self.count += 1
        if isinstance(event, yaml.NodeEvent):
            self.check(event)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(stack) >= MAX_DEPTH:
                raise Misplaced(f"nested deeper than {MAX_DEPTH} levels", self.place_of(event))
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

    def key(self, event: Any) -> Key:  # noqa: ANN401 - PyYAML is untyped
        """The node of a key, by its event; raises Misplaced."""
        self.check(event)
        return self._key(self._scalar(event, is_key=True))

    def value(self, events: Sequence[Any]) -> Node:
        """The node of one value, by its events; raises Misplaced."""
        stack: list[tuple[Any, list[Node]]] = []
        found = [done for event in events if (done := self._take(event, stack)) is not None]
        if len(found) != 1 or stack:
            raise Misplaced("this is not one value", None)
        return found[0]

    def check(self, event: Any) -> None:  # noqa: ANN401 - PyYAML is untyped
        """Raise Misplaced for what has more than one meaning: anchors, aliases and tags."""
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise Misplaced("anchors and aliases are not supported; use a macro or a variable", self.place_of(event))
        if getattr(event, "tag", None) and event.tag not in {"!", "tag:yaml.org,2002:str"}:
            raise Misplaced("tags are not supported, except !!str", self.place_of(event))

    def place_of(self, event: Any) -> Number:  # noqa: ANN401 - PyYAML is untyped
        """The place of the line on which an event begins."""
        line = event.start_mark.line
        return self._lines[line] if line < len(self._lines) else None

    def _collection(self, event: Any, nodes: list[Node]) -> Node:  # noqa: ANN401 - PyYAML is untyped
        place = self.place_of(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return _fix(Items(tuple(nodes), place))
        pairs = tuple((self._key(key), value) for key, value in zip(nodes[::2], nodes[1::2], strict=True))
        seen = set()
        for key, _ in pairs:
            written = key.value if isinstance(key, Constant) else None
            if written is not None and written in seen:
                raise Misplaced(f"the key {errors.shorten(written, 80)!r} comes twice in one mapping", key.place)
            seen.add(written)
        return _fix(Fields(pairs, place))

    def _key(self, node: Node) -> Constant | Typed | Text:
        if isinstance(node, Items | Fields | Fixed):
            raise Misplaced("a key must be a string, and this is a list or a mapping", node.place)
        return node

    def _scalar(self, event: Any, *, is_key: bool) -> Node:  # noqa: ANN401 - PyYAML is untyped
        text, plain = event.value, event.implicit[0]
        place = self.place_of(event)
        if tokens.RESERVED.search(text):
            return self._with_slots(text, place, plain=plain)
        if not plain:
            return Constant(text, place)
        try:
            return Constant(scalars.resolve_key(text) if is_key else scalars.resolve(text), place)
        except scalars.AmbiguousScalarError as error:
            raise Misplaced(str(error), place) from error

    def _with_slots(self, text: str, line: Number, *, plain: bool) -> Node:
        pieces = tokens.TOKEN.split(text)
        slots = [int(number) for number in pieces[1::2]]
        if not slots or any(tokens.RESERVED.search(piece) for piece in pieces[::2]):
            raise Misplaced(CUT, line)
        if plain and pieces == ["", pieces[1], ""]:
            return Typed(slots[0], self._slots.get(slots[0], line))
        parts = tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces) if piece != "")
        return Text(parts, tuple(self._slots.get(part, line) if isinstance(part, int) else line for part in parts))

    def _yaml_error(self, error: Any) -> Misplaced:  # noqa: ANN401 - PyYAML is untyped
        mark = error.problem_mark or error.context_mark
        number = self._lines[min(mark.line, len(self._lines) - 1)] if mark and self._lines else None
        if "maximum nesting depth" in str(error.problem):  # libyaml has a limit of its own since 0.2.5
            return Misplaced(f"nested deeper than {MAX_DEPTH} levels", number)
        context = f" {error.context}" if error.context else ""
        message = tokens.TOKEN.sub("{{...}}", f"not valid YAML{context}: {error.problem}")
        return Misplaced(message, number)
