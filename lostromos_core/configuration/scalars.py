"""Resolve plain scalars by the YAML 1.2 core schema, and refuse those that readers disagree about.

kubectl, Helm, PyYAML and YAML 1.2 read ``0400``, ``yes`` or ``12:30:45`` differently. A template must not depend on the
reader, so such a scalar is refused with a message that says what to write.
Source: https://yaml.org/spec/1.2.2/#103-core-schema, https://yaml.org/type/ (1.1).
"""

from __future__ import annotations

import math
import re

_CORE_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_CORE_HEX = re.compile(r"0x[0-9a-fA-F]+")
_CORE_OCTAL = re.compile(r"0o[0-7]+")
_CORE_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DIGITS = 100
"""More digits than any 64-bit number has, in any base."""
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

_OLD_BOOL = re.compile(r"y|Y|n|N|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_OLD_OCTAL = re.compile(r"[-+]?0[0-9_]+")
# Values are matched, too, so no pattern may try a text in more ways than it has characters.
_OLD_NUMBER = re.compile(r"[-+]?(?:0b[01_]+|0x(?=[0-9a-fA-F]*_)[0-9a-fA-F_]*|[0-9](?=[0-9]*_)[0-9_]*(?:\.[0-9_]*)?)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?[ \t]*(?:Z|[-+][0-9:]+)?)?"
)
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class AmbiguousScalarError(ValueError):
    """Raised when readers disagree about a plain scalar, or when JSON cannot represent it."""


def resolve(text: str) -> bool | int | float | str | None:
    """Return the value of a plain scalar.

    Raises AmbiguousScalarError, with a message that says what to write instead.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] in "-+.0123456789yYnNoO":
        _refuse_ambiguous(text)
        return _number(text)
    return _refuse_odd(text)


def resolve_key(text: str) -> str:
    """Return the value of a plain scalar that is a key: always a string, as JSON requires.

    Raises AmbiguousScalarError if readers disagree about the string.
    """
    if text in {"y", "Y", "n", "N"}:
        return text
    value = resolve(text)
    if value is None:
        raise AmbiguousScalarError("a key is empty")
    if isinstance(value, float):
        raise AmbiguousScalarError(_advice(text, "is a number, but a key must be a string"))
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_plain_string(text: str) -> bool:
    """Return whether every reader takes this plain scalar for a string."""
    try:
        return isinstance(resolve(text), str)
    except AmbiguousScalarError:
        return False


def _number(text: str) -> int | float | str:
    for pattern, base in ((_CORE_INT, 10), (_CORE_HEX, 16), (_CORE_OCTAL, 8)):
        if pattern.fullmatch(text):
            return _whole(text, base)
    if _CORE_FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise AmbiguousScalarError(_advice(text, "is too large for a number"))
        return value
    return text


def _whole(text: str, base: int) -> int:
    """Return an integer of at most 64 bits: JSON readers in other languages do not accept larger ones."""
    digits = text.removeprefix("0x").removeprefix("0o") if base != 10 else text  # noqa: PLR2004 - a base
    value = int(digits, base) if len(digits) < _DIGITS else 1 << 64
    if not -(1 << 63) <= value < 1 << 64:
        shown = text if len(text) < _DIGITS else f"{text[:10]}..."
        raise AmbiguousScalarError(f"{shown} has more than 64 bits, too many for Kubernetes; put it in quotes")
    return value


def _refuse_ambiguous(text: str) -> None:
    if _OLD_BOOL.fullmatch(text):
        meaning = "true" if text.lower() in {"y", "yes", "on"} else "false"
        raise AmbiguousScalarError(_advice(text, "is a boolean to some readers and a string to others", meaning))
    if _OLD_OCTAL.fullmatch(text):
        digits = text.replace("_", "").lstrip("+-")
        octal = str(int(digits, 8)) if re.fullmatch("[0-7]+", digits) else ""
        raise AmbiguousScalarError(_advice(text, "is octal to some readers and decimal to others", octal))
    if _OLD_NUMBER.fullmatch(text):
        raise AmbiguousScalarError(_advice(text, "is a number to some readers and a string to others"))
    if _SEXAGESIMAL.fullmatch(text):
        raise AmbiguousScalarError(_advice(text, "is a base-60 number to some readers and a string to others"))
    if _TIMESTAMP.fullmatch(text):
        raise AmbiguousScalarError(_advice(text, "is a timestamp to some readers and a string to others"))
    if _NOT_A_NUMBER.fullmatch(text):
        raise AmbiguousScalarError(f"{text} has no meaning in JSON")


def _refuse_odd(text: str) -> str:
    if text in {"=", "<<"}:
        raise AmbiguousScalarError(_advice(text, "is a special word in old YAML"))
    return text


def _advice(text: str, why: str, other: str = "") -> str:
    alternative = f", or {other} if you mean that" if other else ""
    return f'{text} {why}; write "{text}" in quotes{alternative}'
