"""Remove secrets from messages: the operator's variables, and Secrets used in a chart's values.

A tenant may choose both the secret and the message, so the work is bounded: white space is collapsed and escapes are
undone before texts are compared, and the comparison is a plain substring search, without patterns.
"""

from __future__ import annotations

import base64
import functools
import itertools
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, final

from lostromos_core import interfaces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SHORTEST: Final = 4
"""Characters of the shortest text that is hidden; shorter ones would match everywhere."""
SHORTEST_LINE: Final = 8
"""Characters of the shortest line of a hidden text that is hidden on its own."""
LONGEST_MESSAGE: Final = 16 * 1024
"""Characters of a message that are examined; the rest is cut off."""
MOST: Final = 256 * 1024
"""Most characters of hidden texts."""
MOST_LINES: Final = 4096
"""Most lines of hidden texts. If either limit is exceeded, the whole message is withheld."""
WITHHELD: Final = "(withheld: there is too much that must not be shown; `helm template` with the same values shows it)"
_WORK: Final = 20_000_000
"""Most character comparisons for one message; if that is not enough, the message is withheld too."""
_WRITTEN: Final = 256 * 1024
"""Characters of the author's own data that are examined."""
_ASKED: Final = 32
"""Texts found in one message that are checked against the author's own data; any others are always hidden."""
_LONG, _SHORT = 8, SHORTEST
"""Characters of the prefixes that are looked up for all forms at once."""
_STARS: Final = "***"
_LEVELS: Final = 3
"""Levels of escaping in a message: none, escaped once as Go and JSON do, or escaped twice."""
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<bytes>x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*)"
    r"|u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<plain>[^xuU]))",
    re.DOTALL,
)
_FOR_URLS: Final = str.maketrans("+/", "-_")
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_BYTES: Final = "surrogateescape"
_AS_THEY_ARE: Final = frozenset("\\\"'/")
_BLANKS: Final = re.compile(r"\s+")

_Piece = tuple[str, int, int]
"""A text, and its start and end in the message."""


@final
class Hidden:
    """Hold the texts that must not be shown, in all forms in which a chart may show them.

    ``texts`` are hidden unless they occur in ``written``, plain data that the reader wrote. No work is done until
    there is a message.
    """

    def __init__(self, texts: Iterable[str], written: interfaces.Json = None) -> None:
        self._texts = tuple(texts)
        self._data = written

    @property
    def hides(self) -> bool:
        """Return whether there is anything to hide."""
        return bool(self._texts)

    def from_all(self) -> Hidden:
        """Return the same texts, hidden from their author too, so that the author's data is not kept in memory."""
        return Hidden(self._texts) if self._texts else NOTHING

    @property
    def withholds(self) -> bool:
        """Return whether there is too much to hide to show any message."""
        return sum(map(len, self._texts)) > MOST or sum(text.count("\n") for text in self._texts) > MOST_LINES

    def hide(self, text: str) -> str:
        """Return a message without the hidden texts; a long message is cut."""
        if not text or not self._texts:
            return text
        if self.withholds:
            return WITHHELD
        cut, text = len(text) > LONGEST_MESSAGE, text[:LONGEST_MESSAGE]
        try:
            return _starred(text, list(self._spans(text, cut=cut)))
        except _TooMuchError:
            return WITHHELD

    def _spans(self, text: str, *, cut: bool) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each part that must not be shown."""
        search = _Search(self._by_start, cut=cut)
        asked: dict[str, bool] = {}
        shown, places = text, list(range(len(text) + 1))
        for _ in range(_LEVELS):
            collapsed, at = _with_places(_blanks(shown), places)
            for form, start in search.found(collapsed):
                if form not in asked:
                    asked[form] = len(asked) < _ASKED and self._forms[form] in self._written
                if not asked[form]:
                    yield at[start], at[min(start + len(form), len(collapsed))]
            unescaped, places = _with_places(_unescaped(shown), places)
            if unescaped == shown:
                return
            shown = unescaped

    @functools.cached_property
    def _written(self) -> str:
        """Return the text that the reader wrote, which need not be hidden from the reader."""
        return _collapse("\n".join(_up_to(interfaces.texts(self._data), _WRITTEN)))

    @functools.cached_property
    def _forms(self) -> Mapping[str, str]:
        """Map each form to the text that it is a form of."""
        found: dict[str, str] = {}
        for text in self._texts:
            for form in _forms(text):
                found.setdefault(form, form)
                found.update((encoded, form) for encoded in _encoded(form))
            if len(text) >= SHORTEST:
                found.update((encoded, _collapse(text)) for encoded in _encoded(text))
        return found

    @functools.cached_property
    def _by_start(self) -> Mapping[str, Sequence[str]]:
        """Index the forms by prefix, so that those that a message may contain are found at once."""
        found: dict[str, list[str]] = {}
        for form in self._forms:
            found.setdefault(form[: _LONG if len(form) >= _LONG else _SHORT], []).append(form)
        return found


@final
class _Search:
    """Find forms in a message and its unescaped versions; raises _TooMuchError when that takes too long.

    ``cut``: the message was cut, so a form whose beginning is at the end of the message is found too.
    """

    def __init__(self, by_start: Mapping[str, Sequence[str]], *, cut: bool) -> None:
        self._by_start = by_start
        self._cut = cut
        self._left = _WORK

    def found(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield the forms in a text, with their positions."""
        starts = {text[at : at + size] for size in (_LONG, _SHORT) for at in range(len(text))}
        for start in starts & self._by_start.keys():
            for form in self._by_start[start]:
                yield from self._each(form, text)
                if self._cut:
                    yield from self._begun(form, start, text)

    def _each(self, form: str, text: str) -> Iterator[tuple[str, int]]:
        self._left -= len(text) * min(len(form), 100)
        if self._left < 0:
            raise _TooMuchError
        at = text.find(form)
        while at >= 0:
            yield form, at
            at = text.find(form, at + len(form))

    def _begun(self, form: str, start: str, text: str) -> Iterator[tuple[str, int]]:
        """Yield a form whose beginning is the end of the text."""
        at = text.find(start, max(0, len(text) - len(form)))
        while at >= 0:
            self._left -= len(text) - at
            if self._left < 0:
                raise _TooMuchError
            if form.startswith(text[at:]):
                yield form, at
                return
            at = text.find(start, at + 1)


