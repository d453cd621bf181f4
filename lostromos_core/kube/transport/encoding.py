r"""Encode JSON so that YAML parsers read it unchanged, too.

The API server parses the body of a server-side apply as YAML, and Helm its values. JSON is YAML except for some
characters that JSON strings may contain unescaped, and that YAML forbids (U+007F, U+0080 to U+009F, U+FFFE, U+FFFF) or
treats as line breaks or byte order marks (U+0085, U+2028, U+2029, U+FEFF). Escaped as ``\uXXXX``, they are preserved.
Source: https://yaml.org/spec/1.2.2/#51-character-set
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from lostromos_core import errors, interfaces

_UNSAFE: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")


def encode(body: interfaces.Json, action: str) -> bytes:
    """Return plain data as JSON; raises RefusedError, whose message begins with ``action``."""
    try:
        return orjson.dumps(body)
    except (orjson.JSONEncodeError, TypeError) as error:
        msg = f"{action}: the object cannot be written as JSON: {error}"
        raise errors.RefusedError(msg) from error


def safe_in_yaml(text: bytes) -> bytes:
    """Return JSON whose strings a YAML parser reads unchanged."""
    return text if is_safe_in_yaml(text) else _UNSAFE.sub(_escape, text)


def is_safe_in_yaml(text: bytes) -> bool:
    """Return whether a YAML parser reads this JSON unchanged."""
    return (text.isascii() and b"\x7f" not in text) or not _UNSAFE.search(text)


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found.group().decode())
