"""Objects that templates look up."""

from __future__ import annotations

from typing import Any

import pytest

from lostromos_core import errors
from lostromos_core.kube import discovery, objects

KIND = discovery.Kind("example.com/v1", "Thing", "things", True, frozenset(), frozenset())  # noqa: FBT003 - namespaced


class Connection:
    """Watches bring nothing but the end of the beginning; a read brings one object."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item

    def background(self, run: Any, *, name: str) -> None:
        assert name == "watch things for lookup"
        run.__self__._sink.synced()

    async def request(self, method: str, path: str, *, action: str) -> dict[str, Any]:
        assert (method, path, action) == ("GET", "/apis/example.com/v1/namespaces/ns/things/a", "look up Thing ns/a")
        return self.item


async def test_what_is_nested_too_deeply_to_be_kept_is_refused_with_its_name() -> None:
    spec: list[Any] = []
    for _ in range(300):
        spec = [spec]
    item = {"metadata": {"name": "a", "namespace": "ns"}, "spec": spec}
    made = objects.Objects(Connection(item))  # type: ignore[arg-type]
    with pytest.raises(errors.RefusedError, match="look up Thing ns/a: it is nested too deeply"):
        await made.load(KIND, "", ("ns", "a"), (lambda _: None, "ns/web"))
