"""Watch one collection of the Kubernetes API until cancelled, and recover from every failure of a watch.

The state machine has three states. It starts with INITIAL: one stream that first lists and then watches (WatchList).
If the server does not support that, or its streams break before the list is complete, the next state is LIST, which
reads pages. WATCH continues from the last version seen. If that version is too old (410, as a response or as an
event), or several attempts yield nothing new, the watch starts over, and finds objects deleted in between by
comparison.

Progress means a newer version, or a complete list. Objects are passed on at once. A stream that fails without
progress is retried after a growing delay, and the second such failure is reported.

Guarantees: every object that exists at a quiet moment has been passed to the event handler in its newest version, and
every deleted object has been reported as gone. An object that cannot be decoded does not block others.
Caveats: intermediate states may be missed; therefore only keys are queued, never events.
"""

from __future__ import annotations

import asyncio
import enum
import http
import random
import time
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors
from lostromos_core.kube.transport import list_limiter, paths
from lostromos_core.kube.watching import reflector, tally, watch_timings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from lostromos_core.kube import cluster
    from lostromos_core.kube.kinds import discovery
    from lostromos_core.kube.transport import client

UNSUPPORTED: Final = frozenset({400, 422})
"""Status codes of a server that cannot list and watch in one stream."""
LATER: Final = frozenset({0, 401, 403, 404, 408, 429, 503, 504})
"""Status codes that say nothing about the list method, since they may change a moment later (0: no response)."""
BROKEN: Final = 3
"""Streams, or attempts at one page, that break before the list is complete; then another method is used."""
STUCK: Final = 5
"""Streams from one version that yield nothing new; then everything is listed again."""
LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes. The API server stores objects of 1.5 MiB; other servers may send anything."""


class State(enum.Enum):
    """Identify the next step of a watch."""

    INITIAL = "list and watch in one stream"
    LIST = "list page by page"
    WATCH = "watch from the last version"


@final
class _NoListInStreamError(errors.ApiError):
    """Raised when the API server sends the objects, but does not signal the end of the list."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=0, retryable=True)


