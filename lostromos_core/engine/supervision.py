"""Keep the watcher of a controller running, and track its state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias, final

import structlog

from lostromos_core import complaints, deprecations, errors, firstlook
from lostromos_core.engine import reconcile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Watching: TypeAlias = "Callable[[Callable[[str], None], WatchState], Awaitable[None]]"

_log = structlog.get_logger("lostromos.operator")

RESTART_WATCH = 5.0
"""Seconds before a failed watcher is restarted."""


async def keep_watching(name: str, watch: Watching, enqueue: Callable[[str], None], state: WatchState) -> None:
    """Run the watcher of a controller until cancelled; restart it if it fails or ends."""
    while True:
        try:
            await watch(enqueue, state)
            _log.error("the watcher ended; it will be restarted", controller=name)
            state.trouble = "the watcher ended"
        except asyncio.CancelledError:
            if reconcile.is_cancelled():
                raise
            _log.exception("the watcher was cancelled from within; it will be restarted", controller=name)
            state.trouble = "the watcher was cancelled from within"
        except Exception as error:  # noqa: BLE001 - one plug-in's failure must not end the others
            _log.exception("the watcher failed; it will be restarted", controller=name)
            state.trouble = f"the watcher failed: {_cause(error)}"
        await asyncio.sleep(RESTART_WATCH)


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, errors.LostromosError) else f"{type(error).__name__}, see the log"


@final
class WatchState:
    """Hold the state of one controller's watch."""

    def __init__(self) -> None:
        self.synced = False
        self.trouble = ""
        self.keys: set[str] = set()
        self.first_look = firstlook.FirstLook()
        self.complaints = complaints.Complaints()


@final
class StateSink:
    """Enqueue keys for one controller, and log watch trouble once, and again at long intervals."""

    def __init__(self, name: str, enqueue: Callable[[str], None], state: WatchState) -> None:
        self._log = structlog.get_logger("lostromos.controller").bind(controller=name)
        self._enqueue = enqueue
        self._state = state

    def enqueue(self, key: str) -> None:
        """Enqueue a key, and count it until the first list is complete."""
        if not self._state.synced:
            self._state.keys.add(key)
        self._state.first_look.found(key)
        self._enqueue(key)

    def ring(self, key: str) -> None:
        """Enqueue a key; this is the name of ``enqueue`` in version 0.1."""
        deprecations.warn("EventSink.ring", "called enqueue")
        self.enqueue(key)

    def synced(self) -> None:
        """Record that the first list is complete."""
        if not self._state.synced:
            self._log.info("all resources are known", count=len(self._state.keys))
            self._state.keys.clear()
        self._state.synced = True
        self.trouble("")
        self._state.first_look.synced()

    def trouble(self, message: str) -> None:
        """Record why the source cannot be watched, and log it once, and again at long intervals."""
        if message:
            if self._state.complaints.is_news(message):
                self._log.warning(message)
        elif self._state.complaints.is_over():
            self._log.info("watching again")
        self._state.trouble = message
