"""Charge for operators, and refuse results that would be too large."""

from __future__ import annotations

from typing import Final, NoReturn

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, tokens, values
from lostromos_core.templates.filters import costs

MAX_BITS: Final = 256
"""Bits of a number that one operation may produce."""


def charge_operator(operator: str, left: interfaces.Anything, right: interfaces.Anything) -> None:
    """Charge for an operator; raises RenderError if the result would be too large for any object."""
    if left.__class__ in costs.NUMBERS and right.__class__ in costs.NUMBERS:
        if left.__class__ is not float and right.__class__ is not float and left is not None and right is not None:
            _check_bits(operator, left, right)
    elif operator == "%" and isinstance(left, str | bytes | bytearray):
        msg = "formatting with % is not available in templates; write the text with {{ ... }} in it, or use ~"
        raise errors.RenderError(msg)
    elif operator == "*":
        sized, count = (left, right) if isinstance(right, int) else (right, left)
        if isinstance(sized, _SIZED) and isinstance(count, int):
            _check_length(operator, len(sized) * max(count, 0), sized)
    elif operator == "+" and _is_sized(left) and _is_sized(right):
        _check_length(operator, len(left) + len(right), left)
    elif operator == "-" and isinstance(left, costs.ITEMS):
        costs.charge_call((left, right), {})


_SIZED: Final = (str, bytes, bytearray, list, tuple)


def _check_bits(operator: str, left: int, right: int) -> None:
    if operator == "**":
        bits = left.bit_length() * max(right, 1)
    elif operator == "*":
        bits = left.bit_length() + right.bit_length()
    else:
        bits = max(left.bit_length(), right.bit_length())
    if bits > MAX_BITS:
        refuse_size(operator)


def _check_length(operator: str, length: int, of: interfaces.Anything) -> None:
    if length > values.MAX_STRING:
        refuse_size(operator)
    if length > budget.SHORT or not isinstance(of, str):
        budget.now().make(length * (1 if isinstance(of, str | bytes) and of.isascii() else costs.REFERENCE))


def _is_sized(value: interfaces.Anything) -> bool:
    return isinstance(value, _SIZED) and not isinstance(value, tokens.Fragment)


def refuse_size(operator: str) -> NoReturn:
    """Raise the RenderError for a result that is too large."""
    msg = f"the result of {operator} would be too large for any Kubernetes object; limit its operands in the schema"
    raise errors.RenderError(msg)


def cut(value: interfaces.Anything, where: slice) -> interfaces.Anything:
    """Return a part of a list or a text."""
    if isinstance(value, list | tuple | str) and value.__class__ is not tokens.Fragment:
        length = len(range(*where.indices(len(value))))
        if length > budget.SHORT:
            _check_length("[:]", length, value)
    return value[where]