class _TooMuchError(Exception):
    """Raised when the comparison takes too long."""


NOTHING: Final = Hidden(())


def of(secrets: Hidden | Mapping[str, str]) -> Hidden:
    """Return the texts to hide; a plain mapping of texts is wrapped."""
    return Hidden(secrets) if isinstance(secrets, Mapping) else secrets


def _forms(text: str) -> Iterator[str]:
    """Yield the usual forms of a text in a chart: the whole and its lines, without surrounding white space."""
    whole = _collapse(text)
    if len(whole) >= SHORTEST:
        yield whole
    if "\n" in text:
        yield from (line for one in text.splitlines() if len(line := _collapse(one)) >= SHORTEST_LINE)


def _encoded(text: str) -> Iterator[str]:
    """Yield a text in base64, as in a Secret's data, without the padding; also without the bits that more text changes.

    Three bytes make four characters, so the last character of an incomplete group depends on the text after it.
    """
    data = text.encode(errors="surrogatepass")
    plain = base64.b64encode(data).decode().rstrip("=")
    for form in (plain, plain[:-1]) if len(data) % 3 else (plain,):
        yield form
        if "+" in form or "/" in form:
            yield form.translate(_FOR_URLS)


def _collapse(text: str) -> str:
    """Return a text with white space collapsed to single spaces, and none around it."""
    return " ".join(text.split())


def _up_to(texts: Iterable[str], most: int) -> Iterator[str]:
    """Yield texts until they have this many characters together."""
    for text in texts:
        if most <= 0:
            return
        yield text[:most]
        most -= len(text) + 1


def _blanks(text: str) -> Iterator[_Piece]:
    """Yield pieces of a text with each run of white space replaced by one space."""
    end = 0
    for found in _BLANKS.finditer(text):
        yield text[end : found.start()], end, found.start()
        yield " ", found.start(), found.end()
        end = found.end()
    yield text[end:], end, len(text)


def _unescaped(text: str) -> Iterator[_Piece]:
    """Yield pieces of a text with one layer of escapes undone."""
    end = 0
    for found in _ESCAPE.finditer(text):
        yield text[end : found.start()], end, found.start()
        end = found.start()
        if found["bytes"]:
            for character in bytes.fromhex(found["bytes"].replace("\\", "").replace("x", "")).decode(errors=_BYTES):
                size = 4 * len(character.encode(errors=_BYTES))
                yield character, end, end + size
                end += size
        else:
            yield _meant(found), end, found.end()
            end = found.end()
    yield text[end:], end, len(text)


def _meant(found: re.Match[str]) -> str:
    """Return the character that an escape stands for, or the text itself if it is not an escape."""
    if found["high"]:
        pair = bytes.fromhex(found["high"] + found["low"])
        return pair.decode("utf-16-be")
    if code := found["short"] or found["long"]:
        return chr(int(code, 16)) if int(code, 16) <= sys.maxunicode else found[0]
    plain = found["plain"]
    return _PLAIN.get(plain) or (plain if plain in _AS_THEY_ARE else found[0])


def _with_places(pieces: Iterable[_Piece], places: list[int]) -> tuple[str, list[int]]:
    """Join pieces into a text; return it with the position in the message of each character and of its end."""
    texts: list[str] = []
    found: list[int] = []
    for text, start, end in pieces:
        texts.append(text)
        if len(text) == end - start:
            found += places[start:end]
        else:
            found += itertools.repeat(places[start], len(text))
    found.append(places[-1])
    return "".join(texts), found


def _starred(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return a text with some parts replaced by stars."""
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], _STARS]
        end = max(end, stop)
    return "".join([*parts, text[end:]])
