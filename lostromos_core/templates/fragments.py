"""Fragments take the indentation of the place where they are called.

A macro of several lines, called inside a mapping, must put all its lines where the call stands, not only the first.
The rendered text carries marks around each fragment; here they are replaced by the fragment's lines, moved:

- Alone on its line, or after ``- ``: all lines start at the column of the call.
- After ``key:``: the lines go below, indented by two.
- Inside a block scalar: the lines start where the line of the call starts.
- Inside a comment: every line becomes a comment.
- Elsewhere, a fragment of several lines would tear the line apart: RenderError.

A fragment of one line is inserted as it is.
"""

from __future__ import annotations

import re
from typing import final

from lostromos_core import errors
from lostromos_core.templates import tokens

_SPLIT = re.compile(f"([{tokens.FRAGMENT_BEGIN}{tokens.FRAGMENT_END}])")
_LEADING_MARKS = re.compile(f"(?:{tokens.MARK.pattern})*")
_AT_COLUMN = re.compile(r"[ ]*(?:-[ ]+)*")
_AFTER_KEY = re.compile(r"([ ]*(?:-[ ]+)*)[^\s#].*:[ ]+")
_BLOCK_SCALAR = re.compile(r"(?:^|.*[\s:-])[|>](?:[-+]?[1-9]?|[1-9][-+])[ \t]*(?:#.*)?")
_COMMENT = re.compile(r"[ ]*#.*")


def lay_out(text: str) -> str:
    """The text with its fragments in place; place marks and tokens stay.

    Raises RenderError where a fragment of several lines cannot stand.
    """
    if tokens.FRAGMENT_BEGIN not in text:
        return text
    stack = [_Layout()]
    for piece in _SPLIT.split(text):
        if piece == tokens.FRAGMENT_BEGIN:
            stack.append(_Layout())
        elif piece == tokens.FRAGMENT_END:
            fragment = stack.pop()
            stack[-1].insert(fragment.text())
        else:
            stack[-1].write(piece)
    return stack[0].text()


@final
class _Layout:
    """Text that grows line by line, and knows whether its current line lies inside a block scalar."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line = ""
        self._block_indent: int | None = None
        self._must_end = False

    def text(self) -> str:
        return "\n".join([*self._lines, self._line])

    def write(self, text: str) -> None:
        first, *rest = text.split("\n")
        if self._must_end and tokens.visible(first).strip() and not tokens.visible(first).lstrip().startswith("#"):
            raise errors.RenderError(_TORN)
        self._line += first
        self._must_end = self._must_end and not rest
        for line in rest:
            self._end_line()
            self._line = line

    def insert(self, fragment: str) -> None:
        """Insert a fragment at the end of the current line."""
        if "\n" not in fragment:
            self.write(fragment)
            return
        lines = _dedent(fragment.split("\n"))
        before = tokens.visible(self._line)
        if len(lines) <= 1:
            self.write("".join(lines))
        elif self._in_block(before):
            self._write_lines(lines, before[: len(before) - len(before.lstrip())])
        elif _AT_COLUMN.fullmatch(before):
            self._write_lines(lines, " " * len(before))
            self._must_end = True
        elif _COMMENT.fullmatch(before):
            self._write_lines(lines, before)
        elif match := _AFTER_KEY.fullmatch(before):
            self._end_line()
            indent = " " * (len(match.group(1)) + 2)
            self._line = indent
            self._write_lines(lines, indent)
            self._must_end = True
        else:
            raise errors.RenderError(_TORN)

    def _write_lines(self, lines: list[str], indent: str) -> None:
        self._line += lines[0]
        for line in lines[1:]:
            self._end_line()
            self._line = indent + line if tokens.visible(line) else line

    def _end_line(self) -> None:
        line = tokens.visible(self._line)
        if not self._in_block(line):
            opens = _BLOCK_SCALAR.fullmatch(line) and not _COMMENT.fullmatch(line)
            self._block_indent = _indent(line) if opens else None
        self._lines.append(self._line)

    def _in_block(self, line: str) -> bool:
        return self._block_indent is not None and (not line.strip() or _indent(line) > self._block_indent)


_TORN = "a fragment of several lines stands in the middle of a line; give it a line of its own"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _dedent(lines: list[str]) -> list[str]:
    """The lines without blank lines around them and without their common indentation."""
    while lines and not tokens.visible(lines[0]).strip():
        lines = lines[1:]
    while lines and not tokens.visible(lines[-1]).strip():
        lines = lines[:-1]
    common = min((_indent(seen) for line in lines if (seen := tokens.visible(line)).strip()), default=0)
    return [_cut(line, common) for line in lines]


def _cut(line: str, width: int) -> str:
    """A line without its first ``width`` spaces; marks before and among them stay."""
    kept = []
    while width > 0 and line:
        marks = _LEADING_MARKS.match(line)
        kept.append(marks.group() if marks else "")
        line = line[len(kept[-1]) :]
        spaces = min(width, _indent(line))
        if not spaces:
            break
        line, width = line[spaces:], width - spaces
    return "".join(kept) + line
