"""Log what changed in reconciles, and every single reconcile at level ``debug``.

A resource that is retried with the same result is logged once, until the result changes.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, final

import structlog

from lostromos_core import errors

if TYPE_CHECKING:
    from lostromos_core import interfaces

_log = structlog.get_logger("lostromos.reconcile")


@final
class ChangeLog:
    """Log the reconciles of one controller. Only resources that are not ready are remembered."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def record(self, controller: str, key: str, report: interfaces.Report | None) -> None:
        """Log the state of a resource if it has changed; ``report`` is None if the resource is gone."""
        if report is None:
            self._said.pop(key, None)
            return
        if report.ready:
            if self._said.pop(key, None) is not None:
                _log.info("ready", controller=controller, resource=key, reason=report.reason)
            return
        news = hash((report.reason, report.message))
        if self._said.get(key) != news:
            self._said[key] = news
            say = _log.info if report.is_progress else _log.warning
            message = errors.shorten(report.message)
            say(message, controller=controller, resource=key, reason=report.reason, retrying=report.retrying)


def record_all(controller: str, key: str, report: interfaces.Report | None, seconds: float) -> None:
    """Log one reconcile in one line at level ``debug``, whatever its result."""
    reason = report.reason if report else "Gone"
    actions = collections.Counter(result.action.value for result in report.objects) if report else {}
    _log.debug("reconciled", controller=controller, resource=key, reason=reason, seconds=round(seconds, 4), **actions)
