"""Translate error responses of the API server into ApiErrors.

Measured on Kubernetes 1.37: schema errors of server-side apply are returned as 500 without a reason, and quote the
invalid value; the value may be a Secret's, so it is removed. How soon an error is retried follows from its status
(``errors.ApiError.RETRYABLE``); exceptions are made here.
"""

from __future__ import annotations

import http
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SCHEMA_ERROR = re.compile(
    r"failed to (?:create typed patch object|convert new object) \([^)]*\)(?: to proper version)?: (?P<detail>.*)",
    re.DOTALL,
)
_FIELD = re.compile(r"^\s*\.(?P<field>(?:[^\s:\[]|\[[^\]]*\])+): (?P<what>.*)$", re.MULTILINE)
_CONVERSION = re.compile(r"unable to convert unstructured object to [^:]*: ")
_EXPECTED = re.compile(r"(?P<expected>expected [^,]*), got .*", re.DOTALL)
_MANAGER = re.compile(r'conflict with ("[^"]*"(?: with subresource "[^"]*")?)')
_BEFORE_VALUE = re.compile(r"(Invalid value|Unsupported value|Duplicate value|Not found): ")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[-+.\w/%]+(?=: |, |\]|$)')
_TEXT = re.compile(
    r"""(?!(?:true|false|null|nil|NaN|Inf)(?:[:,\]]|$))[^\W\d_][^\s:{}()\[\]&"<]*(?=[\s:,\]]|$)"""
    r"""|['`]|"(?:[^"\\]|\\.)*"(?=\ [^\W\d])|\d[\w.%]*(?=\ [^\W\d])"""
)
"""Matches the start of a sentence: values are quoted, or are numbers, JSON or Go's own notation."""
_DENIED = re.compile(r"\bdenied (?:the )?request\b")
"""Matches denials by policies and webhooks, whatever the HTTP status: both can change at any time."""
_OTHER_UID = re.compile(r"uid mismatch|UID in (?:the )?precondition")
NO_ACCESS: Final = frozenset({http.HTTPStatus.FORBIDDEN, http.HTTPStatus.NOT_FOUND, http.HTTPStatus.METHOD_NOT_ALLOWED})
"""Status codes for no access: not allowed, no such path, or an unsupported verb."""
UNFIT: Final = frozenset({http.HTTPStatus.UNPROCESSABLE_ENTITY, http.HTTPStatus.INTERNAL_SERVER_ERROR})
"""Status codes for an object that does not match its schema; server-side apply returns 500 for some of them."""
UID_MISMATCH = "UidMismatch"
"""Error reason when a request names the uid of an object that is gone."""
LONGEST_PAUSE = 300.0
"""Longest wait in seconds that a server or a webhook can request."""
ANOTHER = "the object was deleted, or deleted and created again, since it was read"
_DIFFERENCE = re.compile(r"\n| @@ ")
"""Matches the start of the diff that the API server appends to show how an object changed, including values."""


def error(status: int, headers: Mapping[str, str], body: bytes, action: str) -> errors.ApiError:
    """Return the ApiError for a response; ``action`` names the operation and its object."""
    answer = _status_object(body)
    message = str(answer.get("message") or "") or errors.shorten(body.decode("utf-8", "replace"), 200)
    causes = _causes(answer)
    if _is_another_object(status, message, causes):
        return errors.ApiError(f"{action}: {ANOTHER}", status=409, reason=UID_MISMATCH)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR and (schema := _schema_causes(message)):
        text = f"{action}: {schema[0]}"
        return errors.ApiError(text, status=status, reason="SchemaError", causes=schema, retryable=False)
    said = "; ".join(map(str, causes)) if answer.get("reason") == "Invalid" else ""
    return errors.ApiError(
        f"{action}: {errors.shorten(said or without_values(message)) or f'HTTP {status}'}",
        status=status,
        reason=str(answer.get("reason") or ""),
        causes=causes,
        retry_after=_retry_after(headers, answer),
        retryable=False if any(cause.who for cause in causes) else is_denial(message) or None,
    )


