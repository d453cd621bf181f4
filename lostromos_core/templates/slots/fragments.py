"""Give fragments the indentation of the place where they are called.

A macro of several lines, called inside a mapping, must have all its lines where the call is, not only the first. The
rendered text contains marks around each fragment; they are replaced by the fragment's lines, indented:

- Alone on its line, or after ``- ``: all lines start at the column of the call.
- After ``key:``: the lines are placed below, indented by two; so is a single line that is an item or a ``key: value``.
- Inside a block scalar: the lines start where the line of the call starts.
- Inside a comment: every line becomes a comment.
- Elsewhere, a fragment of several lines is an error, since it would break the line apart.

Elsewhere, a fragment of one line is inserted unchanged.
"""

from __future__ import annotations

import re
from typing import final

from lostromos_core.templates.data import tokens
from lostromos_core.templates.slots import program

_LEADING_MARKS = re.compile(f"(?:{tokens.MARK.pattern})*")
_AT_COLUMN = re.compile(r"[ ]*(?:-[ ]+)*")
_AFTER_KEY = re.compile(r"([ ]*(?:-[ ]+)*)[^\s#].*:[ ]+")
_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#&*!|>%@`\[\]{},:-](?:[^:#]|(?<=\S)[:#](?=\S))*)"""
_BLOCK_SCALAR = re.compile(
    rf"(?P<dashes>[ ]*(?:-[ ]+)*)(?P<key>{_KEY}[ ]*:[ ]+)?(?:!\S*[ ]+)?"
    r"[|>](?:[-+]?[1-9]?|[1-9][-+])(?:[ \t]+#.*|[ \t]*)"
)
"""The line that begins a block scalar: after dashes, after a key, or after both."""
_STRUCTURE = re.compile(rf"-(?:[ ].*)?|{_KEY}[ ]*:(?:[ ].*)?")
"""A line that is an item, or a key with its value."""
_LONG = 4096
"""Length from which a line is not examined for each fragment in it, such as a list written by a loop."""
_COMMENT = re.compile(r"[ ]*#.*")


def lay_out(text: str) -> str:
    """Return the text with its fragments in place; place marks and tokens are kept.

    Raises Misplaced where a fragment of several lines is not allowed.
    """
    if tokens.FRAGMENT_BEGIN not in text:
        return text
    stack = [_Layout()]
    for number, begun in enumerate(text.split(tokens.FRAGMENT_BEGIN)):
        if number:
            stack.append(_Layout())
        for index, piece in enumerate(begun.split(tokens.FRAGMENT_END)):
            if index:
                fragment = stack.pop()
                stack[-1].insert(fragment.text())
            stack[-1].write(piece)
    return stack[0].text()


@final
class _Layout:
    """Build a text line by line, and track whether its current line is inside a block scalar."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[str] = []
        self._length = 0
        self._block_indent: int | None = None
        self._must_end = False

    def text(self) -> str:
        return "\n".join([*self._lines, self._line])

    @property
    def _line(self) -> str:
        """Return the current line."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def _begin(self, line: str) -> None:
        """Begin a new line."""
        self._pieces, self._length = [line], len(line)

    def _add(self, text: str) -> None:
        """Append to the current line."""
        self._pieces.append(text)
        self._length += len(text)

    def write(self, text: str) -> None:
        first, *rest = text.split("\n")
        if self._must_end and tokens.visible(first).strip() and not tokens.visible(first).lstrip().startswith("#"):
            raise self._torn()
        self._add(first)
        self._must_end = self._must_end and not rest
        for line in rest:
            self._end_line()
            self._begin(line)

    def insert(self, fragment: str) -> None:
        """Insert a fragment at the end of the current line."""
        lines = _dedent(fragment.split("\n")) if "\n" in fragment else [fragment]
        if len(lines) <= 1 and not (self._length < _LONG and self._needs_a_line("".join(lines))):
            self.write("".join(lines))
            return
        before = tokens.visible(self._line)
        if self._in_block(before):
            self._write_lines(lines, before[: len(before) - len(before.lstrip())])
        elif _AT_COLUMN.fullmatch(before):
            self._write_lines(lines, " " * len(before))
            self._must_end = True
        elif _COMMENT.fullmatch(before):
            self._write_lines(lines, before)
        elif match := _AFTER_KEY.fullmatch(before):
            self._end_line()
            indent = " " * (len(match.group(1)) + 2)
            self._begin(indent)
            self._write_lines(lines, indent)
            self._must_end = True
        else:
            raise self._torn()

    def _torn(self) -> program.Misplaced:
        places = tokens.LINE.findall("".join([*self._lines[-1:], self._line]))
        return program.Misplaced(_TORN, int(places[-1]) if places else None)

    def _needs_a_line(self, fragment: str) -> bool:
        """Decide whether a fragment of one line must be placed below the key that it follows."""
        if not _STRUCTURE.fullmatch(tokens.visible(fragment).strip()):
            return False
        before = tokens.visible(self._line)
        return bool(_AFTER_KEY.fullmatch(before)) and not self._in_block(before)

    def _write_lines(self, lines: list[str], indent: str) -> None:
        self._add(lines[0])
        for line in lines[1:]:
            self._end_line()
            self._begin(indent + line if tokens.visible(line) else line)

    def _end_line(self) -> None:
        line = tokens.visible(self._line)
        if not self._in_block(line):
            self._block_indent = begins_block(line)
        self._lines.append(self._line)

    def _in_block(self, line: str) -> bool:
        return self._block_indent is not None and (not line.strip() or _indent(line) > self._block_indent)


_TORN = "a fragment of several lines is in the middle of a line; give it a line of its own"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def begins_block(line: str) -> int | None:
    """Return the column that the lines of a block scalar lie beyond, if a line begins one; None otherwise."""
    found = _BLOCK_SCALAR.fullmatch(line)
    if not found:
        return None
    dashes = found["dashes"]
    return len(dashes) if found["key"] or "-" not in dashes else dashes.rindex("-")


def _dedent(lines: list[str]) -> list[str]:
    """Return the lines without blank lines around them and without their common indentation."""
    first, end = 0, len(lines)
    while first < end and not tokens.visible(lines[first]).strip():
        first += 1
    while first < end and not tokens.visible(lines[end - 1]).strip():
        end -= 1
    lines = lines[first:end]
    common = min((_indent(seen) for line in lines if (seen := tokens.visible(line)).strip()), default=0)
    return [_cut(line, common) for line in lines]


def _cut(line: str, width: int) -> str:
    """Return a line without its first ``width`` spaces; marks before and among them are kept."""
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
