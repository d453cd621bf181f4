"""Keep the watcher of a controller running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from lostromos_core import errors
from lostromos_core.engine import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable

    from lostromos_core.engine import controller, watch_state

_log = structlog.get_logger("lostromos.operator")

RESTART_WATCH = 5.0
"""Seconds before a watcher that failed is started again."""


async def keep_watching(
    watched: controller.Controller, enqueue: Callable[[str], None], state: watch_state.WatchState
) -> None:
    """Run the watcher of a controller until cancelled; one that fails or ends is started again."""
    while True:
        try:
            await watched.watch(enqueue, state)
            _log.error("the watcher ended, it will be started again", controller=watched.name)
            state.trouble = "the watcher ended"
        except asyncio.CancelledError:
            if reconcile.is_cancelled():
                raise
            _log.exception("the watcher was cancelled from within, it will be started again", controller=watched.name)
            state.trouble = "the watcher was cancelled from within"
        except Exception as error:  # noqa: BLE001 - one plug-in's failure must not end the others
            _log.exception("the watcher failed, it will be started again", controller=watched.name)
            state.trouble = f"the watcher failed: {_cause(error)}"
        await asyncio.sleep(RESTART_WATCH)


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, errors.LostromosError) else f"{type(error).__name__}, see the log"
