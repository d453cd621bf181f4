"""Blend three texts: take the parts that differ between two renderings from a third text, and nothing else.

Only plain searches and one comparison of lines are used, so that no text can make it expensive.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST: Final = 2_000
"""Maximum number of lines of a text that is compared line by line."""


def blend(one: str, other: str, there: str) -> str | None:
    """Return ``one`` with its differences from ``other`` taken from ``there``; None if ``there`` lacks them."""
    lines, others, left = _lines(one), _lines(other), _lines(there)
    if len(lines) == 1:
        return _line(one, other, there) if len(left) == 1 else None
    if max(len(lines), len(others)) > LONGEST:
        return None
    found: list[str] = []
    rest: Sequence[str] = left
    matcher = difflib.SequenceMatcher(None, lines, others, autojunk=False)
    for tag, start, end, begin, stop in matcher.get_opcodes():
        if tag == "equal":
            found += lines[start:end]
            continue
        run = _run(lines, others[begin:stop], start, end, rest)
        if run is None:
            return None
        taken, rest = run
        found += taken
    return "\n".join(found)


def _lines(text: str) -> list[str]:
    """Split a text into lines; a key or certificate counts as one, since some of its lines may be equal."""
    found: list[str] = []
    block: list[str] = []
    for line in text.split("\n"):
        if block or line.strip().startswith("-----BEGIN "):
            block.append(line)
            if line.strip().startswith("-----END "):
                found.append("\n".join(block))
                block = []
        else:
            found.append(line)
    return found + block


def _run(
    lines: Sequence[str], others: Sequence[str], start: int, end: int, rest: Sequence[str]
) -> tuple[list[str], Sequence[str]] | None:
    """Return lines that differ as they are in the rest of a text, and the lines after them."""
    pairs = list(zip(lines[start:end], others, strict=False))
    if end - start != len(others) or not all(_frame(*pair)[0].strip() for pair in pairs):
        return _between(lines[start - 1] if start else None, lines[end] if end < len(lines) else None, rest)
    taken: list[str] = []
    for one, other in pairs:
        hit = _next(one, other, rest)
        if hit is None:
            return None
        taken.append(hit[1])
        rest = rest[hit[0] + 1 :]
    return taken, rest


def _next(one: str, other: str, rest: Sequence[str]) -> tuple[int, str] | None:
    """Return the index of the first line with the same frame, and the blended line."""
    for index, there in enumerate(rest):
        if (found := _line(one, other, there)) is not None:
            return index, found
    return None


def _between(before: str | None, after: str | None, rest: Sequence[str]) -> tuple[list[str], Sequence[str]] | None:
    """Return the lines between two others, or from the beginning, or to the end, and the lines after them."""
    begin = 0
    if before is not None:
        if before not in rest:
            return None
        begin = rest.index(before) + 1
    if after is not None and after not in rest[begin:]:
        return None
    end = len(rest) if after is None else rest.index(after, begin)
    return (list(rest[begin:end]), rest[end:]) if end > begin else None


def _line(one: str, other: str, there: str) -> str | None:
    """Return a line with its differing part taken from a third line with the same beginning."""
    head, tail = _frame(one, other)
    if not there.startswith(head):
        return None
    if there.endswith(tail) and len(there) >= len(head) + len(tail):
        return there
    size = len(one) - len(head) - len(tail)
    value, follows = there[len(head) : len(head) + size], there[len(head) + size :][:1]
    return f"{head}{value}{tail}" if tail and follows == tail[0] else None


def _frame(one: str, other: str) -> tuple[str, str]:
    """Return the common beginning and end of two lines, cut at characters that are not letters or digits."""
    size = min(len(one), len(other))
    head = next((index for index in range(size) if one[index] != other[index]), size)
    while head and one[head - 1].isalnum():
        head -= 1
    left = size - head
    tail = next((index for index in range(left) if one[-1 - index] != other[-1 - index]), left)
    while tail and (one[-tail].isalnum() or one[-tail] == "="):  # base64 ends with up to two of these
        tail -= 1
    return one[:head], one[len(one) - tail :]
