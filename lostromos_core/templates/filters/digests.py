"""Compute digests in filters: of texts, of other values, and of the output of macros, includes and set blocks."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

from lostromos_core import errors, interfaces
from lostromos_core.templates.data import budget, marked, tokens
from lostromos_core.templates.filters import filters

_LAYOUT: Final = re.compile(f"[{tokens.FRAGMENT_BEGIN}{tokens.FRAGMENT_END}{tokens.SHIFT}]")
_ALGORITHMS: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


def digest(value: interfaces.Json, algorithm: str = "sha1") -> str:
    """Return the hexadecimal digest of a text's UTF-8 bytes; of other values, that of their JSON with sorted keys.

    The digest of a fragment stays the same as long as its text and its values do.
    """
    if algorithm not in _ALGORITHMS:
        msg = f"hash takes one of {', '.join(_ALGORITHMS)}"
        raise errors.RenderError(msg)
    if isinstance(value, tokens.Fragment):
        data = _of_fragment(value).encode("utf-8", "surrogatepass")
    elif isinstance(value, str):
        data = filters.utf8(value, algorithm)
    else:
        data = json.dumps(filters.plain_data(value, item=2), sort_keys=True).encode()
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


def sha1(value: interfaces.Anything) -> str:
    """Return the SHA-1, 40 hexadecimal digits."""
    return digest(value, "sha1")


def sha256(value: interfaces.Anything) -> str:
    """Return the SHA-256, 64 hexadecimal digits."""
    return digest(value, "sha256")


def _of_fragment(fragment: tokens.Fragment) -> str:
    """Return a text that differs if the fragment's text or one of its values differs."""
    now, slots = budget.now(), budget.current.get()
    length = str.__len__(fragment)
    now.at_once(length >> 3)
    now.make(4 * length)
    pieces: list[Any] = tokens.TOKEN.split(_LAYOUT.sub("", tokens.visible(str.__str__(fragment))))
    for index in range(1, len(pieces), 2):
        value = slots[int(pieces[index])]
        pieces[index] = None if isinstance(value, marked.Nothing) else [value]
        size = budget.weigh(value)
        now.spend(10 + (size >> 2))
        now.make(size)
    return json.dumps(pieces, sort_keys=True)


FILTERS: Final = {"sha1": sha1, "checksum": sha1, "sha256": sha256, "hash": digest}
