"""Know how the watching of one controller goes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, final

import structlog

from lostromos_core import complaints, firstlook

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger("lostromos.controller")


@final
class WatchState:
    """How the watching of one controller goes."""

    def __init__(self) -> None:
        self.synced = False
        self.trouble = ""
        self.keys: set[str] = set()
        self.first_look = firstlook.FirstLook()
        self.complaints = complaints.Complaints()


@final
class StateSink:
    """Enqueue keys for one controller, and log when its watch is in trouble, once and again at long intervals."""

    def __init__(self, name: str, enqueue: Callable[[str], None], state: WatchState) -> None:
        self._log = _log.bind(controller=name)
        self._enqueue = enqueue
        self._state = state

    def enqueue(self, key: str) -> None:
        """Enqueue a key; before the first list is complete, count it."""
        if not self._state.synced:
            self._state.keys.add(key)
        self._state.first_look.found(key)
        self._enqueue(key)

    def ring(self, key: str) -> None:
        """The name of ``enqueue`` in version 0.1."""
        warnings.warn(
            "EventSink.ring is now called enqueue; it will be removed in 0.3", DeprecationWarning, stacklevel=2
        )
        self.enqueue(key)

    def synced(self) -> None:
        """Note that the first list is complete."""
        if not self._state.synced:
            self._log.info("all resources are known", count=len(self._state.keys))
            self._state.keys.clear()
        self._state.synced = True
        self.trouble("")
        self._state.first_look.synced()

    def trouble(self, message: str) -> None:
        """Note why the source cannot be watched, and log that once, and again at long intervals."""
        if message:
            if self._state.complaints.is_news(message):
                self._log.warning(message)
        elif self._state.complaints.is_over():
            self._log.info("watching again")
        self._state.trouble = message
