"""Define the marks that represent values and places while a template is still text.

Jinja2 produces text, and injections happen in text. So an expression never emits its value: it emits a *token*, and the
value is kept in a *slot*. Three more marks are part of the text until YAML reads it: *place marks* (the file and line
of the text), and the *begin* and *end* of a fragment (the output of a macro, an include, a call or a set block). All
consist of Unicode noncharacters (U+FDD0...), which YAML accepts, which have no case, and which legitimate data does not
contain; tokens contain a random number that cannot be guessed.
"""

from __future__ import annotations

import re
import secrets
from typing import Final, NoReturn, final

from lostromos_core import errors, interfaces

FIRST, LAST = "\ufdd0", "\ufdd7"
FRAGMENT_BEGIN: Final = "\ufdd5"
FRAGMENT_END: Final = "\ufdd6"
SHIFT: Final = "\ufdd7"
"""Ends the white space that a fragment is indented by, at its very beginning."""

RESERVED = re.compile(f"[{FIRST}-{LAST}]")
MARK = re.compile("\ufdd3!?[0-9]+\ufdd4")
LINE = re.compile("\ufdd3([0-9]+)\ufdd4")
EXPRESSION = re.compile("\ufdd3!([0-9]+)\ufdd4")

NONCE: Final = f"\ufdd0{secrets.randbelow(10**12):012d}\ufdd1"
"""Begins every token of this process. Safety does not depend on its secrecy: data never enters the text at all."""

TOKEN = re.compile(f"{NONCE}([0-9]{{6}})\ufdd2")
MAX_SLOTS: Final = 100_000
_DIGITS: Final = 6
_END: Final = "\ufdd2"
HOLE: Final = "\ufdd0"
"""Replaces a token in a shape: text whose tokens are numbered by their order."""


def token(slot: int) -> str:
    """Return the token of a slot, from 0."""
    return f"{NONCE}{slot:06d}\ufdd2"


def shape_of(text: str) -> tuple[str, list[int]]:
    """Return the text with a hole for each token, and the tokens' slots in order; ValueError if one is cut."""
    pieces = text.split(NONCE)
    found = [pieces[0]]
    numbers = []
    for piece in pieces[1:]:
        if piece[_DIGITS : _DIGITS + 1] != _END:
            raise ValueError
        numbers.append(int(piece[:_DIGITS]))
        found.append(piece[_DIGITS + 1 :])
    return HOLE.join(found), numbers


def with_tokens(shape: str) -> str:
    """Return a shape with tokens in its holes: those of the slots 0, 1 and so on."""
    first, *rest = shape.split(HOLE)
    return "".join([first, *[token(slot) + piece for slot, piece in enumerate(rest)]])


def line_mark(place: int) -> str:
    """Return the mark for a line that comes from this place (an index of the environment's places)."""
    return f"\ufdd3{place}\ufdd4"


def expression_mark(place: int) -> str:
    """Return the mark before a token whose value comes from the expression at this place."""
    return f"\ufdd3!{place}\ufdd4"


def visible(text: str) -> str:
    """Return the text as YAML will see it, without place marks."""
    return MARK.sub("", text) if "\ufdd3" in text else text


_HINT = (
    "the output of a macro, include, call or set block is text of the template with values still to come; "
    "it can be written out, indented and trimmed, but not {}. Work on the values instead, before they are written"
)


def refuse(action: str) -> NoReturn:
    """Raise the RenderError that explains why a fragment cannot be ``action`` (compared, concatenated...)."""
    raise errors.RenderError(_HINT.format(action))


def _refuse(action: str) -> interfaces.Anything:
    def method(self: Fragment, *_: object, **__: object) -> NoReturn:  # noqa: ARG001 - refused whatever it is called on
        refuse(action)

    return method


@final
class Fragment(str):
    """Hold text that the template itself produced: it is inserted unchanged, and cannot be taken apart.

    It is a string by type, since Jinja2 treats it as one. Operations on its characters would see tokens, so they raise
    RenderError with a hint.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """Return the fragment itself: ``str()`` must not lose the type."""
        return self

    def __bool__(self) -> bool:
        """Return False if the output is nothing but white space."""
        text = visible(str.__str__(self))
        return bool(re.sub(f"[{FRAGMENT_BEGIN}{FRAGMENT_END}{SHIFT}]", "", text).strip())

    def strip(self, chars: str | None = None, /) -> Fragment:
        """Return the fragment in marks: it is laid out where it is written, without blank lines around it."""
        if chars is not None:
            refuse("stripped of characters")
        return Fragment(f"{FRAGMENT_BEGIN}\n{self}\n{FRAGMENT_END}")

    def indented(self, width: int, *, first: bool) -> Fragment:
        """Indent like the filter ``indent``: the lines stay together, so only an indented first line has an effect."""
        return Fragment(f"{' ' * width}{SHIFT}{self}") if first else self

    def written(self) -> Fragment:
        """Return the fragment with the marks around it that are used to lay it out."""
        shift, mark, rest = str.__str__(self).rpartition(SHIFT)
        return Fragment(f"{shift.replace(SHIFT, '')}{FRAGMENT_BEGIN}{rest if mark else self}{FRAGMENT_END}")

    __hash__ = _refuse("looked up")
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse("compared")
    __add__ = __radd__ = __mod__ = __rmod__ = __mul__ = __rmul__ = _refuse("concatenated or formatted")
    __contains__ = __iter__ = __getitem__ = __len__ = _refuse("looked into")
    format = format_map = join = replace = split = splitlines = rsplit = partition = rpartition = _refuse("taken apart")
    upper = lower = title = capitalize = casefold = swapcase = encode = translate = _refuse("converted")
    find = index = rfind = rindex = count = startswith = endswith = _refuse("searched")
    lstrip = rstrip = removeprefix = removesuffix = ljust = rjust = center = zfill = expandtabs = _refuse(
        "cut or padded"
    )
    isdigit = isalpha = isalnum = isnumeric = isdecimal = isidentifier = islower = isupper = isspace = istitle = (
        _refuse("tested")
    )
