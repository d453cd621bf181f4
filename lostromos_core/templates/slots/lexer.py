"""Turn template source into Jinja2's tokens: trim control lines, and add marks that record the place.

Two rules for white space replace ``trim_blocks`` and ``lstrip_blocks``, which would remove the indentation that an
``include`` needs:

- A line that contains only control tags and comments leaves no line behind.
- Tags that write something in place (``include``, ``call``, ``filter``, ``yaml``, ``json``) are not control tags: the
  white space around them is kept.

``-`` and ``+`` inside a tag work as in Jinja2.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from typing import TYPE_CHECKING, final

import jinja2

from lostromos_core import interfaces
from lostromos_core.templates.data import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RawToken = tuple[int, str, str]
"""Line (from 1), type and text, as ``jinja2.Environment.lex`` yields them."""

WRITING_TAGS = frozenset({"include", "call", "endcall", "filter", "endfilter", "yaml", "endyaml", "json", "endjson"})
_BEGIN = {"comment_begin": "comment_end", "block_begin": "block_end", "variable_begin": "variable_end"}
_SINGLE = frozenset({"raw_begin", "raw_end"})
_LINE_END = re.compile(r"[ \t]*(\n|\Z)")


@final
class Places:
    """Number the places of all templates of an environment; equal places share one number.

    Safe for use by several threads.
    """

    def __init__(self) -> None:
        self._numbers: dict[interfaces.Place, int] = {}
        self._places: list[interfaces.Place] = []
        self._lock = threading.Lock()

    def number(self, place: interfaces.Place) -> int:
        """Return the number of a place, from 0."""
        with self._lock:
            if place not in self._numbers:
                self._numbers[place] = len(self._places)
                self._places.append(place)
            return self._numbers[place]

    def __getitem__(self, number: int) -> interfaces.Place:
        """Return the place with a number."""
        return self._places[number]


@final
@dataclasses.dataclass(slots=True)
class _Piece:
    """Hold template text between tags, or one whole tag."""

    line: int
    kind: str
    tokens: list[RawToken]
    text: str = ""
    begins_line: bool = False

    @property
    def is_control(self) -> bool:
        """Report whether this tag, if alone on its line, leaves no line behind."""
        if self.kind == "block_begin":
            return next((text for _, kind, text in self.tokens if kind == "name"), "") not in WRITING_TAGS
        return self.kind in _SINGLE or self.kind == "comment_begin"


def mark(raw: Iterable[RawToken], *, file: str, places: Places) -> Iterator[RawToken]:
    """Yield the raw tokens of a template without the white space of control lines, and with place marks."""
    pieces = list(_pieces(raw))
    _drop_control_lines(pieces)
    for piece in pieces:
        if piece.kind == "data":
            yield piece.line, "data", _mark_lines(piece, file, places)
        else:
            if piece.kind == "variable_begin":
                yield piece.line, "data", _mark_expression(piece, file, places)
            yield from piece.tokens


def _pieces(raw: Iterable[RawToken]) -> Iterator[_Piece]:
    iterator = iter(raw)
    for line, kind, text in iterator:
        if kind == "data" and tokens.RESERVED.search(text):
            msg = "a template must not contain the characters U+FDD0 to U+FDD7"
            raise jinja2.TemplateSyntaxError(msg, line)
        if kind not in _BEGIN:
            yield _Piece(line, kind, [(line, kind, text)], text)
            continue
        piece = _Piece(line, kind, [(line, kind, text)])
        for token in iterator:
            piece.tokens.append(token)
            if token[1] == _BEGIN[kind]:
                break
        yield piece


def _drop_control_lines(pieces: list[_Piece]) -> None:
    """Remove the line of control tags that have only white space between them and around them."""
    start = 0
    while start < len(pieces):
        if not pieces[start].is_control:
            start += 1
            continue
        end = start
        for index in range(start + 1, len(pieces)):
            blank = pieces[index].kind == "data" and not pieces[index].text.strip(" \t")
            if not (pieces[index].is_control or blank):
                break
            end = index if pieces[index].is_control else end
        _drop_line(pieces, start, end)
        start = end + 1


def _drop_line(pieces: list[_Piece], first: int, last: int) -> None:
    """Remove the indentation before ``first`` and the line end after ``last``, if the line contains nothing else."""
    before = pieces[first - 1] if first else None
    after = pieces[last + 1] if last + 1 < len(pieces) else None
    if (before and before.kind != "data") or (after and after.kind != "data"):
        return
    indentation = before.text.rpartition("\n")[2] if before else ""
    begins_line = before is None or before.begins_line or first == 1 or "\n" in before.text
    ending = _LINE_END.match(after.text) if after else None
    if indentation.strip(" \t") or not begins_line or (after and not ending):
        return
    if before:
        before.text = before.text[: len(before.text) - len(indentation)]
    if after and ending:
        after.text = after.text[ending.end() :]
        after.line += ending.group(1).count("\n")
        after.begins_line = True


def _mark_lines(piece: _Piece, file: str, places: Places) -> str:
    """Return the text with a place mark at its start and after each line end."""
    marked = []
    for offset, line in enumerate(piece.text.split("\n")):
        number = places.number(interfaces.Place(file, piece.line + offset))
        marked.append(tokens.line_mark(number) + line)
    return "\n".join(marked) if piece.text else ""


def _mark_expression(piece: _Piece, file: str, places: Places) -> str:
    expression = " ".join("".join(text for _, _, text in piece.tokens[1:-1]).split())
    return tokens.expression_mark(places.number(interfaces.Place(file, piece.line, expression)))
