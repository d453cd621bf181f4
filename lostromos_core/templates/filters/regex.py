"""Match regular expressions in time that grows with the text, never with its square or worse.

Python's own matcher tries a text in as many ways as a pattern allows. Data can make these astronomically many
(``(a+)+$``), and the matcher cannot be interrupted. So patterns are read by Python's parser, and matched by a small
machine that visits each pair of an instruction and a position at most once, and is charged for each. It finds what
``re`` finds; back references and look-around, which cannot be matched this way, are refused.

Model: the bit-state matcher of RE2, https://swtch.com/~rsc/regexp/regexp3.html
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from lostromos_core import errors
from lostromos_core.templates.data import budget
from lostromos_core.templates.filters import regex_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lostromos_core import interfaces

_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001 - the parser that knows Python's syntax

MAX_PATTERN: Final = 500
"""Characters of a pattern."""
MAX_PROGRAM: Final = 1_000
"""Instructions of a pattern, with its repetitions expanded."""
_READ: Final = 60
"""Steps of reading a character of a pattern, and of writing an instruction; also if they are cached."""
_SEEN: Final = 100
"""Bytes that are used to remember a visited pair."""
_KNOWN: Final = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.ASCII | re.UNICODE | re.VERBOSE)

Move: TypeAlias = "Callable[[str, int], int]"


@final
@dataclasses.dataclass(slots=True)
class _Step:
    """Describe an instruction: continue with the first of ``ways`` that leads to a match; without ways, it is a match.

    ``move`` returns the position to continue at, or -1 to stop; ``slot`` is the index at which the position is
    recorded.
    """

    ways: list[int]
    move: Move | None = None
    cost: int = 16
    slot: int | None = None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """Describe a match of a pattern; ``spans`` are those of its groups, (-1, -1) for a group that took no part."""

    text: str
    spans: tuple[tuple[int, int], ...]

    def group(self, number: int) -> str:
        """Return what a group matched; empty if it took no part."""
        start, end = self.spans[number]
        return self.text[start:end] if start >= 0 else ""


@final
class Pattern:
    """Compile a pattern; raises RenderError if it is invalid or not supported."""

    def __init__(self, pattern: str, flags: int) -> None:
        if len(pattern) > MAX_PATTERN:
            raise errors.RenderError(f"a regular expression has at most {MAX_PATTERN} characters")
        try:
            tree = _parser.parse(pattern, flags)
        except (re.error, OverflowError, RecursionError, ValueError) as error:
            reason = error.msg if isinstance(error, re.error) else "it is too complex"
            raise errors.RenderError(f"not a valid regular expression: {reason}") from error
        self.groups: int = tree.state.groups
        self.names: dict[str, int] = dict(tree.state.groupdict)
        writer = _Writer()
        try:
            end = writer.add(_Step([]))
            last = writer.add(_Step([end], slot=1))
            self._start = writer.add(_Step([writer.sequence(tree, int(tree.state.flags), last)], slot=0))
        except RecursionError as error:
            raise errors.RenderError("not a valid regular expression: it is too complex") from error
        self._steps = writer.steps
        self.size = len(writer.steps)

    def find(self, text: str, start: int = 0, *, only_here: bool = False, advance: bool = False) -> Match | None:
        """Return the first match from ``start`` on, with ``advance`` not an empty one there; raises RenderError."""
        seen = set[int]()
        try:
            return self._find(text, start, start + 1 if only_here else len(text) + 1, advance, seen)
        finally:
            seen.clear()  # now, not when the error whose traceback refers to this call is dropped

    def _find(self, text: str, start: int, end: int, advance: bool, seen: set[int]) -> Match | None:  # noqa: FBT001 - see find
        now = budget.now()
        for begin in range(start, end):
            now.spend(self.groups)
            before = len(seen)
            found = self._run(text, begin, seen, now, longer_than=start if advance else -1)
            now.make(_SEEN * (len(seen) - before))
            if found is not None:
                return Match(text, tuple(zip(found[::2], found[1::2], strict=True)))
        return None

    def find_all(self, text: str) -> Iterator[Match]:
        """Yield all matches that do not overlap, as ``re.finditer`` finds them."""
        found = self.find(text)
        while found is not None:
            yield found
            start, end = found.spans[0]
            found = self.find(text, end, advance=start == end)

    def _run(self, text: str, begin: int, seen: set[int], now: budget.Budget, *, longer_than: int) -> list[int] | None:
        """Return the bounds of the groups of the match that begins here, or None."""
        steps, width = self._steps, len(text) + 1
        ends = [-1] * (2 * self.groups)
        stack: list[tuple[int, int, int]] = [
            (self._start, begin, -1)
        ]  # an instruction, or the previous value of a slot
        while stack:
            number, position, before = stack.pop()
            if number < 0:
                ends[~number] = before
                continue
            while True:
                key = number * width + position
                if key in seen:
                    break
                seen.add(key)
                step = steps[number]
                now.spend(step.cost)
                if step.move is not None:
                    position = step.move(text, position)
                    if position < 0:
                        break
                elif step.slot is not None:
                    stack.append((~step.slot, 0, ends[step.slot]))
                    ends[step.slot] = position
                elif not step.ways:
                    if position > longer_than:
                        return ends
                    break
                else:
                    stack += [(way, position, -1) for way in step.ways[:0:-1]]
                number = step.ways[0]
        return None


@functools.lru_cache(64)
def _compiled(pattern: str, flags: int) -> Pattern:
    return Pattern(pattern, flags)


def compiled(pattern: str, *, ignore_case: bool, many_lines: bool) -> Pattern:
    """Return a compiled pattern, from the cache if it was used recently; raises RenderError."""
    now = budget.now()
    now.spend(_READ * min(len(pattern), MAX_PATTERN))
    found = _compiled(pattern, (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if many_lines else 0))
    now.spend(_READ * found.size)
    return found


@final
class _Writer:
    """Write the instructions of a pattern from its end to its beginning, so that each knows its successor."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self._moves: dict[tuple[str, int, int], Move] = {}

    def add(self, step: _Step) -> int:
        """Add an instruction, and return its number."""
        if len(self.steps) >= MAX_PROGRAM:
            raise errors.RenderError("a regular expression repeats too much; use smaller numbers in its braces")
        self.steps.append(step)
        return len(self.steps) - 1

    def sequence(self, tree: Sequence[Any], flags: int, then: int) -> int:
        """Return the instruction that begins a sequence, which is followed by ``then``."""
        if flags & ~_KNOWN:
            raise errors.RenderError("this flag of regular expressions is not supported in templates")
        for kind, argument in reversed(list(tree)):
            then = self._item(str(kind), argument, flags, then)
        return then

    def _item(self, kind: str, argument: interfaces.Anything, flags: int, then: int) -> int:
        if kind in regex_tests.CHARACTERS:
            key = kind, argument if isinstance(argument, int) else id(argument), flags
            if key not in self._moves:
                self._moves[key] = _move(regex_tests.test(kind, argument, flags))
            cost = 16 + 4 * len(argument) if kind == "IN" else 16
            return self.add(_Step([then], move=self._moves[key], cost=cost))
        if kind == "AT":
            return self.add(_Step([then], move=_stay(regex_tests.check(str(argument), flags))))
        if kind == "BRANCH":
            return self.add(_Step([self.sequence(one, flags, then) for one in argument[1]]))
        if kind == "SUBPATTERN":
            group, added, removed, inner = argument
            own = (flags | int(added)) & ~int(removed)
            if group is None:
                return self.sequence(inner, own, then)
            end = self.add(_Step([then], slot=2 * group + 1))
            return self.add(_Step([self.sequence(inner, own, end)], slot=2 * group))
        if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
            return self._repeat(argument, flags, then, greedy=kind == "MAX_REPEAT")
        msg = "back references, look-around and possessive repetitions are not supported in regular expressions here"
        raise errors.RenderError(msg)

    def _repeat(self, argument: interfaces.Anything, flags: int, then: int, *, greedy: bool) -> int:
        least, most, inner = argument
        if str(most) == "MAXREPEAT":
            loop = self.add(_Step([then]))
            body = self.sequence(inner, flags, loop)
            self.steps[loop].ways = [body, then] if greedy else [then, body]
            begin = loop
        else:
            begin = then
            for _ in range(most - least):
                body = self.sequence(inner, flags, begin)
                begin = self.add(_Step([body, then] if greedy else [then, body]))
        for _ in range(least):
            begin = self.sequence(inner, flags, begin)
        return begin


def _move(test: regex_tests.Test) -> Move:
    """Return a move past a character that passes a test."""
    return lambda text, at: at + 1 if at < len(text) and test(text[at]) else -1


def _stay(check: Callable[[str, int], bool]) -> Move:
    """Return a move that stays at a position that passes a check."""
    return lambda text, at: at if check(text, at) else -1
