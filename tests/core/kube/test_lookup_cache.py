"""Objects that templates look up."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from lostromos_core.kube.kinds import discovery
from lostromos_core.kube.lookup import lookup_cache
from lostromos_core.kube.transport import list_limiter

KIND = discovery.Kind("example.com/v1", "Thing", "things", True, frozenset(), frozenset())  # noqa: FBT003 - namespaced
PLACE = ("ns", "a")


class Discovery:
    """Counts what is forgotten."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[str, str]] = []

    def forget(self, api_version: str, kind: str) -> None:
        self.forgotten.append((api_version, kind))


class Connection:
    """Watches bring nothing but the end of the beginning; a read brings one object."""

    def __init__(self, found: dict[str, Any] | errors.ApiError) -> None:
        self.found = found
        self.discovery = Discovery()
        self.list_limiter = list_limiter.ListLimiter()
        self.handler: Any = None

    def background(self, run: Any, *, name: str) -> None:
        assert name == "watch things for lookup"
        self.handler = run.__self__._handler
        self.handler.synced()

    async def request(self, method: str, path: str, *, action: str) -> dict[str, Any]:
        assert (method, path, action) == ("GET", "/apis/example.com/v1/namespaces/ns/things/a", "look up Thing ns/a")
        if isinstance(self.found, errors.ApiError):
            raise self.found
        return self.found


def nested(levels: int) -> list[Any]:
    spec: list[Any] = []
    for _ in range(levels):
        spec = [spec]
    return spec


async def test_what_is_nested_too_deeply_to_be_kept_has_a_reason_instead_of_content() -> None:
    item = {"metadata": {"name": "a", "namespace": "ns"}, "spec": nested(300)}
    made = lookup_cache.LookupCache(Connection(item))  # type: ignore[arg-type]
    await made.load(KIND, "", PLACE, (lambda _: None, "ns/web"))
    assert made.known(KIND, "", PLACE) == (True, None)
    assert made.why_not(KIND, "", PLACE) == "it cannot be decoded: it is nested too deeply"


async def test_what_becomes_unreadable_and_readable_again_rings_both_times() -> None:
    metadata = {"name": "a", "namespace": "ns"}
    rung: list[str] = []
    connection = Connection({"metadata": metadata, "spec": 1})
    made = lookup_cache.LookupCache(connection)  # type: ignore[arg-type]
    await made.load(KIND, "", PLACE, (rung.append, "ns/web"))
    assert (made.known(KIND, "", PLACE)[1] or {})["spec"] == 1
    connection.handler.broken({"metadata": metadata}, "it is too deep")
    assert (made.why_not(KIND, "", PLACE), rung) == ("it is too deep", ["ns/web"])
    connection.handler.broken({"metadata": {}}, "not even its name is known")
    connection.handler.changed({"metadata": metadata, "spec": 2})
    assert (made.why_not(KIND, "", PLACE), len(rung)) == ("", 2)
    assert (made.known(KIND, "", PLACE)[1] or {})["spec"] == 2


@pytest.mark.parametrize(("reason", "forgotten"), [("NotFound", []), ("", [("example.com/v1", "Thing")])])
async def test_an_absent_object_throws_no_discovery_away_and_an_unknown_path_does(
    reason: str, forgotten: list[tuple[str, str]]
) -> None:
    connection = Connection(errors.ApiError("not found", status=404, reason=reason))
    made = lookup_cache.LookupCache(connection)  # type: ignore[arg-type]
    if reason:
        await made.load(KIND, "", PLACE, (lambda _: None, "ns/web"))
        assert made.known(KIND, "", PLACE) == (True, None)
    else:
        with pytest.raises(errors.ApiError) as caught:
            await made.load(KIND, "", PLACE, (lambda _: None, "ns/web"))
        assert caught.value.retryable
    assert connection.discovery.forgotten == forgotten


async def test_a_watch_that_finds_no_such_path_forgets_how_the_kind_is_served() -> None:
    connection = Connection({"metadata": {"name": "a", "namespace": "ns"}})
    made = lookup_cache.LookupCache(connection)  # type: ignore[arg-type]
    await made.load(KIND, "", PLACE, (lambda _: None, "ns/web"))
    connection.handler.trouble(errors.ApiError("no", status=403))
    assert connection.discovery.forgotten == []
    connection.handler.trouble(errors.ApiError("no", status=404))
    assert connection.discovery.forgotten == [("example.com/v1", "Thing")]
