"""What can go wrong, as a tree of exceptions; each says how it is tried again.

    LostromosError
    ├── ConfigError           ends the start: change the configuration      (exit code 3)
    │   └── PluginError       ends the start: fix or install the plug-in    (exit code 3)
    ├── RenderError           on change: of the template or the resource
    ├── NotYetError           on change: of the object that is waited for
    ├── RefusedError          slowly: a policy or another owner stands against it
    │   └── ClaimedError      after a known time: another operator looks after the resource
    ├── ApiError              as the answer of the Kubernetes API says: soon, or slowly
    │   ├── ConnectionFailed  soon: the API server did not answer
    │   └── CredentialsError  soon: the credentials could not be read or renewed
    └── ProcessError          soon: a program that we called failed in a way we do not know

Everything that happens in a reconcile is tried again, sooner or later; only a RenderError is not, since it is a pure
function of the resource and the templates, and a change of either starts a reconcile anyway.

No other library's exception leaves a public function of Lostrómos. A message says the object, the action and
the cause, in this order, and then what the reader can do about it.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, ClassVar, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MESSAGE_LIMIT = 1000
"""Characters of foreign text that we repeat; the rest is cut."""


class Retry(enum.Enum):
    """How the queue comes back to a key after a failure; each has a back-off with a ceiling of its own."""

    SOON = "the cause is likely to go away by itself: seconds at first, 5 minutes at most"
    SLOWLY = "the answer is unlikely to change unless something else does: seconds at first, an hour at most"
    ON_CHANGE = "only a change of the resource or of the templates can help, and brings a reconcile of its own"


class LostromosError(Exception):
    """The base of all errors that Lostrómos raises on purpose.

    ``retryable``: the cause is likely to go away by itself; the resource then counts as reconciling, else as stalled.
    """

    retryable: bool = False

    @property
    def retry(self) -> Retry:
        """How it is tried again."""
        return Retry.SOON if self.retryable else Retry.SLOWLY


class ConfigError(LostromosError):
    """The configuration cannot be used; the message names the file and the field, and the way out."""


class PluginError(ConfigError):
    """A plug-in is missing, broken, or in conflict with another one."""


@final
class RenderError(LostromosError):
    """A template could not be rendered for a resource.

    ``place`` is where: file, line and expression, for people (empty if it cannot be known). ``pure``: it would fail in
    the same way again, as is so with all that a template does itself; not with what a plug-in's filter does.
    """

    def __init__(self, message: str, *, place: str = "", pure: bool = True) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place
        self.pure = pure

    @classmethod
    def of_all(cls, failed: Sequence[RenderError]) -> RenderError:
        """One error that says all of several, each with its place; the place is that of the first."""
        first, *others = failed
        message = "; ".join([first.message, *map(str, others)])
        return cls(message, place=first.place, pure=all(one.pure for one in failed))

    @property
    def retry(self) -> Retry:
        """Rendering is pure: the same resource and templates fail in the same way."""
        return Retry.ON_CHANGE if self.pure else Retry.SLOWLY


@final
class NotYetError(LostromosError):
    """A template needs something of another object that is not there yet; no failure, but a reason to wait.

    ``of`` is the object that is waited for, if it is not there at all.
    """

    def __init__(self, message: str, *, of: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.of = of


class RefusedError(LostromosError):
    """Something was not done on purpose: it would touch what is not ours, or a policy forbids it."""


@final
class ClaimedError(RefusedError):
    """Another operator or controller looks after a resource; ``retry_after`` seconds later it is worth another look."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """One reason inside a refusal of the API server: the field (``spec.ports[0].port``, or empty) and the message.

    ``who`` is the field manager that a conflict is with.
    """

    field: str
    message: str
    who: str = ""


class ApiError(LostromosError):
    """The Kubernetes API refused a request or failed at it.

    ``status`` is the HTTP status (0 if there was no answer), ``reason`` the API's word for it (``NotFound``...),
    ``retry_after`` the seconds that the server asked us to wait, if it did. ``retryable`` overrides what the status
    says.
    """

    RETRYABLE: ClassVar[frozenset[int]] = frozenset({0, 200, 401, 403, 408, 409, 410, 425, 429})
    """And all from 500. 200: the answer could not be read, so something else answered. 401: an authenticator or a
    token service may be down. 403: rights are often given a moment later than the rest, and can be given at any time.
    409 and 410: what we know is out of date."""
    SERVER_FAILED: ClassVar[int] = 500

    def __init__(  # noqa: PLR0913 - one parameter for each part of a Status answer
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


@final
class ConnectionFailed(ApiError):  # noqa: N818 - the event, as in "connection failed"
    """The API server could not be reached, or did not answer in time."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=0, reason="ConnectionFailed")


@final
class CredentialsError(ApiError):
    """The credentials ran out, and could not be read or renewed: a token file, or a kubeconfig's ``exec`` plug-in."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=401, reason="CredentialsFailed")


@final
class ProcessError(LostromosError):
    """A program that was started (kubectl, helm) failed for a reason that we do not know."""

    retryable = True


def shorten(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """One line of foreign text, without control characters, at most ``limit`` characters long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def nearest(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """``; did you mean 'x'?`` for a word that resembles a known one, else an empty string."""
    import difflib  # noqa: PLC0415 - only needed on the way to an error

    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {match[0]!r}?" if match else ""
