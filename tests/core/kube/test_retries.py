"""How a watch goes on after failures: by progress it counts, and it says what keeps it from progress."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from lostromos_core import complaints, errors
from lostromos_core.kube.watching import watch
from tests.core.kube.test_reflector import KNOWN, Recorder, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

CUT = errors.ConnectionFailed("watch Pods: cut")
QUIET = "quiet"
"""In a stream: nothing comes until the idle timer ends it."""
BOOKMARK = orjson.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5"}}})


@dataclasses.dataclass
class Stream:
    """What one stream brings, and how it ends; it is open for ``lasts`` seconds before its end."""

    lines: list[bytes] = dataclasses.field(default_factory=list)
    end: errors.ApiError | None = None
    lasts: float = 0.0
    quiet: bool = False


class Server:
    """Answers by a script, in virtual time; ``streams`` and ``lists`` are asked with the query."""

    def __init__(
        self,
        streams: Callable[[Mapping[str, str]], Stream | errors.ApiError],
        lists: Callable[[Mapping[str, str]], bytes | errors.ApiError] | None = None,
    ) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.times: list[float] = []
        self._streams = streams
        self._lists = lists

    async def stream(self, _path: str, *, query: Mapping[str, str], **_: Any) -> AsyncIterator[bytes]:
        self._ask("initial" if "sendInitialEvents" in query else f"watch {query['resourceVersion']}")
        answer = self._streams(query)
        if isinstance(answer, errors.ApiError):
            raise answer
        yield b""
        for line in answer.lines:
            yield line + b"\n"
        self.now += answer.lasts
        if answer.quiet:
            self.now += 75
            raise errors.ConnectionFailed("watch Pods: no answer in time") from TimeoutError()
        if answer.end:
            raise answer.end

    async def request_bytes(self, method: str, path: str, *, query: Mapping[str, str], **_: Any) -> bytes:
        assert (method, path) == ("GET", "/api/v1/pods")
        self._ask(
            "list"
            + (f" after {query['continue']}" if "continue" in query else "")
            + ("" if "limit" in query else " whole")
        )
        assert self._lists
        answer = self._lists(query)
        if isinstance(answer, errors.ApiError):
            raise answer
        return answer

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.times.append(self.now)


def page(*names: str, token: str = "", version: str = "9") -> bytes:
    items = [{"metadata": {"name": name, "namespace": "ns", "resourceVersion": "1"}} for name in names]
    return orjson.dumps(
        {"kind": "PodList", "items": items, "metadata": {"continue": token, "resourceVersion": version}}
    )


async def run(server: Server, until: Callable[[Recorder], bool], seconds: float = 600) -> Recorder:
    """Watch until something is so, in virtual time."""
    handler = Recorder()

    async def path() -> str:
        return "/api/v1/pods"

    made = watch.Watch(server, path, handler, what="Pods", clock=server.clock, sleep=server.sleep)  # type: ignore[arg-type]
    running = asyncio.create_task(made.run())
    while not until(handler) and server.now < seconds and not running.done():
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled(), running
    assert until(handler), (server.asked, handler.told, handler.troubles)
    return handler


async def test_a_first_stream_that_breaks_after_each_line_is_told_and_then_listed_in_pages() -> None:
    streams = iter(["a", "b", "c", "d"])

    def stream(query: Mapping[str, str]) -> Stream:
        return Stream([event("ADDED", next(streams))], CUT) if "sendInitialEvents" in query else Stream(lasts=300)

    server = Server(stream, lambda _: page("a", "b", "c"))
    handler = await run(server, lambda handler: "synced" in handler.told)
    assert server.asked[:4] == ["initial", "initial", "initial", "list"]
    assert handler.there == {"a", "b", "c"}
    assert handler.troubles == ["watch Pods: cut", "watch Pods: cut", ""]
    assert server.times[3] >= 1.5, "it waits longer each time"


async def test_items_that_came_before_the_first_stream_broke_are_given_and_nothing_is_taken_for_gone() -> None:
    server = Server(lambda _: Stream([event("ADDED", "a")], CUT), lambda _: CUT)
    handler = await run(server, lambda handler: len(handler.troubles) > 8)
    assert (handler.there, handler.told) == ({"a"}, [])


async def test_a_stream_that_repeats_an_old_event_and_fails_makes_no_progress() -> None:
    def stream(query: Mapping[str, str]) -> Stream:
        if "sendInitialEvents" in query:
            return Stream([event("ADDED", "a", "4"), KNOWN], CUT)
        return Stream([event("MODIFIED", "a", "5")], CUT)

    server = Server(stream)
    handler = await run(server, lambda _: server.asked.count("initial") == 2)
    assert server.asked == ["initial", *["watch 5"] * 4, "initial"], "from a version that leads nowhere, it begins anew"
    assert handler.troubles[:4] == ["watch Pods: cut"] * 4
    assert server.times[5] >= 7, "it waits longer each time"


@pytest.mark.parametrize("line", [event("MODIFIED", "a", "6"), BOOKMARK.replace(b'"5"', b'"6"')])
async def test_a_newer_version_is_progress_whatever_brings_it(line: bytes) -> None:
    later = iter([[], [], [line]])

    def stream(query: Mapping[str, str]) -> Stream:
        return Stream([KNOWN]) if "sendInitialEvents" in query else Stream(next(later, []), CUT)

    server = Server(stream)
    handler = await run(server, lambda handler: "" in handler.troubles)
    assert handler.troubles == ["watch Pods: cut", ""]
    assert server.asked == ["initial", "watch 5", "watch 5", "watch 5"]


async def test_a_server_that_ends_each_stream_at_once_is_told_and_listed_again_and_again() -> None:
    server = Server(lambda query: Stream([KNOWN] if "sendInitialEvents" in query else []))
    handler = await run(server, lambda _: server.asked.count("initial") == 3)
    assert handler.troubles[0] == "watch Pods: the API server ended the stream at once"
    assert server.asked.count("watch 5") == 10
    assert server.now > 30, "it waits longer each time"


async def test_a_first_stream_that_ends_in_order_before_the_end_of_the_list_is_a_failure() -> None:
    server = Server(lambda _: Stream([event("ADDED", "a")]), lambda _: page("a"))
    handler = await run(server, lambda handler: "synced" in handler.told)
    assert server.asked == ["initial"] * 3 + ["list"]
    assert handler.troubles[0] == "watch Pods: the API server ended the stream before the list was complete"


@pytest.mark.parametrize("end", [CUT, None])
async def test_a_stream_without_bookmarks_that_was_open_for_long_is_no_failure(end: errors.ApiError | None) -> None:
    def stream(query: Mapping[str, str]) -> Stream:
        if "sendInitialEvents" in query:
            return Stream([KNOWN], lasts=40, end=end)
        return Stream(quiet=True) if end else Stream(lasts=40)

    server = Server(stream)
    handler = await run(server, lambda _: len(server.asked) == 9, seconds=1000)
    assert handler.troubles == []
    assert server.asked == ["initial", *["watch 5"] * 8]


async def test_a_stream_that_goes_on_quietly_after_a_trouble_ends_it() -> None:
    streams = iter([Stream([KNOWN]), Stream(end=CUT), Stream(end=CUT), Stream(quiet=True)])
    server = Server(lambda _: next(streams, Stream(quiet=True)))
    handler = await run(server, lambda handler: len(handler.troubles) > 1)
    assert handler.troubles == ["watch Pods: cut", ""]


@pytest.mark.parametrize(
    "stream", [Stream([event("ADDED", "a")], quiet=True), Stream([event("ADDED", "a"), BOOKMARK], lasts=99)]
)
async def test_a_server_that_never_says_when_all_is_listed_is_asked_for_pages_from_then_on(stream: Stream) -> None:
    gone = errors.ApiError("too old", status=410)
    server = Server(lambda query: stream if "sendInitialEvents" in query else Stream(end=gone), lambda _: page("a"))
    await run(server, lambda _: server.asked.count("list") == 3)
    assert server.asked == ["initial", "list", "watch 9", "list", "watch 9", "list"]


async def test_versions_that_expire_again_and_again_are_told_and_waited_for() -> None:
    gone = errors.ApiError("watch Pods: too old", status=410)
    server = Server(lambda query: Stream([KNOWN]) if "sendInitialEvents" in query else gone)
    handler = await run(server, lambda _: server.asked.count("initial") == 8)
    assert "watch Pods: too old" in handler.troubles
    assert server.now > 20, "it waits longer each time"


async def test_a_list_whose_pages_expire_is_asked_for_as_a_whole() -> None:
    unsupported, gone = errors.ApiError("no", status=422), errors.ApiError("watch Pods: too old", status=410)

    def lists(query: Mapping[str, str]) -> bytes | errors.ApiError:
        if "continue" in query:
            return gone
        return page("a", token="more") if "limit" in query else page("a", "b")

    server = Server(lambda query: unsupported if "sendInitialEvents" in query else Stream(lasts=300), lists)
    handler = await run(server, lambda handler: "synced" in handler.told)
    assert server.asked == ["initial", "list", "list after more", "list whole"]
    assert (handler.there, handler.troubles) == ({"a", "b"}, [])


async def test_pages_that_expire_again_and_again_are_told() -> None:
    unsupported, gone = errors.ApiError("no", status=422), errors.ApiError("watch Pods: too old", status=410)

    def lists(query: Mapping[str, str]) -> bytes | errors.ApiError:
        return page("a", token="more") if "limit" in query and "continue" not in query else gone

    server = Server(lambda _: unsupported, lists)
    handler = await run(server, lambda handler: len(handler.troubles) >= 3)
    assert set(handler.troubles) == {"watch Pods: too old"}
    assert handler.told == []


async def test_a_page_that_fails_is_asked_for_again_and_not_the_whole_list() -> None:
    fails = iter([True, False, True, True])

    def lists(query: Mapping[str, str]) -> bytes | errors.ApiError:
        token = query.get("continue", "")
        if token and next(fails, False):
            return CUT
        return {"": page("a", token="1"), "1": page("b", token="2"), "2": page("c")}[token]

    server = Server(lambda _: errors.ApiError("no", status=422), lists)
    handler = await run(server, lambda handler: "synced" in handler.told)
    assert server.asked[1:] == ["list", "list after 1", "list after 1", "list after 2", "list after 2", "list after 2"]
    assert handler.there == {"a", "b", "c"}


@pytest.mark.parametrize("text", [b"<html>", b'{"kind":"Status"}', b""])
async def test_an_answer_that_is_no_list_is_a_failure_that_is_told_and_tried_again(text: bytes) -> None:
    answers = iter([text, text, text])
    server = Server(lambda _: errors.ApiError("no", status=422), lambda _: next(answers, page("a")))
    handler = await run(server, lambda handler: "synced" in handler.told)
    assert handler.troubles[0].startswith("watch Pods: the API server's response contains no list")
    assert handler.troubles[-1] == ""


@pytest.mark.parametrize("line", [b"<html>", b'{"type":"ERROR","object":{"code":500,"message":"sick"}}'])
async def test_an_answer_that_is_no_watch_is_a_failure_that_is_told_and_tried_again(line: bytes) -> None:
    server = Server(lambda query: Stream([KNOWN] if "sendInitialEvents" in query else [line]))
    handler = await run(server, lambda _: server.asked.count("initial") == 2)
    assert handler.told[:1] == ["synced"]
    assert "sick" in handler.troubles[0] or "a line that is not JSON" in handler.troubles[0]
    assert server.now > 5


async def test_a_server_cannot_ask_for_a_pause_of_a_day() -> None:
    busy = errors.ApiError("watch Pods: busy", status=429, retry_after=86_400)
    answers = iter([busy])
    server = Server(lambda _: next(answers, Stream([KNOWN], lasts=300)))
    await run(server, lambda handler: "synced" in handler.told)
    assert server.times[1] == 60


async def test_a_line_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LONGEST_LINE", 1000)

    class Endless(Server):
        async def stream(self, _path: str, *, query: Mapping[str, str], **_: Any) -> AsyncIterator[bytes]:
            self._ask("watch" + str(query.get("resourceVersion")))
            while True:
                yield b"x" * 100

    server = Endless(lambda _: Stream(), lambda _: CUT)
    handler = await run(server, lambda handler: len(handler.troubles) > 1)
    assert handler.troubles[0] == "watch Pods: the API server's response contains an endless line"


async def test_credentials_that_cannot_be_read_are_told_and_tried_again() -> None:
    fails = iter([True])

    class Locked(Server):
        async def stream(self, _path: str, *, query: Mapping[str, str], **_: Any) -> AsyncIterator[bytes]:
            if next(fails, False):
                raise errors.ConfigError("the token file is empty")
            async for chunk in super().stream(_path, query=query):
                yield chunk

    server = Locked(lambda _: Stream([KNOWN], lasts=300))
    handler = await run(server, lambda handler: "synced" in handler.told)
    assert handler.troubles == ["watch Pods: the token file is empty", ""]


def test_a_trouble_is_logged_once_and_again_at_long_intervals() -> None:
    now = [0.0]
    made = complaints.Complaints(lambda: now[0])
    assert not made.is_over()
    assert [made.is_news("a"), made.is_news("b"), made.is_news("a"), made.is_news("b")] == [True, True, False, False]
    now[0] = complaints.AGAIN
    assert (made.is_news("a"), made.is_over(), made.is_over()) == (True, True, False)
    now[0] += complaints.FLAPPING / 2
    assert (made.is_news("a"), made.is_over()) == (False, False), "it comes and goes"
    now[0] += complaints.FLAPPING
    assert (made.is_news("a"), made.is_over()) == (True, True)
    for number in range(1000):
        assert made.is_news(f"trouble {number}")
