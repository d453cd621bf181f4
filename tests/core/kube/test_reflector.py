"""What a watch brings: objects and keys out, whatever comes in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from lostromos_core import errors
from lostromos_core.kube.watching import reflector, watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.told: list[str] = []
        self.troubles: list[str] = []

    def changed(self, item: dict[str, Any]) -> None:
        self.there.add(item["metadata"]["name"])

    def gone(self, namespace: str, name: str) -> None:
        self.there.discard(name)
        self.told.append(f"{namespace}/{name} is gone")

    def broken(self, item: dict[str, Any], reason: str) -> None:
        self.told.append(f"{item['metadata'].get('name')}: {reason}")

    def synced(self) -> None:
        self.told.append("synced")

    def trouble(self, error: errors.ApiError | None) -> None:
        self.troubles.append(str(error or ""))


STRANGE = [
    b"null", b"[]", b"1", b'"x"', b"{}", b'{"type":"ADDED"}', b'{"type":"ADDED","object":null}',
    b'{"type":"ADDED","object":[]}', b'{"type":"ADDED","object":{"metadata":{}}}',
    b'{"type":"DELETED","object":{"metadata":{"name":5}}}', b'{"type":"BOOKMARK","object":{}}',
    b'{"type":[],"object":{"metadata":{"name":"a"}}}', b'{"kind":"Status","code":500}',
    b'{"object":{"metadata":{"name":"a"}}}', b"<html>",
]  # fmt: skip


@pytest.mark.parametrize("line", STRANGE)
def test_a_line_that_is_no_event_is_a_failed_connection(line: bytes) -> None:
    handler = Recorder()
    made = reflector.Reflector(handler, "watch Pods")
    with pytest.raises(errors.ConnectionFailed, match="watch Pods: the API server's response contains"):
        made.line(line)
    assert (handler.there, handler.told) == (set(), [])


@pytest.mark.parametrize(
    ("status", "code"),
    [({"code": 410}, 410), ({"code": "abc"}, 500), ({"code": None}, 500), ([], 500), (None, 500)],
)
def test_an_error_event_has_a_status_whatever_it_says(status: Any, code: int) -> None:
    with pytest.raises(errors.ApiError) as caught:
        reflector.Reflector(Recorder(), "watch Pods").line(orjson.dumps({"type": "ERROR", "object": status}))
    assert caught.value.status == code


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b"<html>",
        b"{}",
        b'{"kind":"Status","code":500}',
        b'{"items":1}',
        b'{"items":[1]}',
        b'{"items":[{"metadata":null}]}',
    ],
)
def test_a_page_that_is_no_list_is_a_failed_connection(page: bytes) -> None:
    with pytest.raises(errors.ConnectionFailed):
        reflector.Reflector(Recorder(), "watch Pods").page(page)


@pytest.mark.parametrize("items", ["[]", "null"])
def test_a_page_without_items_is_an_empty_list(items: str) -> None:
    made = reflector.Reflector(Recorder(), "watch Pods")
    assert made.page(f'{{"items":{items},"metadata":{{"resourceVersion":"7"}}}}'.encode()) == {"resourceVersion": "7"}


def test_what_is_known_from_before_and_does_not_come_again_is_gone() -> None:
    handler = Recorder()
    made = reflector.Reflector(handler, "watch Pods", [("ns", "a"), ("ns", "b")])
    made.begin()
    made.line(event("ADDED", "a"))
    made.end("7")
    assert (handler.there, handler.told) == ({"a"}, ["ns/b is gone", "synced"])


class Keeper(Recorder):
    """Keeps objects as text, as the real sinks do."""

    def changed(self, item: dict[str, Any]) -> None:
        orjson.dumps(item)
        super().changed(item)


def test_an_object_that_can_be_read_but_not_kept_stops_no_other() -> None:
    handler = Keeper()
    made = reflector.Reflector(handler, "watch Pods")
    deep = b'{"metadata":{"name":"deep"},"spec":' + b"[" * 300 + b"]" * 300 + b"}"
    made.page(b'{"items":[' + deep + b',{"metadata":{"name":"b"}}]}')
    made.line(b'{"type":"ADDED","object":' + deep + b"}")
    assert handler.told == ["deep: it cannot be decoded: it is nested too deeply"] * 2
    assert handler.there == {"b"}


class Buggy(Recorder):
    """Raises for one object."""

    def changed(self, item: dict[str, Any]) -> None:
        if item["metadata"]["name"] == "bug":
            raise KeyError("x")
        super().changed(item)

    def broken(self, item: dict[str, Any], reason: str) -> None:
        super().broken(item, reason)
        raise KeyError("y")


def test_an_object_that_raises_in_the_sink_stops_no_other() -> None:
    handler = Buggy()
    made = reflector.Reflector(handler, "watch Pods")
    made.line(event("ADDED", "bug", "3"))
    made.line(event("ADDED", "b", "4"))
    assert (handler.there, handler.told, made.version) == ({"b"}, ["bug: it cannot be processed: KeyError"], "4")


def event(kind: str, name: str, version: str = "1") -> bytes:
    metadata = {"name": name, "namespace": "ns", "resourceVersion": version}
    return orjson.dumps({"type": kind, "object": {"metadata": metadata}})


KNOWN = orjson.dumps(
    {
        "type": "BOOKMARK",
        "object": {"metadata": {"resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}},
    }
)


class Streams:
    """A connection whose streams are given; it is silent after the last."""

    def __init__(self, *streams: list[bytes]) -> None:
        self.streams = list(streams)
        self.queries: list[Mapping[str, str]] = []

    async def stream(self, _path: str, *, query: Mapping[str, str], **_: Any) -> AsyncIterator[bytes]:
        self.queries.append(query)
        if not self.streams:
            await asyncio.Event().wait()
        for line in self.streams.pop(0):
            yield line + b"\n"


@pytest.mark.parametrize("line", STRANGE)
async def test_a_watch_goes_on_from_its_version_after_what_is_no_event(line: bytes) -> None:
    handler, pauses = Recorder(), []
    kube = Streams([event("ADDED", "a"), KNOWN, line], [line], [line], [event("ADDED", "b", "6")])

    async def path() -> str:
        return "/api/v1/pods"

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    running = asyncio.create_task(watch.Watch(kube, path, handler, what="Pods", sleep=sleep).run())  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        while "b" not in handler.there:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [query.get("resourceVersion") for query in kube.queries[:4]] == ["", "5", "5", "5"]
    assert min(pauses[:3]) > 0.2, "it waits before it comes again"
    assert handler.troubles[-1] == ""
    assert "the API server's response contains" in handler.troubles[0]
