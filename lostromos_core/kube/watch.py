"""Watches one collection of the Kubernetes API for ever, through everything that can go wrong with a watch.

A state machine with three states. It begins with INITIAL: one stream that first lists and then goes on
(WatchList). A server that cannot do that sends it to LIST, which reads pages. WATCH goes on from the last version
it has seen. When that version is too old (410, as an answer or as an event), it begins anew, and what is gone
in between is found by comparing.

Guarantees: every object that exists at a quiet moment has been given to the sink in its newest version, and every
object that is gone has been given as gone. An object that cannot be decoded stops no other.
Caveats: states in between may be missed; that is why only keys are queued, and never events.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import random
from typing import TYPE_CHECKING, Final, final

from lostromos_core import errors
from lostromos_core.kube import feed, openings, paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from lostromos_core.kube import client, discovery

NOT_FOUND: Final = 404
PAGE: Final = 500
UNSUPPORTED: Final = frozenset({400, 422})
"""What a server answers that cannot list and watch in one stream."""


class State(enum.Enum):
    """What to do next."""

    INITIAL = "list and watch in one stream"
    LIST = "list page by page"
    WATCH = "watch from the last version"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Timings:
    """Seconds. A bookmark comes about once a minute, so longer silence than ``idle`` means a dead connection."""

    idle: float = 75.0
    server_timeout: float = 300.0
    quiet_reconnect: float = 1.0
    first_retry: float = 0.5
    last_retry: float = 10.0
    no_such_kind: float = 5.0


@final
class Watch:
    """One watched collection; ``run`` never ends by itself.

    ``path`` gives the collection's path, anew at each beginning (a kind may have been created again). ``known``:
    see ``feed.Feed``. ``place`` is where it waits before it reads all there is, if not too many shall at once.
    """

    def __init__(  # noqa: PLR0913 - what a watch consists of
        self,
        kube: client.Kube,
        path: Callable[[], Awaitable[str]],
        sink: feed.Sink,
        *,
        what: str,
        labels: str = "",
        accept: tuple[str, str] = ("application/json", "application/json"),
        known: Iterable[tuple[str, str]] = (),
        timings: Timings | None = None,
        place: openings.Place | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._path = path
        self._sink = sink
        self._action = f"watch {what}"
        self._feed = feed.Feed(sink, self._action, known)
        self._selection = {"labelSelector": labels} if labels else {}
        self._accept = accept
        self._timings = timings or Timings()
        self._sleep = sleep
        self._place = place or openings.Place(openings.Openings())
        self._failures = 0
        self._delivered = False

    async def run(self) -> None:
        """Watch until cancelled."""
        state = State.INITIAL
        while True:
            self._delivered = False
            try:
                await self._step(state)
            except errors.ApiError as error:
                state = await self._after_failure(state, error)
            else:
                state = State.WATCH if self._feed.complete else State.INITIAL
                self._recovered()
                await self._pause()

    async def _step(self, state: State) -> None:
        """Do what the state says; what reads all there is waits for a place, and leaves it when it has."""
        steps = {State.INITIAL: self._initial, State.LIST: self._list, State.WATCH: self._watch}
        if state is not State.WATCH:
            await self._place.take()
        try:
            await steps[state]()
        finally:
            self._place.leave()

    async def _after_failure(self, state: State, error: errors.ApiError) -> State:
        """Wait as long as the failure asks for, and say what to do then."""
        if error.status == feed.GONE:
            await self._pause()
            return State.INITIAL
        if state is State.INITIAL and error.status in UNSUPPORTED and not self._delivered:
            return State.LIST
        await self._back_off(error)
        return State.WATCH if self._feed.complete and error.status != NOT_FOUND else State.INITIAL

    async def _pause(self) -> None:
        """A connection that brought something is followed by the next at once, others after a moment."""
        await self._sleep(0 if self._delivered else self._timings.quiet_reconnect)

    def _recovered(self) -> None:
        if self._failures:
            self._sink.trouble(None)
        self._failures = 0

    async def _back_off(self, error: errors.ApiError) -> None:
        """Wait, longer each time, before the next try; a stream that delivered something starts the count anew."""
        timings = self._timings
        self._failures = 1 if self._delivered else self._failures + 1
        if not isinstance(error, errors.ConnectionFailed) or self._failures > 1:
            self._sink.trouble(error)
        ceiling = min(timings.last_retry, timings.first_retry * 2 ** min(self._failures, 10))
        spread = random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        delay = timings.no_such_kind if error.status == NOT_FOUND else spread
        await self._sleep(max(delay, error.retry_after or 0))

    async def _initial(self) -> None:
        self._feed.begin()
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}
        await self._stream(query)

    async def _watch(self) -> None:
        await self._stream({"resourceVersion": self._feed.version})

    async def _list(self) -> None:
        self._feed.begin()
        query = {"limit": str(PAGE), **self._selection}
        path = await self._path()
        while True:
            answer = await self._kube.request_bytes(
                "GET", path, action=self._action, query=query, accept=self._accept[1]
            )
            metadata = self._feed.page(answer)
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._feed.end(metadata.get("resourceVersion", ""))

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
            async for line in _lines(chunks):
                self._feed.line(line)
                self._delivered = True
                if self._feed.complete:
                    self._place.leave()
                self._recovered()
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]


def collection_of(kube: client.Kube, kind: discovery.Kind, namespace: str) -> Callable[[], Awaitable[str]]:
    """The path of a kind's objects, in one namespace or (empty) everywhere, looked up anew at each beginning."""

    async def path() -> str:
        found = await kube.discovery.kind(kind.api_version, kind.name)
        return paths.collection(found.api_version, found.plural, namespace)

    return path


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines of a stream; an unfinished last line is dropped, for it was cut."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if b"\n" not in chunk:
            continue
        *lines, rest = buffer.split(b"\n")
        buffer = rest
        for line in lines:
            if line:
                yield bytes(line)
