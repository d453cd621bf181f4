"""Finds out what an object is that no JSON decoder can read.

The API server stores objects nested up to 9,900 levels deep; decoders stop at about 1,000. Such an object must not
stop its neighbours, and somebody must be told which one it is. So its text is scanned, without recursion, for the
one part that is needed: ``metadata``, whose own nesting is small.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

DEPTH: Final = 200
"""Levels that every encoder takes; orjson reads 1,024 levels, but writes 254."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def slices(text: bytes, path: tuple[str, ...]) -> list[bytes]:
    """The texts of the objects under a path of keys from the root; ``*`` stands for the items of a list."""
    return [text[start:end] for start, end in _find(text, 0, path)]


def metadata(text: bytes, path: tuple[str, ...]) -> dict[str, Any]:
    """The ``metadata`` of the object under a path, empty if it cannot be found or read."""
    for piece in slices(text, (*path, "metadata")):
        try:
            found = orjson.loads(piece)
        except orjson.JSONDecodeError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def is_deep(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether plain data has so many levels that it may be read, but not written again."""
    level = [value]
    for _ in range(DEPTH):
        inner = [node.values() if isinstance(node, dict) else node for node in level]
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _find(text: bytes, start: int, path: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where the values under ``path`` begin and end, within the container that begins at ``start``."""
    wanted, rest = path[0], path[1:]
    found: list[tuple[int, int]] = []
    for key, begin, end in _members(text, start):
        if wanted in {"*", key}:
            found += _find(text, begin, rest) if rest else [(begin, end)]
    return found


def _members(text: bytes, start: int) -> list[tuple[str, int, int]]:
    """The containers directly inside the container at ``start``: their key (empty in a list), begin and end."""
    members = []
    depth, key, begin = 0, "", 0
    for match in _TOKEN.finditer(text, start):
        mark = text[match.start()]
        if mark in b"{[":
            depth += 1
            if depth == 2:  # noqa: PLR2004 - directly inside
                begin = match.start()
        elif mark in b"}]":
            depth -= 1
            if depth == 1:
                members.append((key, begin, match.end()))
                key = ""
            if depth == 0:
                break
        elif depth == 1 and text[match.end() : match.end() + 2].lstrip()[:1] == b":":
            key = _text(match.group())
    return members


def _text(quoted: bytes) -> str:
    try:
        return str(orjson.loads(quoted))
    except orjson.JSONDecodeError:
        return ""
