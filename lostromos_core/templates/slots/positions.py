"""Find the template line of a node in filled data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lostromos_core.templates.slots import program

if TYPE_CHECKING:
    from lostromos_core import interfaces


def locate(node: program.Node, slots: program.Slots, path: interfaces.Path) -> program.Number:
    """Return the place of the deepest node on ``path``; inside a value that was inserted whole, that value's place."""
    place = node.place
    for step in path:
        below = _step(node, slots, step)
        if below is None:
            return place
        node = below
        place = node.place if node.place is not None else place
    return _first_expression(node) or place


def _step(node: program.Node, slots: program.Slots, step: str | int) -> program.Node | None:
    node = program.unfixed(node)
    if isinstance(node, program.Fields):
        return next((found for pair in node.pairs if (found := _at_key(pair, slots, step)) is not None), None)
    if isinstance(node, program.Items) and isinstance(step, int) and step >= 0:
        return _at_index(node, slots, step)
    return None


def _at_key(pair: tuple[program.Key, program.Node], slots: program.Slots, step: str | int) -> program.Node | None:
    """Return the value of a pair if its key matches; for an expression among keys, the expression itself."""
    key, value = pair
    if isinstance(key, program.Spread):
        found = key.fill(slots)
        return key if isinstance(found, dict) and step in found else None
    return value if key.fill(slots) == step else None


def _at_index(node: program.Items, slots: program.Slots, index: int) -> program.Node | None:
    for item in node.nodes:
        found = item.fill(slots) if isinstance(item, program.Spread) else None
        size = len(found) if isinstance(found, list) else int(not isinstance(item, program.Spread))
        if index < size:
            return item
        index -= size
    return None


def _first_expression(node: program.Node) -> program.Number:
    return node.place if isinstance(node, program.Typed | program.Text | program.Spread) else None
