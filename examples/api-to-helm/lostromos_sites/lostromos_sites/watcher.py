"""The watcher ``sites``: looks at the list of an HTTP API again and again, and says there how each site goes."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final, final

from lostromos_core import EventSink, Report, Resource, Watcher, errors
from lostromos_sites import client, items

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from lostromos_core.interfaces import Runtime

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 60.0
"""Seconds until an API that fails is asked again: each time twice as long, and up to half less by chance."""


@final
class SitesWatcher:
    """Each item of ``URL/sites`` is a resource; its status is kept at ``URL/sites/NAME/status``.

    ``interval`` and ``timeout`` are in seconds.
    """

    can_dry_run = True

    def __init__(
        self,
        url: str,
        *,
        interval: float = 10.0,
        timeout: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._interval = interval
        self._sleep = sleep
        self._client = client.Client(url, timeout=timeout)
        self._sites: Mapping[str, Resource] | None = None
        self._dry_run = False

    async def start(self, runtime: Runtime) -> None:
        """Learn whether the status may be written."""
        self._dry_run = runtime.dry_run

    async def watch(self, sink: EventSink) -> None:
        """Ring for each site that is new, changed or gone, until cancelled."""
        for key in self._sites or ():  # it was started again
            sink.enqueue(key)
        failures = 0
        while True:
            try:
                await self._look(sink)
            except client.SitesError as error:
                failures += 1
                sink.trouble(str(error))
                await self._sleep(pause(self._interval, failures))
            else:
                failures = 0
                sink.trouble("")
                sink.synced()
                await self._sleep(self._interval)

    async def get(self, key: str) -> Resource | None:
        """A site as it was last listed, None if it was not; raises SitesError as long as nobody knows.

        What is not known must not be taken for gone: all that belongs to it would be deleted.
        """
        if self._sites is None:
            msg = f"{self.url}/sites could not be read yet"
            raise client.SitesError(msg)
        return self._sites.get(key)

    async def report(self, resource: Resource, report: Report) -> None:
        """Write the status of a site, if it says something new; raises SitesError."""
        if self._dry_run or not items.is_name(resource.key):
            return
        before = await self._client.status(resource.key)
        if before is None:
            return
        wanted = status(report, before)
        if wanted != before:
            await self._client.write_status(resource.key, wanted)

    def overlaps(self, other: object) -> bool:
        """Whether another watcher looks at the same list."""
        return isinstance(other, SitesWatcher) and other.url == self.url

    async def _look(self, sink: EventSink) -> None:
        listed = await self._client.news()
        if listed is None:
            return
        before, now = self._sites or {}, items.read(listed)
        self._sites = now
        for key in before.keys() | now.keys():
            if before.get(key) != now.get(key):
                sink.enqueue(key)


def pause(interval: float, failures: int) -> float:
    """Seconds until the next try after so many failures."""
    longest = min(LAST_RETRY, min(interval, FIRST_RETRY) * 2.0 ** min(failures - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def status(report: Report, before: Mapping[str, Any]) -> dict[str, Any]:
    """What the API shall know; of the release, what it knew before if that cannot be told now."""
    found = {"ready": report.ready, "reason": report.reason, "message": errors.shorten(report.message)}
    release = before.get("release") if report.status is None else report.status.get("release")
    return found | ({"release": release} if release else {})


_watcher: type[Watcher] = SitesWatcher
