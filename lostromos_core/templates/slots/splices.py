"""Insert expressions among keys and items: ``{{ ... }}`` alone on its line, where YAML has no syntax for it.

The value's keys become keys of the mapping, and its items become items of the list. The lines around it decide which of
the two and where, never the value; so the template still determines what can be structure. The line is rewritten for
the YAML parser as a key or an item, with a mark that no template and no data can contain.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

from lostromos_core.templates.data import tokens
from lostromos_core.templates.slots import fragments

if TYPE_CHECKING:
    from collections.abc import Sequence

SPLICE: Final = tokens.SHIFT
"""Precedes the token of an expression among keys or items; the layout has removed all other such marks."""
_MARKS: Final = f"(?: |{tokens.MARK.pattern})*"
_ALONE: Final = re.compile(f"(?m)^{_MARKS}{tokens.HOLE}{_MARKS}$")
_DASHES: Final = re.compile("(?:-[ ]+|-$)*")
_LONG: Final = 4096
"""Characters above which a line is not examined, such as a list written by a loop."""


def write(text: str) -> str:
    """Rewrite the lines that contain one expression among keys or items; return the text itself if no line does."""
    if not _ALONE.search(text):
        return text
    lines = text.split("\n")
    found = _Lines(lines).splices()
    for index, sign in found.items():
        line = lines[index]
        begin, end = line.index(tokens.HOLE), line.index(tokens.HOLE) + 1
        if sign == "-":
            start = _content(line)
            lines[index] = f"{line[:start]}- {line[start:begin]}{SPLICE}{line[begin:]}"
        else:
            lines[index] = f"{line[:begin]}{SPLICE}{line[begin:end]}: ~{line[end:]}"
    return "\n".join(lines) if found else text


def _content(line: str) -> int:
    """Return the index at which a line's first expression begins, including the mark of its place."""
    mark = tokens.EXPRESSION.search(line)
    return mark.start() if mark else line.index(tokens.HOLE)


@final
class _Lines:
    """Examine the lines of a text in order, and track the open collections."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [_seen(line) for line in lines]
        self._open: list[tuple[int, str]] = []
        self._found: dict[int, str] = {}

    def splices(self) -> dict[int, str]:
        """Return the numbers of the lines that are splices, with ``:`` among keys and ``-`` among items."""
        block: int | None = None
        following = self._following()
        for index, (column, content) in enumerate(self._lines):
            if block is not None and (not content or column > block):
                continue
            block = fragments.begins_block(" " * column + content)
            if content.startswith("---"):
                self._open = []
            elif content == tokens.HOLE:
                self._alone(index, column, following[index])
            elif content and content[0] != "#":
                self._entry(content, column)
        return self._found

    def _following(self) -> list[str]:
        """Return the kind of the next line for each line, if in the same column; lone expressions are skipped."""
        signs = [""] * len(self._lines)
        after, sign = -1, ""
        for index in range(len(self._lines) - 1, -1, -1):
            column, content = self._lines[index]
            if not content or content[0] == "#":
                continue
            signs[index] = sign if after == column else ""
            if content != tokens.HOLE:
                sign = "-" if content.startswith("- ") or content == "-" else ":" if _is_key(content) else ""
            else:
                sign = signs[index]
            after = column
        return signs

    def _entry(self, content: str, column: int) -> None:
        """Handle a line that may be an item, a key or both."""
        dashes = _DASHES.match(content)
        after = dashes.end() if dashes else 0
        for offset, character in enumerate(content[:after]):
            if character == "-":
                self._enter(column + offset, "-")
        if _is_key(content[after:]):
            self._enter(column + after, ":")

    def _enter(self, column: int, sign: str) -> None:
        self._leave(column, is_key=sign == ":")
        if not self._open or self._open[-1][0] < column or (sign == "-" and self._open[-1][1] == ":"):
            self._open.append((column, sign))

    def _leave(self, column: int, *, is_key: bool) -> None:
        while self._open and (self._open[-1][0] > column or (self._open[-1] == (column, "-") and is_key)):
            self._open.pop()

    def _alone(self, index: int, column: int, following: str) -> None:
        """Handle a line that contains only an expression."""
        self._leave(column, is_key=False)
        if self._open and self._open[-1][0] == column:
            self._found[index] = self._open[-1][1]
        elif following:
            self._found[index] = following
            self._open.append((column, following))


def _seen(line: str) -> tuple[int, str]:
    """Return a line's column and content without marks; the content is empty if the line is too long to examine."""
    seen = tokens.visible(line).rstrip(" ") if len(line) <= _LONG else ""
    content = seen.lstrip(" ")
    return len(seen) - len(content), content


def _is_key(content: str) -> bool:
    """Decide from its characters whether a line begins with a key; examine each of them once."""
    if content[:1] in {'"', "'"}:
        end = _closing(content)
        rest = content[end + 1 :].lstrip(" ")
        return end > 0 and (rest == ":" or rest.startswith(": "))
    return content[:1] not in set("#&*!|>%@`[]{},?") and (content.endswith(":") or ": " in content)


def _closing(content: str) -> int:
    """Return the index of the quote that closes a quoted text at the beginning, or -1."""
    quote, index = content[0], 1
    while index < len(content):
        if content[index] == "\\" and quote == '"':
            index += 1
        elif content[index] == quote:
            return index
        index += 1
    return -1