@final
class Watch:
    """Watch one collection; ``run`` never returns by itself.

    ``path`` returns the collection's path and is called for each attempt (the kind may have been recreated). ``known``:
    see ``reflector.Reflector``. ``permit`` is acquired before each list, to limit how many run at once.
    """

    def __init__(
        self,
        kube: client.Transport,
        path: Callable[[], Awaitable[str]],
        handler: reflector.EventHandler,
        *,
        what: str,
        labels: str = "",
        accept: tuple[str, str] = ("application/json", "application/json"),
        known: Iterable[tuple[str, str]] = (),
        timings: watch_timings.Timings | None = None,
        permit: list_limiter.Permit | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._path = path
        self._handler = handler
        self._action = f"watch {what}"
        self._reflector = reflector.Reflector(handler, self._action, known)
        self._selection = {"labelSelector": labels} if labels else {}
        self._accept = accept
        self._timings = timings or watch_timings.Timings()
        self._clock = clock
        self._sleep = sleep
        self._permit = permit or list_limiter.Permit(list_limiter.ListLimiter())
        self._tally = tally.Tally()
        self._pages = tally.Pages()
        self._first = State.INITIAL
        self._opened: float | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        state = self._first
        while True:
            self._opened, before = None, self._reflector.progress
            try:
                await self._step(state)
                error = self._broken_off(state, before)
            except errors.LostromosError as failure:
                state = State.WATCH if self._reflector.complete else state
                error = self._worth_telling(state, failure)
            if error is None:
                self._recovered()
                await self._sleep(0 if self._reflector.progress > before else self._timings.quiet_reconnect)
                state = State.WATCH if self._reflector.complete else self._first
            else:
                state = await self._after_failure(state, error)

    def _broken_off(self, state: State, before: int) -> errors.ApiError | None:
        """Return the error if a stream that ended cleanly still counts as a failure, else None."""
        if self._reflector.complete and (self._reflector.progress > before or self._is_steady()):
            return None
        why = "before the list was complete" if state is State.INITIAL else "at once"
        return errors.ConnectionFailed(f"{self._action}: the API server ended the stream {why}")

    def _worth_telling(self, state: State, error: errors.LostromosError) -> errors.ApiError | None:
        """Return the error as ApiError, or None if it ended a stream that had worked."""
        if not isinstance(error, errors.ApiError):
            return errors.ApiError(f"{self._action}: {error}", status=0, retryable=True)
        worked = state is State.WATCH and self._is_steady() and isinstance(error, errors.ConnectionFailed)
        return None if worked else error

    def _is_steady(self) -> bool:
        return self._opened is not None and self._clock() - self._opened >= self._timings.steady

    async def _step(self, state: State) -> None:
        """Run one state; a list waits for the permit first, and releases it when complete."""
        steps = {State.INITIAL: self._initial, State.LIST: self._list, State.WATCH: self._watch}
        if state is not State.WATCH:
            await self._permit.acquire()
        try:
            await steps[state]()
        finally:
            self._permit.release()

    async def _after_failure(self, state: State, error: errors.ApiError) -> State:
        """Wait as long as the failure requires, and return the next state."""
        if error.status == http.HTTPStatus.GONE:
            return await self._after_expiry(state, error)
        if state is State.INITIAL and error.status in UNSUPPORTED and self._opened is None:
            return State.LIST
        if state is not State.WATCH and isinstance(error, _NoListInStreamError):
            self._first = State.LIST
        refused = state is State.INITIAL and error.status not in LATER
        self._tally.failed(answered=refused or self._opened is not None or state is State.LIST)
        await self._back_off(error)
        return self._next(state, error)

    async def _after_expiry(self, state: State, error: errors.ApiError) -> State:
        """Start over, the first time without a back-off; a list whose pages expire is requested as a whole."""
        self._tally.expired += 1
        if self._tally.expired > 1:
            self._tally.failed(answered=True)
            await self._back_off(error)
        else:
            await self._sleep(self._timings.quiet_reconnect)
        if state is State.LIST:
            self._pages = tally.Pages(whole=not self._pages.whole)
            return State.LIST if self._pages.whole else State.INITIAL
        return self._first

    def _next(self, state: State, error: errors.ApiError) -> State:
        """Return the next state after a failure."""
        worn_out = self._tally.is_worn_out(STUCK if state is State.WATCH else BROKEN)
        if state is State.WATCH:
            return self._first if worn_out or error.status == http.HTTPStatus.NOT_FOUND else State.WATCH
        if state is State.INITIAL:
            self._first = State.LIST if worn_out else self._first
            return self._first
        if self._pages.token and not worn_out:
            return State.LIST
        self._pages = tally.Pages()
        return State.INITIAL

    def _recovered(self) -> None:
        if self._tally.told:
            self._handler.trouble(None)
        if self._tally.failures:
            self._tally = tally.Tally(expired=self._tally.expired)

    async def _back_off(self, error: errors.ApiError) -> None:
        """Report the failure, and wait before the next attempt, longer each time."""
        timings = self._timings
        if not isinstance(error, errors.ConnectionFailed) or self._tally.failures > 1:
            self._tally.told = True
            self._handler.trouble(error)
        tries = max(self._tally.failures, self._tally.expired)
        ceiling = min(timings.last_retry, timings.first_retry * 2 ** min(tries, 10))
        spread = random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, not security
        delay = timings.no_such_kind if error.status == http.HTTPStatus.NOT_FOUND else spread
        await self._sleep(max(delay, min(error.retry_after or 0, timings.last_asked)))

    async def _initial(self) -> None:
        self._reflector.begin()
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}
        await self._stream(query)

    async def _watch(self) -> None:
        await self._stream({"resourceVersion": self._reflector.version})

    async def _list(self) -> None:
        """Read all pages; after a failure, continue with the page that failed."""
        pages = self._pages
        if not pages.token:
            self._reflector.begin()
        path = await self._path()
        while True:
            answer = await self._kube.request_bytes(
                "GET", path, action=self._action, query={**pages.query, **self._selection}, accept=self._accept[1]
            )
            metadata = self._reflector.page(answer)
            self._tally.broken = 0
            pages.token = metadata.get("continue") or ""
            if not pages.token:
                break
        self._pages = tally.Pages()
        self._reflector.end(metadata.get("resourceVersion", ""))

    async def _stream(self, query: Mapping[str, str]) -> None:
        timeout = random.uniform(0.8, 1.2) * self._timings.server_timeout  # noqa: S311 - as above
        common = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(int(timeout))}
        chunks = self._kube.stream(
            await self._path(),
            action=self._action,
            query={**common, **query, **self._selection},
            idle=self._timings.idle,
            accept=self._accept[0],
        )
        try:
            async for line in self._lines(chunks):
                self._take(line)
                if self._reflector.complete:
                    self._permit.release()
        except errors.ConnectionFailed as error:
            silent = self._opened is not None and isinstance(error.__cause__, TimeoutError)
            if silent and not self._reflector.complete:
                raise _NoListInStreamError(str(error)) from error
            raise
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    def _take(self, line: bytes) -> None:
        before, went_on = self._reflector.progress, self._reflector.complete
        self._reflector.line(line)
        progress = self._reflector.progress > before
        if progress and went_on:
            self._tally.expired = 0
        if progress or (self._reflector.complete and self._is_steady()):
            self._recovered()
        if self._reflector.plain_bookmark:
            raise _NoListInStreamError(f"{self._action}: the API server does not mark the end of the list")

    async def _lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the lines of a stream; drop an unfinished last line, since it was truncated."""
        buffer = bytearray()
        async for chunk in chunks:
            if self._opened is None:
                self._opened = self._clock()
            buffer += chunk
            if b"\n" not in chunk:
                if len(buffer) > LONGEST_LINE:
                    raise errors.ConnectionFailed(f"{self._action}: the API server's response contains an endless line")
                continue
            *lines, rest = buffer.split(b"\n")
            buffer = rest
            for line in lines:
                if line:
                    yield bytes(line)


def collection_of(kube: cluster.Cluster, kind: discovery.Kind, namespace: str) -> Callable[[], Awaitable[str]]:
    """Return a function that looks up the path of a kind's objects, in one namespace or (if empty) in all."""

    async def path() -> str:
        found = await kube.discovery.kind(kind.api_version, kind.name)
        return paths.collection(found.api_version, found.plural, namespace if found.namespaced else "")

    return path
