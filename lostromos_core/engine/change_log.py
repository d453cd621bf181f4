"""What the log says of reconciles: changes for people, and every single one for those who look closely (``debug``).

A resource that is tried again and again says the same each time; that is told once, until it says something else.
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
    """The log of one controller's reconciles. It remembers the resources that are not ready, and no others."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def record(self, controller: str, key: str, report: interfaces.Report | None) -> None:
        """Say how a resource is, if that is news; None: it is gone."""
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
    """One line for one reconcile, whatever it did: for ``debug``."""
    reason = report.reason if report else "Gone"
    actions = collections.Counter(result.action.value for result in report.objects) if report else {}
    _log.debug("reconciled", controller=controller, resource=key, reason=reason, seconds=round(seconds, 4), **actions)
