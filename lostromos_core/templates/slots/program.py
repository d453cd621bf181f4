"""Define the parsed template: a tree of plain data with places for values, built once and filled many times.

Nodes are never changed. They are not frozen, since that would make them three times as expensive to create, and a new
text has hundreds.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final, TypeAlias, final

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, marked, values

Slots: TypeAlias = "budget.Slots"
Number: TypeAlias = int | None
"""Number of a place, None if it is not known."""

MAX_DEPTH = 100
MAX_DOCUMENTS = 1_000
COMPUTED: Final = "{{...}}"
"""Stands in a path for a key made by an expression, which may be a secret."""
CUT: Final = "the output of a fragment was cut apart by a string operation"


@final
@dataclasses.dataclass(slots=True)
class Constant:
    """Hold a scalar of the template's own text."""

    value: Any
    place: Number

    def fill(self, slots: Slots) -> interfaces.Json:  # noqa: ARG002 - any JSON value; the signature of all nodes
        """Return the value itself."""
        return self.value

    def shifted(self, by: int) -> Constant:  # noqa: ARG002 - the signature of all nodes
        """Return the node itself: it has no slots."""
        return self


@final
@dataclasses.dataclass(slots=True)
class Typed:
    """Hold a whole plain scalar that is one expression; the value keeps its type."""

    slot: int
    place: Number

    def fill(self, slots: Slots) -> interfaces.Json:
        """Return the value unchanged."""
        return slots[self.slot]

    def shifted(self, by: int) -> Typed:
        """Return the node with slots numbered from ``by``."""
        return Typed(self.slot + by, self.place)


@final
@dataclasses.dataclass(slots=True)
class Text:
    """Hold a string with expressions in it.

    ``parts`` are texts and slot numbers, counted from ``base``; ``places`` are those of the parts. ``columns``, in a
    block scalar, are the spaces before each part, or None if its line contains anything else before it.
    """

    parts: tuple[str | int, ...]
    places: tuple[Number, ...]
    base: int = 0
    columns: tuple[str | None, ...] | None = None

    @property
    def place(self) -> Number:
        """Return the place of the first expression."""
        return next(place for place, part in zip(self.places, self.parts, strict=True) if isinstance(part, int))

    def fill(self, slots: Slots) -> str:
        """Return the string; raises Misplaced if a value is not allowed inside a string."""
        texts: list[str] = []
        base = self.base
        try:
            for part in self.parts:
                found = part if part.__class__ is str else slots[base + part]  # type: ignore[operator]  # a number
                text = found if found.__class__ is str else values.to_text(found)
                column = self.columns[len(texts)] if self.columns is not None else None
                texts.append(text if column is None else marked.in_column(found, text, column, slots.budget))
            slots.budget.write(sum(map(len, texts)))
        except errors.RenderError as error:
            raise Misplaced(error.message, self.places[min(len(texts), len(self.places) - 1)]) from error
        return "".join(texts)

    def shifted(self, by: int) -> Text:
        """Return the node with slots numbered from ``by``."""
        return Text(self.parts, self.places, self.base + by, self.columns)


@final
@dataclasses.dataclass(slots=True)
class Spread:
    """Hold an expression among keys or items, to be replaced by its own keys or items."""

    slot: int
    place: Number

    def fill(self, slots: Slots) -> interfaces.Json:
        """Return the value whose parts are inserted, or None if it is empty."""
        found = slots[self.slot]
        return values.plain(marked.structure(found)) if found.__class__ in _MARKED else found

    def keys(self, slots: Slots) -> dict[str, Any]:
        """Return the keys to insert, with their values; raises Misplaced."""
        found: dict[str, Any] = self._checked(slots, dict, "a mapping", "keys")
        return found

    def items(self, slots: Slots) -> list[Any]:
        """Return the items to insert; raises Misplaced."""
        found: list[Any] = self._checked(slots, list, "a list", "items")
        return found

    def _checked(
        self, slots: Slots, kind: type[dict[str, Any] | list[Any]], name: str, among: str
    ) -> interfaces.Anything:
        if marked.is_moved(slots[self.slot]):
            raise Misplaced(f"{marked.MOVED} {among} around it, without | indent", self.place)
        found = self.fill(slots)
        if isinstance(found, kind):
            slots.budget.make(40 * len(found))
            slots.budget.spend(5 * len(found))
            return found
        if isinstance(slots[self.slot], marked.Nothing):
            return kind()
        empty = "default({}, true)" if kind is dict else "default([], true)"
        hint = (
            f"; write | {empty}" if found is None else "; | from_yaml makes data of it" if kind_is_text(found) else ""
        )
        msg = f"an expression among {among} must be {name}, not {values.kind_of(found)}{hint}"
        raise Misplaced(msg, self.place)

    def shifted(self, by: int) -> Spread:
        """Return the node with slots numbered from ``by``."""
        return Spread(self.slot + by, self.place)


