"""Remember the last failure of a release, and decide when to retry it, in place of the queue's back-off.

Errors before Helm is called are retried as ``errors.Retry`` says.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final, final

from lostromos_core import errors, interfaces
from lostromos_helm.helm import failures, misfits

AFTER_KILL: Final = 0.5
FIRST_RETRY: Final = 5.0
LAST_RETRY: Final = 600.0
"""Seconds until a failed release is retried; the delay doubles each time, up to this one."""


class LeftAloneError(errors.LostromosError):
    """Raised when the last attempt failed and it is not time to retry."""

    def __init__(self, last: Failed) -> None:
        super().__init__(last.message)
        self.last = last


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """Describe the last failure: its input, cause and count, and when (monotonic) to retry.

    Failures that are not retryable are retried too: the cause may be another object on the cluster, and may go away.
    ``looked_at``: nothing was tried, so checking again earlier costs nothing.
    """

    digest: str
    message: str
    objects: tuple[interfaces.ObjectResult, ...]
    retryable: bool
    times: int
    until: float
    looked_at: bool

    def wait_for_retry(self, digest: str, now: float) -> None:
        """Raise LeftAloneError if this input must not be tried now: only later, or never if retrying cannot help."""
        if self.digest == digest and not self.looked_at and self.until > now:
            raise LeftAloneError(self)

    def results(self, release: interfaces.ObjectRef, serving: int, now: float) -> tuple[interfaces.ObjectResult, ...]:
        """Return the results that report the failure, the first time and until something changes.

        ``serving``: the revision that is still deployed, or 0.
        """
        after = max(0.1, self.until - now) if math.isfinite(self.until) else None
        still = f"; revision {serving} is still in use" if serving else ""
        if self.objects:
            first = dataclasses.replace(self.objects[0], after=after, message=f"{self.objects[0].message}{still}")
            return (first, *self.objects[1:])
        message = f"{self.message}{still}"
        failed = interfaces.Action.FAILED
        return (interfaces.ObjectResult(release, failed, message, "", self.retryable, after),)


def failed(
    before: Failed | None,
    digest: str,
    error: errors.LostromosError,
    *,
    said: str,
    objects: tuple[interfaces.ObjectResult, ...],
    looked_at: bool,
    now: float,
) -> Failed:
    """Return the new failure, which continues the count of the previous one if both have the same input."""
    times = before.times + 1 if before and before.digest == digest else 1
    first = AFTER_KILL if isinstance(error, failures.KilledError) else FIRST_RETRY
    hopeless = isinstance(error, misfits.MisfitError)
    pause = math.inf if hopeless else min(LAST_RETRY, first * 2.0 ** min(times - 1, 10))
    retryable = any(one.retryable for one in objects) if objects else error.retryable
    return Failed(digest, said, objects, retryable, times, now + pause, looked_at)
