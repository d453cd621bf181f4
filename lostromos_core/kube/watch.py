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
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import orjson

from lostromos_core import errors
from lostromos_core.kube import unreadable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from lostromos_core.kube import client

GONE: Final = 410
NOT_FOUND: Final = 404
PAGE: Final = 500


class Sink(Protocol):
    """Who is told what the watch finds."""

    def changed(self, item: dict[str, Any]) -> None:
        """This object exists, and this is its newest version."""

    def gone(self, namespace: str, name: str) -> None:
        """This object is gone, or no longer selected."""

    def broken(self, metadata: Mapping[str, Any], reason: str) -> None:
        """This object exists, but nobody can read it; its metadata may be empty."""

    def synced(self) -> None:
        """All objects that existed have been given; called again after each new beginning."""

    def trouble(self, error: errors.ApiError | None) -> None:
        """The watch cannot go on now, because of this; None when it goes on again."""


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


class _ExpiredError(Exception):
    """The version that we wanted to go on from is too old."""


class _UnsupportedError(Exception):
    """The server cannot list and watch in one stream."""


@final
class Watch:
    """One watched collection; ``run`` never ends by itself.

    ``path`` gives the collection's path, anew at each beginning (a kind may have been created again).
    """

    def __init__(  # noqa: PLR0913 - what a watch consists of
        self,
        kube: client.Kube,
        path: Callable[[], Awaitable[str]],
        sink: Sink,
        *,
        what: str,
        labels: str = "",
        accept: tuple[str, str] = ("application/json", "application/json"),
        timings: Timings | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._path = path
        self._sink = sink
        self._action = f"watch {what}"
        self._selection = {"labelSelector": labels} if labels else {}
        self._accept = accept
        self._timings = timings or Timings()
        self._sleep = sleep
        self._version = ""
        self._known: set[tuple[str, str]] = set()
        self._seen: set[tuple[str, str]] | None = None
        self._failures = 0
        self._delivered = False

    async def run(self) -> None:
        """Watch until cancelled."""
        steps = {State.INITIAL: self._initial, State.LIST: self._list, State.WATCH: self._watch}
        state = State.INITIAL
        while True:
            self._delivered = False
            try:
                await steps[state]()
                state = State.WATCH if self._seen is None else State.INITIAL
                self._recovered()
                await self._sleep(0 if self._delivered else self._timings.quiet_reconnect)
            except _ExpiredError:
                state = State.INITIAL
                await self._sleep(0 if self._delivered else self._timings.quiet_reconnect)
            except _UnsupportedError:
                state = State.LIST
            except errors.ApiError as error:
                state = (
                    State.WATCH if self._version and self._seen is None and error.status != NOT_FOUND else State.INITIAL
                )
                await self._back_off(error)

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
        delay = timings.no_such_kind if error.status == NOT_FOUND else random.uniform(ceiling / 2, ceiling)  # noqa: S311 - no secret
        await self._sleep(max(delay, error.retry_after or 0))

    async def _initial(self) -> None:
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": ""}
        self._seen = set()
        try:
            await self._stream(query)
        except errors.ApiError as error:
            if error.status in {400, 422} and not self._delivered:
                raise _UnsupportedError from error
            raise

    async def _watch(self) -> None:
        await self._stream({"resourceVersion": self._version})

    async def _list(self) -> None:
        self._seen = set()
        query = {"limit": str(PAGE), **self._selection}
        path = await self._path()
        while True:
            try:
                answer = await self._kube.request_bytes(
                    "GET", path, action=self._action, query=query, accept=self._accept[1]
                )
            except errors.ApiError as error:
                raise (_ExpiredError() if error.status == GONE else error) from error
            metadata = self._page(answer)
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._version = metadata.get("resourceVersion", "")
        self._complete()

    def _page(self, answer: bytes) -> Mapping[str, Any]:
        """Give the items of a page to the sink; the page's own metadata."""
        try:
            page = orjson.loads(answer)
        except orjson.JSONDecodeError:
            for text in unreadable.slices(answer, ("items", "*")):
                self._give_text(text)
            return unreadable.metadata(answer, ())
        header = {"apiVersion": page.get("apiVersion", ""), "kind": str(page.get("kind", "")).removesuffix("List")}
        for item in page.get("items") or []:
            self._give(header | item)
        found: Mapping[str, Any] = page.get("metadata") or {}
        return found

    async def _stream(self, query: Mapping[str, str]) -> None:
        timeout = random.uniform(0.8, 1.2) * self._timings.server_timeout  # noqa: S311 - no secret
        full = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(timeout)),
            **query,
            **self._selection,
        }
        chunks = self._kube.stream(
            await self._path(), action=self._action, query=full, idle=self._timings.idle, accept=self._accept[0]
        )
        try:
            async for line in _lines(chunks):
                self._take(line)
        except errors.ApiError as error:
            raise (_ExpiredError() if error.status == GONE else error) from error
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]

    def _take(self, line: bytes) -> None:
        """Handle one event of the stream."""
        if self._failures:
            self._recovered()
        self._delivered = True
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self._take_unreadable(line, error)
            return
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            self._refused(item)
        elif kind == "BOOKMARK":
            self._bookmark(item.get("metadata") or {})
        elif kind == "DELETED":
            self._advance(item.get("metadata") or {})
            self._forget(item.get("metadata") or {})
        else:
            self._give(item)

    def _refused(self, status: Mapping[str, Any]) -> None:
        if status.get("code") == GONE:
            raise _ExpiredError
        message = errors.shorten(str(status.get("message") or "the watch was ended"))
        raise errors.ApiError(f"{self._action}: {message}", status=int(status.get("code") or 500))

    def _bookmark(self, metadata: Mapping[str, Any]) -> None:
        self._advance(metadata)
        if (metadata.get("annotations") or {}).get("k8s.io/initial-events-end") == "true":
            self._complete()

    def _take_unreadable(self, line: bytes, error: Exception) -> None:
        """An event that no decoder reads: an object nested too deeply, or a line that is not JSON."""
        metadata = unreadable.metadata(line, ("object",))
        if not metadata:
            msg = f"{self._action}: the stream holds a line that is not JSON"
            raise errors.ConnectionFailed(msg) from error
        self._advance(metadata)
        if b'"type":"DELETED"' in line[:40]:
            self._forget(metadata)
        else:
            self._remember(metadata)
            self._sink.broken(metadata, _reason(error))

    def _give_text(self, text: bytes) -> None:
        try:
            self._give(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            metadata = unreadable.metadata(text, ())
            self._remember(metadata)
            self._sink.broken(metadata, _reason(error))

    def _give(self, item: dict[str, Any]) -> None:
        metadata = item.get("metadata") or {}
        self._advance(metadata)
        self._remember(metadata)
        self._sink.changed(item)

    def _advance(self, metadata: Mapping[str, Any]) -> None:
        self._version = metadata.get("resourceVersion") or self._version

    def _remember(self, metadata: Mapping[str, Any]) -> None:
        key = (metadata.get("namespace") or "", metadata.get("name") or "")
        self._known.add(key)
        if self._seen is not None:
            self._seen.add(key)

    def _forget(self, metadata: Mapping[str, Any]) -> None:
        key = (metadata.get("namespace") or "", metadata.get("name") or "")
        self._known.discard(key)
        if self._seen is not None:
            self._seen.discard(key)
        self._sink.gone(*key)

    def _complete(self) -> None:
        """A beginning is complete: what was known before and was not seen now is gone."""
        for key in self._known - (self._seen or set()):
            self._known.discard(key)
            self._sink.gone(*key)
        self._seen = None
        self._recovered()
        self._sink.synced()


def _reason(error: Exception) -> str:
    return f"it cannot be decoded: {errors.shorten(str(error), 120)}"


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
