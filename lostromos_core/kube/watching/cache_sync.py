"""Wait for the first list of a watch, for callers that must know all objects before they act."""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import complaints, errors

if TYPE_CHECKING:
    from lostromos_core.kube.kinds import discovery

_log = structlog.get_logger("lostromos.kube")

PATIENCE: Final = 30.0
"""Seconds to wait for the first list of a kind; then the caller retries later."""


@final
class CacheSync:
    """Track whether the first list of a kind is complete. ``why`` begins messages, ``needs`` explains a 403."""

    def __init__(self, kind: discovery.Kind, *, why: str, needs: str) -> None:
        self.complete = False
        self._kind = kind
        self._why = why
        self._needs = needs
        self._news = asyncio.Event()
        self._trouble: errors.ApiError | None = None
        self._complaints = complaints.Complaints()

    async def wait(self) -> None:
        """Wait until the first list is complete; raises ApiError with the reason if it is not."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.complete:
                    if self._trouble is not None:
                        raise self._explain(self._trouble)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            msg = f"{self._why} {self._kind.plural}: the first list is taking a long time"
            raise errors.ApiError(msg, status=0, retryable=True) from error

    def synced(self) -> None:
        """Record that the first list is complete."""
        self.complete = True
        self._news.set()

    def trouble(self, error: errors.ApiError | None) -> None:
        """Record the error that prevents the list, None once it is over; log it, since no caller may be waiting."""
        if error is None:
            if self._complaints.is_over():
                _log.info("watching again", kind=self._kind.plural, purpose=self._why)
        elif self._complaints.is_news(str(error)):
            _log.warning(str(self._explain(error)))
        self._trouble = error
        self._news.set()

    def _explain(self, error: errors.ApiError) -> errors.ApiError:
        if error.status != http.HTTPStatus.FORBIDDEN:
            return error
        msg = f"{error}; {self._needs}"
        return errors.ApiError(msg, status=error.status, reason=error.reason)
