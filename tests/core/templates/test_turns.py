"""A rendering that takes long leaves the event loop; what it looks up is looked up there all the same."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import errors, interfaces
from lostromos_core.engine import reconcile
from lostromos_core.templates import renderer, values_renderer
from tests import fakes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
LONG = "{% for a in resource.spec.x %}{% for b in resource.spec.x %}{% endfor %}{% endfor %}\n"
"""Longer than a turn with a list of 1,000."""
X = list(range(1_000))


def load(path: Path, text: str, **more: Any) -> renderer.JinjaRenderer:
    (path / "a.yaml").write_text(HEAD + text)
    made = renderer.JinjaRenderer(path, **more)
    made.load()
    return made


async def test_what_is_long_is_rendered_in_a_thread_and_what_is_short_is_not(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []

    def note(value: Any) -> Any:
        threads.append(threading.current_thread())
        return value

    made = load(tmp_path, LONG + "v: {{ resource.spec.one | note }}\n", filters={"note": note})
    found = await made.render_in_turns(fakes.resource("web", x=[1], one=1), interfaces.Context())
    assert found.objects[0].data["v"] == 1
    found = await made.render_in_turns(fakes.resource("web", x=X, one=1), interfaces.Context())
    assert found.objects[0].data["v"] == 1
    assert threads[0] is threading.main_thread()
    assert len(threads) == 2
    assert threads[1] is not threading.main_thread()
    made.render(fakes.resource("web", x=X, one=1), interfaces.Context())
    assert threads[2] is threading.main_thread()


async def test_a_lookup_of_a_thread_is_made_in_the_loop(tmp_path: Path) -> None:
    asked: list[threading.Thread] = []

    def find(ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        asked.append(threading.current_thread())
        if ref.name == "forbidden":
            raise errors.RefusedError("no")
        return {"data": {"a": "b"}} if ref.name == "there" else None

    text = LONG + "v: {{ lookup('v1', 'ConfigMap', resource.spec.of).data.a }}\n"
    made = load(tmp_path, text)
    found = await made.render_in_turns(fakes.resource("web", x=X, of="there"), interfaces.Context(lookup=find))
    assert found.objects[0].data["v"] == "b"
    assert {ref.name for ref in found.reads} == {"there"}
    found = await made.render_in_turns(fakes.resource("web", x=X, of="absent"), interfaces.Context(lookup=find))
    assert "absent is not there yet" in found.units[0].waiting
    with pytest.raises(errors.LostromosError):
        await made.render_in_turns(fakes.resource("web", x=X, of="forbidden"), interfaces.Context(lookup=find))
    assert set(asked) == {threading.main_thread()}


async def test_a_rendering_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    began, ended = threading.Event(), threading.Event()

    class Note:
        def __del__(self) -> None:
            ended.set()

    def note(_: Any) -> Any:
        began.set()
        return Note()

    made = load(tmp_path, LONG + "{% set n = resource.spec.x | note %}" + LONG * 20, filters={"note": note})
    task = asyncio.create_task(made.render_in_turns(fakes.resource("web", x=X), interfaces.Context()))
    assert await asyncio.to_thread(began.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 30)


async def test_one_that_waits_for_the_loop_and_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    def find(_: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        task.cancel()
        raise AssertionError

    made = load(tmp_path, LONG + "v: {{ lookup('v1', 'ConfigMap', 'a') }}\n")
    task = asyncio.create_task(made.render_in_turns(fakes.resource("web", x=X), interfaces.Context(lookup=find)))
    with pytest.raises((asyncio.CancelledError, errors.RenderError)):
        await task


async def test_values_are_made_in_turns_too(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(LONG + "v: 1\n")
    made = values_renderer.ValuesRenderer(tmp_path / "values.yaml")
    found = await made.render_in_turns(fakes.resource("web", x=X), interfaces.Context())
    assert found.values == {"v": 1}
    whole = await values_renderer.ValuesRenderer(layout="spec").render_in_turns(
        fakes.resource("web", x=[[1]] * 50_000), interfaces.Context()
    )
    assert len(whole.values["x"]) == 50_000
    deep: Any = 1
    for _ in range(1_100):
        deep = {"a": deep}
    with pytest.raises(errors.RenderError, match="nested deeper than 150 levels"):
        await values_renderer.ValuesRenderer(layout="spec").render_in_turns(
            fakes.resource("web", x=deep), interfaces.Context()
        )


async def test_rounds_of_lookups_share_one_budget(tmp_path: Path) -> None:
    class Rounds:
        rounds = 0

        async def render(self, _: interfaces.Resource, render: Any) -> interfaces.Rendered:
            for number in range(20):
                self.rounds = number
                found: interfaces.Rendered = await render(lambda _ref: None)
            return found

        def forget(self, key: str) -> None: ...

    made, rounds = load(tmp_path, LONG), Rounds()
    watcher = fakes.FakeWatcher()
    watcher.put(fakes.resource("web", x=X))
    parts = reconcile.ControllerContext(
        "app", watcher, made, fakes.FakeApplier(), fakes.WORKS, lambda _r, _m: (), rounds
    )
    report = (await reconcile.reconcile(parts, "ns/web")).report
    assert report is not None
    assert "take more than" in report.message
    assert 0 < rounds.rounds < 10
    watcher.put(fakes.resource("web", x=[1]))
    report = (await reconcile.reconcile(parts, "ns/web")).report
    assert report is not None
    assert report.ready


async def test_too_many_lookups_are_refused_and_each_object_is_read_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def find(ref: interfaces.ObjectRef) -> Mapping[str, Any] | None:
        asked.append(ref.name)
        return {"data": {"a": "b"}}

    made = load(tmp_path, "{% for i in resource.spec.x %}{% set o = lookup('v1', 'ConfigMap', i) %}{% endfor %}\n")
    made.render(fakes.resource("web", x=["a"] * 50), interfaces.Context(lookup=find))
    assert asked == ["a"]
    with pytest.raises(errors.RenderError, match="more than 1,000 objects are looked up"):
        made.render(fakes.resource("web", x=[f"o{i}" for i in range(1_001)]), interfaces.Context(lookup=find))


async def test_a_deep_object_can_be_looked_up_and_used_where_it_is_not_deep(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(1_500):
        deep = {"a": deep}
    made = load(
        tmp_path,
        "{% set o = lookup('v1', 'ConfigMap', 'a') %}v: {{ o.ok }}\nw: {{ o.deep if resource.spec.all else 1 }}\n",
    )
    context = interfaces.Context(lookup=lambda _ref: {"ok": "yes", "deep": deep})
    assert made.render(fakes.resource("web", all=False), context).objects[0].data["v"] == "yes"
    with pytest.raises(errors.RenderError, match="nested deeper than 150"):
        made.render(fakes.resource("web", all=True), context)
