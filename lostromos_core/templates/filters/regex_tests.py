"""Test single characters and positions of a text for a regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core import interfaces

Test: TypeAlias = "Callable[[str], bool]"


CHARACTERS: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})


def test(kind: str, argument: interfaces.Anything, flags: int) -> Test:
    """Return a test of one character."""
    if kind == "ANY":
        return (lambda _: True) if flags & int(re.DOTALL) else (lambda character: character != "\n")
    items = argument if kind == "IN" else [("LITERAL", argument)]
    negated = kind == "NOT_LITERAL" or str(items[0][0]) == "NEGATE"
    tests = [_member(str(one), what, flags) for one, what in items if str(one) != "NEGATE"]

    def is_in(character: str) -> bool:
        forms = _forms(character) if flags & int(re.IGNORECASE) else (character,)
        for form in forms:
            if any(test(form) for test in tests):
                return not negated
        return negated

    return is_in


def _forms(character: str) -> tuple[str, ...]:
    """Return a character in both cases."""
    forms = (character, character.lower(), character.upper())
    return tuple(form for form in forms if len(form) == 1)


def _member(kind: str, argument: interfaces.Anything, flags: int) -> Test:
    if kind == "LITERAL":
        wanted = chr(argument)
        return lambda character: character == wanted
    if kind == "RANGE":
        first, last = map(chr, argument)
        return lambda character: first <= character <= last
    own = re.compile(_CATEGORIES[str(argument)], flags & int(re.ASCII))
    return lambda character: own.match(character) is not None


_CATEGORIES: Final = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


def check(kind: str, flags: int) -> Callable[[str, int], bool]:
    """Return a check of a position: it consumes no character, and takes the same time at each."""
    many = bool(flags & int(re.MULTILINE))
    word = re.compile(r"\w", flags & int(re.ASCII))

    def edge(text: str, at: int) -> bool:
        before = at > 0 and word.match(text[at - 1]) is not None
        return before != (at < len(text) and word.match(text[at]) is not None)

    checks: dict[str, Callable[[str, int], bool]] = {
        "AT_BEGINNING": lambda text, at: at == 0 or (many and text[at - 1] == "\n"),
        "AT_BEGINNING_STRING": lambda _, at: at == 0,
        "AT_END": lambda text, at: at == len(text) or (text[at] == "\n" and (many or at == len(text) - 1)),
        "AT_END_STRING": lambda text, at: at == len(text),
        "AT_BOUNDARY": edge,
        "AT_NON_BOUNDARY": lambda text, at: not edge(text, at),
    }
    return checks[kind]