_MARKED: Final = frozenset({marked.Text, marked.Nothing})


def kind_is_text(value: object) -> bool:
    """Report whether a value is a string with a colon: it may contain YAML."""
    return isinstance(value, str) and ":" in value


@final
@dataclasses.dataclass(slots=True)
class Items:
    """Hold a sequence."""

    nodes: tuple[Node, ...]
    place: Number

    def fill(self, slots: Slots) -> list[Any]:
        """Return the list of its filled nodes."""
        filled = []
        try:
            for node in self.nodes:
                if node.__class__ is Spread:
                    filled += node.items(slots)
                else:
                    filled.append(node.fill(slots))
        except Misplaced as error:
            error.path.insert(0, len(filled))
            raise
        return filled

    def shifted(self, by: int) -> Items:
        """Return the node with slots numbered from ``by``."""
        return Items(tuple(node.shifted(by) for node in self.nodes), self.place)


@final
@dataclasses.dataclass(slots=True)
class Fields:
    """Hold a mapping; a key is a string, or contains expressions."""

    pairs: tuple[tuple[Key, Node], ...]
    place: Number

    def child(self, name: str) -> Node | None:
        """Return the value of a key that is written in the template, or None."""
        return next((node for key, node in self.pairs if isinstance(key, Constant) and key.value == name), None)

    def fill(self, slots: Slots) -> dict[str, Any]:
        """Return the dict of its filled nodes; raises Misplaced for a key that is not a string or is duplicated."""
        filled: dict[str, Any] = {}
        for key_node, node in self.pairs:
            if key_node.__class__ is Spread:
                _put(key_node.keys(slots), filled, key_node)
                continue
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
        """Return the node with slots numbered from ``by``."""
        return Fields(tuple((key.shifted(by), node.shifted(by)) for key, node in self.pairs), self.place)


def _put(found: dict[str, Any], filled: dict[str, Any], node: Spread) -> None:
    """Add the keys of a value to the others; raises Misplaced for one that already exists."""
    if not filled.keys().isdisjoint(found):  # examines only the new keys
        msg = "the expression sets a key of this mapping twice; remove one of them"
        raise Misplaced(msg, node.place)
    filled.update(found)


def _no_key(node: Key, key: object) -> Misplaced:
    """Return the error for a key that is not a string or is duplicated, without its value: it may be a secret."""
    if not isinstance(key, str):
        msg = f"a key must be a string, not {values.kind_of(key)}; put the expression in quotes"
    elif isinstance(node, Constant):
        msg = f"the key {errors.shorten(key, 80)!r} is repeated in one mapping"
    else:
        msg = "the key that an expression makes is repeated in one mapping"
    return Misplaced(msg, node.place)


@final
@dataclasses.dataclass(slots=True)
class Fixed:
    """Hold a sequence or mapping without expressions: filled once, and shared from then on."""

    node: Items | Fields
    value: Any

    @property
    def place(self) -> Number:
        """Return the place where it begins."""
        return self.node.place

    def fill(self, slots: Slots) -> interfaces.Json:  # noqa: ARG002 - any JSON value; the signature of all nodes
        """Return the value itself."""
        return self.value

    def shifted(self, by: int) -> Fixed:  # noqa: ARG002 - the signature of all nodes
        """Return the node itself: it has no slots."""
        return self


_NO_SLOTS: Final = budget.Slots()
Key: TypeAlias = Constant | Typed | Text | Spread
Node: TypeAlias = Constant | Typed | Text | Spread | Items | Fields | Fixed


def fixed(node: Items | Fields) -> Fixed:
    """Return a node without expressions, filled."""
    return Fixed(node, node.fill(_NO_SLOTS))


class Misplaced(Exception):  # noqa: N818 - carries a place, and becomes a RenderError in Programs.fill
    """Raised when something is wrong at a place of the template that is known by its number."""

    def __init__(self, message: str, place: Number) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.path: list[str | int] = []


def unfixed(node: Node) -> Node:
    """Return the node with its parts, even if it is already filled."""
    return node.node if isinstance(node, Fixed) else node
