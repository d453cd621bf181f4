"""Find what an expression can yield if all its words are in the template: ``{{ "Role" if x else "ClusterRole" }}``.

Data may choose among written words, but never supply one. So the template shows what it can make. This does not depend
on the analysis alone: a value is compared with the words when it is written.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, final

import jinja2
from jinja2 import nodes

from lostromos_core.templates.slots import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lostromos_core import interfaces
    from lostromos_core.templates.data import budget
    from lostromos_core.templates.slots import lexer

MANY: Final = 200
"""Words that an expression may yield, and steps of following it."""
_SAME: Final = frozenset({"string", "trim", "quote"})
"""Filters that return their input."""


class _UnknownError(Exception):
    """Raised when an expression can yield something that is not written in the template, or too much."""


@final
class Words:
    """Find the words that expressions can yield; ``tree_of`` returns the tree of a template by its file."""

    def __init__(self, parse: Callable[[str], nodes.Template], tree_of: Callable[[str], nodes.Template | None]) -> None:
        self._parse = parse
        self._tree_of = tree_of
        self._known: dict[interfaces.Place, frozenset[str]] = {}

    def covers(self, node: program.Node, slots: budget.Slots, places: lexer.Places) -> bool:
        """Report whether all expressions of a scalar have yielded words that are written in the template."""
        if isinstance(node, program.Constant):
            return True
        if isinstance(node, program.Typed):
            parts: Sequence[tuple[int, program.Number]] = [(node.slot, node.place)]
        elif isinstance(node, program.Text):
            pairs = zip(node.parts, node.places, strict=True)
            parts = [(node.base + part, place) for part, place in pairs if isinstance(part, int)]
        else:
            return False
        return all(place is not None and slots[slot] in self._of(places[place]) for slot, place in parts)

    def _of(self, place: interfaces.Place) -> frozenset[str]:
        """Return the words that the expression at a place can yield; empty if not all of them can be known."""
        if place not in self._known:
            self._known[place] = self._found(place)
        return self._known[place]

    def _found(self, place: interfaces.Place) -> frozenset[str]:
        tree = self._tree_of(place.file)
        if tree is None or not place.expression:
            return frozenset()
        try:
            (output,) = self._parse("{{ " + place.expression + " }}").find_all(nodes.Output)
            (expression,) = [one for one in output.nodes if not isinstance(one, nodes.TemplateData)]
            found = list(itertools.islice(_Origins(tree).of(expression), MANY + 1))
        except (_UnknownError, RecursionError, ValueError, jinja2.TemplateSyntaxError):
            return frozenset()
        if len(found) > MANY or not all(isinstance(one, nodes.Const) for one in found):
            return frozenset()
        return frozenset(one.value for one in found if isinstance(one, nodes.Const) and isinstance(one.value, str))


@final
class _Origins:
    """Follow expressions to what is written in a template: constants, lists and mappings."""

    def __init__(self, tree: nodes.Template) -> None:
        self._tree = tree
        self._steps = 0

    def of(self, node: nodes.Node | None, seen: tuple[str, ...] = ()) -> Iterator[nodes.Node]:  # noqa: C901 - a table of kinds
        """Yield the nodes that an expression can evaluate to; raises _UnknownError."""
        self._steps += 1
        if self._steps > MANY:
            raise _UnknownError
        if isinstance(node, nodes.Const | nodes.Dict | nodes.List | nodes.Tuple):
            yield node
        elif isinstance(node, nodes.CondExpr):
            yield from self.of(node.expr1, seen)
            if node.expr2 is not None:
                yield from self.of(node.expr2, seen)
        elif isinstance(node, nodes.And | nodes.Or):
            yield from self.of(node.left, seen)
            yield from self.of(node.right, seen)
        elif isinstance(node, nodes.Name):
            yield from self._name(node.name, seen)
        elif isinstance(node, nodes.Getattr):
            yield from self._below(node.node, node.attr, seen)
        elif isinstance(node, nodes.Getitem):
            yield from self._below(node.node, node.arg.value if isinstance(node.arg, nodes.Const) else None, seen)
        elif isinstance(node, nodes.Concat | nodes.Add):
            parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
            yield from self._joined(parts, seen)
        elif isinstance(node, nodes.Filter):
            yield from self._filtered(node, seen)
        else:
            raise _UnknownError

    def _filtered(self, node: nodes.Filter, seen: tuple[str, ...]) -> Iterator[nodes.Node]:
        if node.name == "ternary" and not node.kwargs:
            for one in node.args:
                yield from self.of(one, seen)
        elif node.name in {"default", "d"} and node.args and not node.kwargs:
            yield from self.of(node.node, seen)
            yield from self.of(node.args[0], seen)
        elif node.name in _SAME and not node.args:
            yield from self.of(node.node, seen)
        elif node.name in {"first", "last"}:
            yield from self._below(node.node, None, seen)
        else:
            raise _UnknownError

    def _below(self, node: nodes.Node | None, key: interfaces.Anything, seen: tuple[str, ...]) -> Iterator[nodes.Node]:
        """Yield a part of a list or mapping; every part if the key is not known."""
        for whole in self.of(node, seen):
            if isinstance(whole, nodes.Dict):
                pairs = whole.items
                for pair in pairs:
                    if not isinstance(pair.key, nodes.Const):
                        raise _UnknownError
                    if key is None or pair.key.value == key:
                        yield from self.of(pair.value, seen)
            elif isinstance(whole, nodes.List | nodes.Tuple):
                for index, one in enumerate(whole.items):
                    if key is None or key == index or not isinstance(key, int) or key < 0:
                        yield from self.of(one, seen)
            else:
                raise _UnknownError

    def _name(self, name: str, seen: tuple[str, ...]) -> Iterator[nodes.Node]:
        """Yield everything that a name is set to, anywhere in the template."""
        if name in seen:
            return
        self._refuse_others(name)
        seen = (*seen, name)
        known = False
        for assign in self._tree.find_all(nodes.Assign):
            if isinstance(assign.target, nodes.Name) and assign.target.name == name:
                known = True
                yield from self.of(assign.node, seen)
        for loop in self._tree.find_all(nodes.For):
            for key in _targets(loop.target, name):
                known = True
                for item in self._below(loop.iter, None, seen):
                    yield from [item] if key is None else self._below(item, key, seen)
        if not known:
            raise _UnknownError

    def _refuse_others(self, name: str) -> None:
        """Raise _UnknownError for a name that is also set by a parameter, a macro, an import or a tuple assignment."""
        for used in self._tree.find_all(nodes.Name):
            if used.name == name and used.ctx == "param":
                raise _UnknownError
        for bringing in self._tree.find_all((nodes.Macro, nodes.Import, nodes.FromImport)):
            if name in _brought(bringing):
                raise _UnknownError
        for assign in self._tree.find_all(nodes.Assign):
            if isinstance(assign.target, nodes.Tuple) and [*_targets(assign.target, name)]:
                raise _UnknownError

    def _joined(self, parts: Sequence[nodes.Node], seen: tuple[str, ...]) -> Iterator[nodes.Node]:
        """Yield the possible texts of the parts, joined in order."""
        texts = [[one.value for one in self.of(part, seen) if isinstance(one, nodes.Const)] for part in parts]
        for choice in itertools.islice(itertools.product(*texts), MANY + 1):
            yield nodes.Const("".join(map(str, choice)))


def _targets(target: nodes.Node, name: str) -> Iterator[int | None]:
    """Yield the positions of a name in an assignment target; None if it is the whole target."""
    if isinstance(target, nodes.Name):
        if target.name == name:
            yield None
    elif isinstance(target, nodes.Tuple):
        yield from (index for index, one in enumerate(target.items) if isinstance(one, nodes.Name) and one.name == name)


def _brought(node: nodes.Node) -> Iterator[str]:
    """Yield the names that a macro or an import defines."""
    if isinstance(node, nodes.Macro):
        yield node.name
    elif isinstance(node, nodes.Import):
        yield node.target
    elif isinstance(node, nodes.FromImport):
        yield from (one if isinstance(one, str) else one[1] for one in node.names)
