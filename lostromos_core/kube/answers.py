"""What the API server means by an answer that is not a success.

Measured on Kubernetes 1.37: schema errors of server-side apply come as 500 without a reason, and quote the value
that does not fit; the value may be a Secret's, so it is cut.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMA_ERROR = re.compile(r"failed to (?:create typed patch object|convert new object) \([^)]*\): (?P<detail>.*)", re.DOTALL)
_FIELD = re.compile(r"^(?:errors:\s*)?\.(?P<field>[A-Za-z0-9_./\-\[\]=\",]+): (?P<what>.*)$", re.MULTILINE | re.DOTALL)
_GOT = re.compile(r"(expected [^,]*), got .*", re.DOTALL)
_QUOTED_VALUE = re.compile(r'Invalid value: (?:"(?:[^"\\]|\\.)*"|\S+): ')


def error(status: int, headers: Mapping[str, str], body: bytes, action: str) -> errors.ApiError:
    """The ApiError for an answer; ``action`` says what was tried, on which object."""
    answer = _status_object(body)
    message = str(answer.get("message") or "") or errors.shorten(body.decode("utf-8", "replace"), 200)
    causes = _causes(answer)
    if status == 500 and (schema := _schema_causes(message)):  # noqa: PLR2004 - HTTP
        text = f"{action}: {_describe(schema[0])}"
        return errors.ApiError(text, status=status, reason="SchemaError", causes=schema, retryable=False)
    return errors.ApiError(
        f"{action}: {errors.shorten(_QUOTED_VALUE.sub('Invalid value: ', message)) or f'HTTP {status}'}",
        status=status,
        reason=str(answer.get("reason") or ""),
        causes=causes,
        retry_after=_retry_after(headers, answer),
    )


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _causes(answer: Mapping[str, Any]) -> list[errors.Cause]:
    details = answer.get("details") or {}
    return [
        errors.Cause(str(cause.get("field") or ""), errors.shorten(_QUOTED_VALUE.sub("Invalid value: ", str(cause.get("message") or ""))))
        for cause in details.get("causes") or []
        if isinstance(cause, dict)
    ]


def _schema_causes(message: str) -> list[errors.Cause]:
    found = _SCHEMA_ERROR.search(message)
    if not found:
        return []
    detail = found.group("detail")
    field = _FIELD.search(detail)
    if not field:
        return [errors.Cause("", errors.shorten(_GOT.sub(r"\1", _cut_values(detail))))]
    what = _GOT.sub(r"\1; put the expression or the value in quotes, or take the quotes away", field.group("what"))
    return [errors.Cause(field.group("field"), errors.shorten(_cut_values(what)))]


def _cut_values(text: str) -> str:
    """The text without what stands in quotes or after a colon at its end: it can be a value."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '"..."', text)


def _describe(cause: errors.Cause) -> str:
    return f"{cause.field}: {cause.message}" if cause.field else cause.message


def _retry_after(headers: Mapping[str, str], answer: Mapping[str, Any]) -> float | None:
    value = headers.get("Retry-After") or (answer.get("details") or {}).get("retryAfterSeconds")
    try:
        return float(value) if value else None
    except (TypeError, ValueError):
        return None
