"""Reads what can be read of JSON that no decoder takes.

The API server stores objects nested up to 9,900 levels deep; decoders stop at about 1,000, and encoders at 250. The
managed fields of an object mirror its maps, so its metadata can be as deep as the rest. Such an object must not stop
its neighbours, and its own metadata must still be known: so its text is scanned, without recursion, and what is too
deep is left out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REASON: Final = "Unreadable"
"""The reason of the ApiError for an answer that cannot be decoded."""
DEPTH: Final = 200
"""Levels that every encoder takes; orjson reads 1,024 levels, but writes 254."""
_KEPT: Final = DEPTH + 40
"""Levels that are left of what is deeper: enough for ``is_deep`` to see that it was."""
_OUTLINE: Final = ("apiVersion", "kind", "metadata", "status")

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{\[][^"{}\[\]]*+[}\]]|[{}\[\]]', re.DOTALL)
"""A string, a container without containers and strings, or a bracket."""


def loads(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON; of managed fields, leave out what is nested too deeply. Raises orjson.JSONDecodeError."""
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
    """Decode JSON that ``orjson`` does not take, and say whether nothing but what is too deep is missing.

    None if the text is not even a whole JSON value.
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
    """Take a list apart that cannot be decoded as a whole: the list without its items, and the text of each item.

    Raises orjson.JSONDecodeError if it is no whole list.
    """
    for key, start, end in _members(text):
        if key == "items" and text[start] == _BRACKET:
            header: Mapping[str, Any] = loads(text[:start] + b"[]" + text[end:])
            return header, [text[start + begin : start + stop] for _, begin, stop in _members(text[start:end])]
    msg = "no whole list"
    raise orjson.JSONDecodeError(msg, "", 0)


def outline(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies an object and says how it is, as far as it can be read and written again."""
    known: dict[str, Any] = _without_deep_fields(item)
    return {key: known[key] for key in _OUTLINE if key in known and not is_deep(known[key])}


def outlines(text: bytes) -> list[dict[str, Any]]:
    """The outlines of an object, or of the objects of a list, whose text cannot be decoded; those that have any."""
    try:
        texts = page(text)[1]
    except orjson.JSONDecodeError:
        texts = [text]
    found = [lenient(one)[0] for one in texts]
    return [outline(item) for item in found if isinstance(item, dict)]


def sift(item: dict[str, Any]) -> dict[str, Any] | None:
    """Return an object without those managed fields that are nested too deeply; None if other parts are, too."""
    sifted: dict[str, Any] = _without_deep_fields(item)
    return None if is_deep(sifted) else sifted


def is_deep(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether plain data has so many levels that it may be read, but not written again."""
    level = [value]
    for _ in range(DEPTH):
        inner = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = [child for children in inner for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _without_deep_fields(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """An object, or each item of a list, without the deep ones among the fields that its managers own."""
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("items"), list):
        return {**value, "items": [_without_deep_fields(item) for item in value["items"]]}
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(entries := metadata.get("managedFields"), list):
        return value
    kept = [_without_fields(entry) if is_deep(entry) else entry for entry in entries]
    return {**value, "metadata": {**metadata, "managedFields": kept}}


def _without_fields(entry: Any) -> Any:  # noqa: ANN401 - any JSON value
    return {key: field for key, field in entry.items() if key != "fieldsV1"} if isinstance(entry, dict) else {}


def _shallow(text: bytes) -> bytes | None:
    """The text with null for what is nested too deeply; None if it is no whole JSON object or list."""
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
    """The containers directly inside the container that the text is: their key (empty in a list), begin and end."""
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
    """How many levels deeper one is behind a token that is no string."""
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
