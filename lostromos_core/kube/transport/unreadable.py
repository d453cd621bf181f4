"""Read as much as possible of JSON that no decoder accepts.

The API server stores objects nested up to 9,900 levels deep; decoders stop at about 1,000, and encoders at 250. The
managed fields of an object mirror its maps, so its metadata can be as deep as the rest. Such an object must not block
others, and its own metadata must still be known. Its text is therefore scanned without recursion, and parts that are
too deep are left out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lostromos_core import interfaces

REASON: Final = "Unreadable"
"""Reason of the ApiError for a response that cannot be decoded."""
DEPTH: Final = 200
"""Levels that every encoder accepts; orjson reads 1,024 levels, but writes 254."""
_KEPT: Final = DEPTH + 40
"""Levels kept of deeper data: enough for ``is_deep`` to detect it."""
_OUTLINE: Final = ("apiVersion", "kind", "metadata", "status")

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{\[][^"{}\[\]]*+[}\]]|[{}\[\]]', re.DOTALL)
"""Matches a string, a container without nested containers or strings, or a bracket."""


def loads(text: bytes) -> interfaces.Json:
    """Decode JSON without managed fields that are nested too deeply. Raises orjson.JSONDecodeError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        shallow = _shallow(text)
        if shallow is None:
            raise
        found = _without_deep_fields(orjson.loads(shallow))
        if is_deep(found):
            raise
        return found


def lenient(text: bytes) -> tuple[Any, bool]:
    """Decode JSON that ``orjson`` rejects; also return whether only parts that are too deep are missing.

    The value is None if the text is not even a complete JSON value.
    """
    shallow = _shallow(text)
    if shallow is None:
        return None, False
    try:
        return orjson.loads(shallow), True
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(shallow.decode("utf-8", "replace"), strict=False), False
    except ValueError:
        return None, False


def page(text: bytes) -> tuple[Mapping[str, Any], list[bytes]]:
    """Split a list that cannot be decoded as a whole: return the list without its items, and the text of each item.

    Raises orjson.JSONDecodeError if the text is not a complete list.
    """
    for key, start, end in _members(text):
        if key == "items" and text[start] == _BRACKET:
            header: Mapping[str, Any] = loads(text[:start] + b"[]" + text[end:])
            return header, [text[start + begin : start + stop] for _, begin, stop in _members(text[start:end])]
    msg = "no whole list"
    raise orjson.JSONDecodeError(msg, "", 0)


def outline(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity, metadata and status of an object, as far as they can be decoded and encoded again."""
    known: dict[str, Any] = _without_deep_fields(item)
    return {key: known[key] for key in _OUTLINE if key in known and not is_deep(known[key])}


def outlines(text: bytes) -> list[dict[str, Any]]:
    """Return the outlines of an undecodable object, or of the objects of an undecodable list, as far as they exist."""
    try:
        texts = page(text)[1]
    except orjson.JSONDecodeError:
        texts = [text]
    found = [lenient(one)[0] for one in texts]
    return [outline(item) for item in found if isinstance(item, dict)]


def sift(item: dict[str, Any]) -> dict[str, Any] | None:
    """Return an object without managed fields that are nested too deeply; None if other parts are also too deep."""
    sifted: dict[str, Any] = _without_deep_fields(item)
    return None if is_deep(sifted) else sifted


def is_deep(value: interfaces.Json) -> bool:
    """Return whether plain data has so many levels that it can be decoded, but not encoded again."""
    level = [value]
    for _ in range(DEPTH):
        inner = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _without_deep_fields(value: interfaces.Json) -> interfaces.Json:
    """Return an object, or each item of a list, without managed fields that are nested too deeply."""
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("items"), list):
        return {**value, "items": [_without_deep_fields(item) for item in value["items"]]}
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(entries := metadata.get("managedFields"), list):
        return value
    kept = [_without_fields(entry) if is_deep(entry) else entry for entry in entries]
    return {**value, "metadata": {**metadata, "managedFields": kept}}


def _without_fields(entry: interfaces.Json) -> interfaces.Json:
    return {key: field for key, field in entry.items() if key != "fieldsV1"} if isinstance(entry, dict) else {}


def _shallow(text: bytes) -> bytes | None:
    """Return the text with null for parts nested too deeply; None if it is not a complete JSON object or list."""
    pieces, depth, done, cut = [], 0, 0, 0
    for match in _TOKEN.finditer(text):
        mark, length = text[match.start()], match.end() - match.start()
        if mark == _QUOTE:
            continue
        if length > 1:
            if depth == _KEPT:
                pieces += [text[done : match.start()], b"null"]
                done = match.end()
        elif mark in b"{[":
            depth += 1
            if depth == _KEPT + 1:
                cut = match.start()
        else:
            depth -= 1
            if depth == _KEPT:
                pieces += [text[done:cut], b"null"]
                done = match.end()
            elif depth == 0:
                whole = not text[match.end() :].strip()
                return b"".join([*pieces, text[done : match.end()]]) if whole else None
    return None


def _members(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the key (empty in a list), start and end of each container directly inside the outermost one."""
    depth, key, begin = 0, "", 0
    for match in _TOKEN.finditer(text):
        mark = text[match.start()]
        if mark == _QUOTE:
            if depth == 1 and text[match.end() : match.end() + 2].lstrip()[:1] == b":":
                key = _text(match.group())
            continue
        depth, was = depth + _steps(match), depth
        if (was, depth) == (1, 2):
            begin = match.start()
        elif (was, depth) in {(2, 1), (1, 1)}:
            yield key, begin if was > 1 else match.start(), match.end()
            key = ""
        elif depth == 0:
            return


def _steps(match: re.Match[bytes]) -> int:
    """Return the change of depth after a token that is not a string."""
    if match.end() - match.start() > 1:
        return 0
    return 1 if match.group() in {b"{", b"["} else -1


def _text(quoted: bytes) -> str:
    try:
        return str(orjson.loads(quoted))
    except orjson.JSONDecodeError:
        return ""


_QUOTE: Final = ord('"')
_BRACKET: Final = ord("[")
