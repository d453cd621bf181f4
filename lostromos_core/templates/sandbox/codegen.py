# ruff: noqa: D102 - visitors are named after the nodes that they compile
"""Compile Jinja2's tree to Python, with marks around includes, and with checks and charges.

The cost of a body of template code is known from its text, so it is charged once when the body begins: a file, a macro,
an iteration of a loop. Costs that depend on the size of data are charged where they occur (see ``costs``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, final

import jinja2.compiler
from jinja2 import nodes

from lostromos_core.templates.data import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lostromos_core import interfaces

ROUND: Final = 3
"""Steps of one iteration of a loop, in addition to those of its body."""
_LINE: Final = 20
"""Steps of a line of a template's text, until it is part of an object."""
_CHARGE: Final = "charge"
_ROUNDS: Final = "rounds"
_OWN: Final = frozenset({_CHARGE, _ROUNDS})
_COSTS: Final[dict[type[nodes.Node], int]] = {
    nodes.Filter: 15, nodes.Test: 6, nodes.Call: 15, nodes.Getattr: 4, nodes.Getitem: 4, nodes.Compare: 4,
    nodes.Include: 150, nodes.Import: 150, nodes.FromImport: 150, nodes.CallBlock: 40, nodes.FilterBlock: 40,
    nodes.AssignBlock: 40, nodes.Macro: 10, nodes.For: 20, nodes.Concat: 8, nodes.Assign: 3,
}  # fmt: skip
"""Steps of nodes; all others take one."""
_OUTPUT: Final = 12
"""Steps of an expression that is written."""


def cost_of(body: Iterable[Any]) -> int:
    """Return the steps of one run of some nodes, without bodies that are charged separately; all branches count."""
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
    """Return an expression as written in its template, if it is a name or a field of one; empty otherwise."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and (below := _written(node.node)):
        return f"{below}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and (below := _written(node.node)):
        return f"{below}[{node.arg.value!r}]"
    return ""


@final
class CodeGenerator(jinja2.compiler.CodeGenerator):
    """Mark the output of includes, and pass the output of blocks and ``~`` through the environment's checks."""

    def visit_Template(self, node: interfaces.Anything, frame: interfaces.Anything = None) -> None:
        for one in (node, *node.find_all((nodes.Macro, nodes.CallBlock, nodes.Block))):
            one.body.insert(0, self._charge(one))
        super().visit_Template(node, frame)

    def _charge(self, node: interfaces.Anything) -> nodes.Node:
        """Return a statement that charges for one run of a body."""
        step = nodes.EnvironmentAttribute(_CHARGE)
        call = nodes.Call(step, [nodes.Const(cost_of(node.body))], [], None, None)
        return nodes.ExprStmt(call).set_lineno(node.lineno).set_environment(self.environment)

    def visit_Call(self, node: interfaces.Anything, frame: interfaces.Anything, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002 - Jinja2's visitor
        if isinstance(node.node, nodes.EnvironmentAttribute) and node.node.name in _OWN:
            self.write(f"environment.{node.node.name}(")
            for argument in node.args:
                self.visit(argument, frame)
                self.write(", ")
            self.write(")")
            return
        super().visit_Call(node, frame, forward_caller=forward_caller)

    def visit_Compare(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
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

    def visit_Pair(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        self.write("environment.as_key(")
        self.visit(node.key, frame)
        self.write("): ")
        self.visit(node.value, frame)

    def visit_Dict(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        self.write("{")
        for item in node.items:
            self.visit(item, frame)
            self.write(", ")
        self.write("}")

    def visit_Getitem(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
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

    def visit_Const(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        value = node.as_const(frame.eval_ctx)
        if isinstance(value, float) and not math.isfinite(value):
            self.write(f"float({str(value)!r})")  # Python has no names inf and nan
        else:
            super().visit_Const(node, frame)

    def visit_For(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        cost = nodes.Const(ROUND + cost_of(node.body) + (0 if node.test is None else cost_of([node.test])))
        if node.recursive:  # nested items are looped over by a call
            node.body.insert(0, self._charge(node))
        written = nodes.Const(_written(node.iter))
        counted = nodes.Call(nodes.EnvironmentAttribute(_ROUNDS), [node.iter, cost, written], [], None, None)
        node.iter = counted.set_lineno(node.lineno).set_environment(self.environment)
        super().visit_For(node, frame)

    def visit_Include(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        self.simple_write(repr(tokens.FRAGMENT_BEGIN), frame, node)
        super().visit_Include(node, frame)
        self.simple_write(repr(tokens.FRAGMENT_END), frame, node)

    def visit_CallBlock(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        call_frame, macro = self.macro_body(node, frame)
        self.writeline("caller = ")
        self.macro_def(macro, call_frame)
        self.start_write(frame, node)
        self.write("environment.emit(")
        self.visit_Call(node.call, frame, forward_caller=True)
        self.write(")")
        self.end_write(frame)

    def visit_FilterBlock(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
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

    def visit_Concat(self, node: interfaces.Anything, frame: interfaces.Anything) -> None:
        self.write("environment.concatenate((")
        for child in node.nodes:
            self.visit(child, frame)
            self.write(", ")
        self.write("))")
