"""Responses of our own, as an API server or something in front of it would give them."""

import http
import json
from collections.abc import Mapping
from typing import Final

REASONS: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
"""What kube-apiserver says with each code (k8s.io/apimachinery, `metav1.StatusReason`)."""


def failure(code: int, *, message: str) -> str:
    """A Kubernetes Status object in JSON."""
    reason = REASONS.get(code, "")
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return json.dumps({**status, "message": message, "reason": reason, "code": code}) + "\n"


def error_event(code: int, *, message: str) -> str:
    """The line by which a watch that has begun with 200 says that it has failed."""
    return f'{{"type":"ERROR","object":{failure(code, message=message).strip()}}}\n'


def response(status: int, *, headers: Mapping[str, str], body: str) -> bytes:
    """A whole HTTP response; headers given override Content-Type and Content-Length."""
    content = body.encode()
    merged = {"content-type": "application/json", "content-length": str(len(content))}
    merged |= {name.lower(): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in merged.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
