# ruff: noqa: D102 - visitors do what their names say
"""From Jinja2's tree to Python, with what a sandbox of manifests adds: marks around includes, checks, and charges.

What a piece of template costs each time it runs is known from its text, so a body is charged once when it begins: a
file, a macro, a round of a loop. What depends on the size of data is charged where it happens (see ``costs``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, final

import jinja2.compiler
from jinja2 import nodes

from lostromos_core.templates.data import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUND: Final = 3
"""Steps of a round of a loop, beside what is in it."""
_LINE: Final = 20
"""Steps of a line of a template's text, until it is a part of an object."""
_CHARGE: Final = "charge"
_ROUNDS: Final = "rounds"
_OWN: Final = frozenset({_CHARGE, _ROUNDS})
_COSTS: Final[dict[type[nodes.Node], int]] = {
    nodes.Filter: 15, nodes.Test: 6, nodes.Call: 15, nodes.Getattr: 4, nodes.Getitem: 4, nodes.Compare: 4,
    nodes.Include: 150, nodes.Import: 150, nodes.FromImport: 150, nodes.CallBlock: 40, nodes.FilterBlock: 40,
    nodes.AssignBlock: 40, nodes.Macro: 10, nodes.For: 20, nodes.Concat: 8, nodes.Assign: 3,
}  # fmt: skip
"""Steps of nodes; others are one."""
_OUTPUT: Final = 12
"""Steps of an expression that is written."""


def cost_of(body: Iterable[Any]) -> int:
    """Steps of one run of some nodes, without those of bodies that are charged by themselves; all branches count."""
    return sum(map(_cost, body))


def _cost(node: nodes.Node) -> int:
    if isinstance(node, nodes.TemplateData):
        return 2 + _LINE * node.data.count("\n") + (len(node.data) >> 6)
    own = _COSTS.get(type(node), 1)
    if isinstance(node, nodes.Output):
        own += _OUTPUT * sum(not isinstance(child, nodes.TemplateData) for child in node.nodes)
    apart = ("body",) if isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock | nodes.Block) else ()
    return own + sum(map(_cost, node.iter_child_nodes(exclude=apart)))


def _written(node: nodes.Node) -> str:
    """An expression as its template has it, if it is a name or a field of one; else empty."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and (below := _written(node.node)):
        return f"{below}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and (below := _written(node.node)):
        return f"{below}[{node.arg.value!r}]"
    return ""


@final
class CodeGenerator(jinja2.compiler.CodeGenerator):
    """Marks what includes write, and sends blocks' output and ``~`` through the environment's checks."""

    def visit_Template(self, node: Any, frame: Any = None) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        for one in (node, *node.find_all((nodes.Macro, nodes.CallBlock, nodes.Block))):
            one.body.insert(0, self._charge(one))
        super().visit_Template(node, frame)

    def _charge(self, node: Any) -> nodes.Node:  # noqa: ANN401 - what has a body
        """A statement that charges for one run of a body."""
        step = nodes.EnvironmentAttribute(_CHARGE)
        call = nodes.Call(step, [nodes.Const(cost_of(node.body))], [], None, None)
        return nodes.ExprStmt(call).set_lineno(node.lineno).set_environment(self.environment)

    def visit_Call(self, node: Any, frame: Any, forward_caller: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002, N802 - Jinja2's visitor
        if isinstance(node.node, nodes.EnvironmentAttribute) and node.node.name in _OWN:
            self.write(f"environment.{node.node.name}(")
            for argument in node.args:
                self.visit(argument, frame)
                self.write(", ")
            self.write(")")
            return
        super().visit_Call(node, frame, forward_caller=forward_caller)

    def visit_Compare(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        operands = [node.expr, *(operand.expr for operand in node.ops)]
        simple = any(isinstance(one, nodes.Const) and not isinstance(one.value, str) for one in operands)
        if simple and len(node.ops) == 1:
            super().visit_Compare(node, frame)
            return
        self.write(f"environment.compare({tuple(operand.op for operand in node.ops)!r}, (")
        for one in operands:
            self.visit(one, frame)
            self.write(", ")
        self.write("))")

    def visit_Pair(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        self.write("environment.as_key(")
        self.visit(node.key, frame)
        self.write("): ")
        self.visit(node.value, frame)

    def visit_Dict(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        self.write("{")
        for item in node.items:
            self.visit(item, frame)
            self.write(", ")
        self.write("}")

    def visit_Getitem(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        if isinstance(node.arg, nodes.Slice):
            self.write("environment.cut(")
            self.visit(node.node, frame)
            self.write(", slice(")
            for part in (node.arg.start, node.arg.stop, node.arg.step):
                self.visit(nodes.Const(None) if part is None else part, frame)
                self.write(", ")
            self.write("))")
            return
        if isinstance(node.arg, nodes.Const):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.getitem_computed(")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.arg, frame)
        self.write(")")

    def visit_Const(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        value = node.as_const(frame.eval_ctx)
        if isinstance(value, float) and not math.isfinite(value):
            self.write(f"float({str(value)!r})")  # its own name is none of a variable
        else:
            super().visit_Const(node, frame)

    def visit_For(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        cost = nodes.Const(ROUND + cost_of(node.body) + (0 if node.test is None else cost_of([node.test])))
        if node.recursive:  # what is inside is looped over by a call
            node.body.insert(0, self._charge(node))
        written = nodes.Const(_written(node.iter))
        counted = nodes.Call(nodes.EnvironmentAttribute(_ROUNDS), [node.iter, cost, written], [], None, None)
        node.iter = counted.set_lineno(node.lineno).set_environment(self.environment)
        super().visit_For(node, frame)

    def visit_Include(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        self.simple_write(repr(tokens.FRAGMENT_BEGIN), frame, node)
        super().visit_Include(node, frame)
        self.simple_write(repr(tokens.FRAGMENT_END), frame, node)

    def visit_CallBlock(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        call_frame, macro = self.macro_body(node, frame)
        self.writeline("caller = ")
        self.macro_def(macro, call_frame)
        self.start_write(frame, node)
        self.write("environment.emit(")
        self.visit_Call(node.call, frame, forward_caller=True)
        self.write(")")
        self.end_write(frame)

    def visit_FilterBlock(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        inner = frame.inner()
        inner.symbols.analyze_node(node)
        self.enter_frame(inner)
        self.buffer(inner)
        self.blockvisit(node.body, inner)
        self.start_write(frame, node)
        self.write("environment.emit(")
        self.visit_Filter(node.filter, inner)
        self.write(")")
        self.end_write(frame)
        self.leave_frame(inner)

    def visit_Concat(self, node: Any, frame: Any) -> None:  # noqa: ANN401, N802 - Jinja2's visitor
        self.write("environment.concatenate((")
        for child in node.nodes:
            self.visit(child, frame)
            self.write(", ")
        self.write("))")
