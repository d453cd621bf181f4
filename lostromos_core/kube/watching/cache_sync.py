"""Waiting for a watch to bring all there is: some need the whole picture before they do anything."""

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
"""Seconds to wait for the first list of a kind; then the caller comes again later."""


@final
class CacheSync:
    """Whether the first list of a kind has come. ``why`` begins messages, ``needs`` says what a 403 lacks."""

    def __init__(self, kind: discovery.Kind, *, why: str, needs: str) -> None:
        self.complete = False
        self._kind = kind
        self._why = why
        self._needs = needs
        self._news = asyncio.Event()
        self._trouble: errors.ApiError | None = None
        self._complaints = complaints.Complaints()

    async def wait(self) -> None:
        """Wait until all is known; raises ApiError with what keeps us from knowing it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not self.complete:
                    if self._trouble is not None:
                        raise self._explain(self._trouble)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            msg = f"{self._why} {self._kind.plural}: the first list takes long"
            raise errors.ApiError(msg, status=0, retryable=True) from error

    def synced(self) -> None:
        """All there is has come."""
        self.complete = True
        self._news.set()

    def trouble(self, error: errors.ApiError | None) -> None:
        """It cannot come now, because of this; None when it can again. Logged: later no one waits for it."""
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
