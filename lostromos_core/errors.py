"""Define the exceptions of Lostrómos as a tree; each determines when to retry.

    LostromosError
    ├── ConfigError           ends startup: change the configuration        (exit code 3)
    │   └── PluginError       ends startup: fix or install the plug-in      (exit code 3)
    ├── RenderError           on change: of the template or the resource
    ├── NotYetError           on change: of the object that is waited for
    ├── RefusedError          slowly: a policy or another owner prevents it
    │   └── ClaimedError      after a known time: another operator manages the resource
    ├── ApiError              as the response of the Kubernetes API requires: soon, or slowly
    │   ├── ConnectionFailed  soon: the API server did not answer
    │   └── CredentialsError  soon: the credentials could not be read or renewed
    └── ProcessError          soon: a program that we called failed for an unknown reason

Every failure in a reconcile is retried, sooner or later; only a RenderError is not, since it is a pure function
of the resource and the templates, and a change of either starts a reconcile anyway.

No public function of Lostrómos raises another library's exception. A message names the object, the action and the
cause, in this order, and then what the reader can do about it.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, ClassVar, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MESSAGE_LIMIT = 1000
"""Maximum number of characters of foreign text that we repeat; the rest is cut."""


class Retry(enum.Enum):
    """Define how the queue retries a key after a failure; each way has a back-off with its own ceiling."""

    SOON = "the cause is likely to go away by itself: seconds at first, 5 minutes at most"
    SLOWLY = "the answer is unlikely to change unless something else does: seconds at first, an hour at most"
    ON_CHANGE = "only a change of the resource or of the templates can help, and brings a reconcile of its own"


class LostromosError(Exception):
    """Raised when an operation of Lostrómos fails; the base of all errors that it raises on purpose.

    ``retryable``: the cause is likely to disappear by itself; the resource then counts as reconciling, otherwise as
    stalled.
    """

    retryable: bool = False

    @property
    def retry(self) -> Retry:
        """Return how to retry."""
        return Retry.SOON if self.retryable else Retry.SLOWLY


class ConfigError(LostromosError):
    """Raised when the configuration cannot be used; the message names the file, the field, and what to do."""


class PluginError(ConfigError):
    """Raised when a plug-in is missing, broken, or in conflict with another one."""


@final
class RenderError(LostromosError):
    """Raised when a template could not be rendered for a resource.

    ``place`` is the file, line and expression, for people (empty if not known). ``pure``: it would fail in the same way
    again, which is true of everything that a template does itself, but not of a plug-in's filter.
    """

    def __init__(self, message: str, *, place: str = "", pure: bool = True) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place
        self.pure = pure

    @classmethod
    def of_all(cls, failed: Sequence[RenderError]) -> RenderError:
        """Return one error with the messages of several, each with its place; its place is the first one's."""
        first, *others = failed
        message = "; ".join([first.message, *map(str, others)])
        return cls(message, place=first.place, pure=all(one.pure for one in failed))

    @property
    def retry(self) -> Retry:
        """Return ON_CHANGE if pure, since the same input fails in the same way; otherwise SLOWLY."""
        return Retry.ON_CHANGE if self.pure else Retry.SLOWLY


@final
class NotYetError(LostromosError):
    """Raised when a template needs something of another object that does not exist yet: not a failure.

    It is a reason to wait. ``of`` is the object that is waited for, if it does not exist at all.
    """

    def __init__(self, message: str, *, of: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.of = of


class RefusedError(LostromosError):
    """Raised when something was not done on purpose: it would change what is not ours, or a policy forbids it."""


@final
class ClaimedError(RefusedError):
    """Raised when another operator or controller manages a resource; retry after ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """Describe one cause of a refusal by the API server: the field (``spec.ports[0].port``, or empty) and the message.

    ``who`` is the field manager that a conflict is with.
    """

    field: str
    message: str
    who: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ApiError(LostromosError):
    """Raised when the Kubernetes API refuses a request or fails to serve it.

    ``status`` is the HTTP status (0 if there was no answer), ``reason`` the API's reason (``NotFound``...),
    ``retry_after`` the seconds that the server asked us to wait, if it did. ``retryable`` overrides the default for the
    status.
    """

    RETRYABLE: ClassVar[frozenset[int]] = frozenset({0, 200, 401, 403, 408, 409, 410, 425, 429})
    """HTTP statuses that are retried soon (``Retry.SOON``), as all from 500 are; the others are retried slowly. 200:
    the answer could not be read, so another server answered. 401: an authenticator or a token service may be down. 403:
    permissions are often granted a moment later than the rest, and can be granted at any time. 409 and 410: our data is
    out of date."""
    SERVER_FAILED: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason: str = "",
        causes: Sequence[Cause] = (),
        retry_after: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
        self.retry_after = retry_after
        transient = status in self.RETRYABLE or status >= self.SERVER_FAILED
        self.retryable = transient if retryable is None else retryable

    @property
    def cause(self) -> Cause | None:
        """Return the first cause, which a message names; None if the API server gave none."""
        return self.causes[0] if self.causes else None


@final
class ConnectionFailed(ApiError):  # noqa: N818 - the event, as in "connection failed"
    """Raised when the API server could not be reached, or did not answer in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=0, reason="ConnectionFailed")


@final
class CredentialsError(ApiError):
    """Raised when credentials expired, and a token file or ``exec`` plug-in of a kubeconfig could not renew them."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=401, reason="CredentialsFailed")


@final
class ProcessError(LostromosError):
    """Raised when a program that was started (kubectl, helm) failed for an unknown reason."""

    retryable = True


def shorten(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return foreign text as one line, without control characters, at most ``limit`` characters long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def nearest(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Return ``; did you mean 'x'?`` for a word that resembles a known one, else an empty string."""
    import difflib  # noqa: PLC0415 - only needed on the way to an error

    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