def is_denial(message: str) -> bool:
    """Return whether a policy or a webhook denied the request, and not the API server itself."""
    return _DENIED.search(message) is not None


def reason_of_denial(message: str) -> str:
    """Return the message of a policy or a webhook, without the names that precede it."""
    found = _DENIED.search(message)
    return message[found.end() :] if found else ""


def _is_another_object(status: int, message: str, causes: Sequence[errors.Cause]) -> bool:
    """Return whether a request named a uid that differs from the live object's.

    Measured on Kubernetes 1.37: a DELETE, and an apply to an object that is gone, return 409; an apply or a merge
    patch to a live object with another uid returns 422, as if an immutable field had been changed.
    """
    if status == http.HTTPStatus.CONFLICT:
        return bool(_OTHER_UID.search(message))
    return status == http.HTTPStatus.UNPROCESSABLE_ENTITY and any(cause.field == "metadata.uid" for cause in causes)


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _causes(answer: Mapping[str, Any]) -> list[errors.Cause]:
    details = answer.get("details") or {}
    return [_cause(cause) for cause in details.get("causes") or [] if isinstance(cause, dict)]


def _cause(cause: Mapping[str, Any]) -> errors.Cause:
    field = str(cause.get("field") or "").removeprefix(".")
    message = str(cause.get("message") or "")
    if cause.get("reason") == "FieldManagerConflict":
        manager = _MANAGER.search(message)
        who = manager.group(1) if manager else "another field manager"
        way_out = "leave it out of the template, or choose `conflicts: force` or `conflicts: yield`"
        return errors.Cause(field, f"conflict with {who}, which owns this field; {way_out}", who)
    return errors.Cause(field, errors.shorten(without_values(message)))


def without_values(message: str) -> str:
    """Return the API server's message about a field without the field's value, which may be a Secret's.

    Source of the format: https://pkg.go.dev/k8s.io/apimachinery/pkg/util/validation/field#Error.ErrorBody
    """
    message = _DIFFERENCE.split(message, maxsplit=1)[0]
    kept, rest = "", message
    while found := _BEFORE_VALUE.search(rest):
        kept += rest[: found.end(1)]
        rest = _after_value(rest[found.end() :])
    return kept + rest


def _after_value(text: str) -> str:
    """Return the text after a value (``: reason``); if the value cannot be parsed, the text after the last colon.

    Since Kubernetes 1.34, validation rules (CEL) of custom kinds omit the value: the whole text is the reason.
    """
    if _TEXT.match(text):
        return f": {text}"
    found = _VALUE.match(text)
    if found:
        return text[found.end() :]
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (json.JSONDecodeError, RecursionError):
        return text[text.rindex(": ") :] if ": " in text else ""
    return text[end:]


def _schema_causes(message: str) -> list[errors.Cause]:
    """Return the fields that do not match the schema, without their values."""
    found = _SCHEMA_ERROR.search(message)
    if not found:
        return []
    detail = found.group("detail")
    causes = [
        errors.Cause(match.group("field"), _without_value(match.group("what"))) for match in _FIELD.finditer(detail)
    ]
    return causes or [errors.Cause("", errors.shorten(_CONVERSION.sub("", detail)))]


def _without_value(what: str) -> str:
    expected = _EXPECTED.fullmatch(what)
    if not expected:
        return errors.shorten(what)
    hint = "put the expression in quotes" if "string" in expected.group("expected") else "the value has another type"
    return f"{expected.group('expected')}; {hint}"


def _retry_after(headers: Mapping[str, str], answer: Mapping[str, Any]) -> float | None:
    value = headers.get("Retry-After") or (answer.get("details") or {}).get("retryAfterSeconds")
    try:
        seconds = float(value) if value else 0.0
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 1.0), LONGEST_PAUSE) if math.isfinite(seconds) and seconds > 0 else None
