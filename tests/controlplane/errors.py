"""What can go wrong, as a tree.

ControlPlaneError
+-- BuildError          the programs could not be built; the message says what to install
+-- StartError          a server ended, or did not become ready; the message ends with the last lines of its log
+-- NotRunningError     a server was asked for its process id and has none
+-- CompactionError     etcd refused to compact
+-- ApiError            the API server refused a request; has the status and the body
+-- UnreachableError    the API server did not answer at all; trying again can help
"""

from typing import Any


class ControlPlaneError(Exception):
    """The base of all errors of this package."""


class BuildError(ControlPlaneError):
    """The programs could not be built."""


class StartError(ControlPlaneError):
    """A server ended, or did not become ready in time."""


class NotRunningError(ControlPlaneError):
    """A server was asked for its process id and has none."""


class CompactionError(ControlPlaneError):
    """etcd refused to compact."""


class ApiError(ControlPlaneError):
    """The API server refused a request: `status` is the HTTP status, `body` the decoded answer (mostly a Status)."""

    def __init__(self, request: str, *, status: int, body: Any) -> None:
        message = body.get("message") if isinstance(body, dict) else body
        super().__init__(f"{request}: {status} {message}")
        self.status = status
        self.body = body


class UnreachableError(ControlPlaneError):
    """The API server did not answer."""
