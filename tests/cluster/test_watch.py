"""A watch goes through everything that happens to watches: every change that was made meanwhile is applied."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import interfaces
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube import labels, watcher
from lostromos_core.kube.transport import client
from tests import operators
from tests.chaos import actions, breaks, proxy
from tests.cluster.test_life import text_of
from tests.controlplane import api as apis
from tests.controlplane import crds, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import cluster


@pytest.fixture
def own_api(own_control_plane: cluster.ControlPlane) -> Iterator[apis.Api]:
    with apis.Api(own_control_plane.access()) as admin:
        yield admin


@pytest.fixture
def own_crd(own_api: apis.Api) -> crds.CustomKind:
    kind = crds.CustomKind(group=f"t{secrets.token_hex(4)}.example.com")
    crds.create(own_api, crds.definition(kind))
    return kind


def test_changes_made_while_the_api_server_is_killed_and_started_are_applied(
    tmp_path: Path, own_control_plane: cluster.ControlPlane, own_api: apis.Api, own_crd: crds.CustomKind
) -> None:
    made = operators.project(tmp_path, own_crd)
    own_api.create(own_crd.path("default"), own_crd.manifest("web", spec={"text": "0"}))
    with operators.Operator(made, own_control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: text_of(own_api, "default", "web") == "0")
        for round_ in ("1", "2"):
            own_control_plane.kill_api()
            own_control_plane.start_api()
            own_api.patch(own_crd.path("default", "web"), {"spec": {"text": round_}})
            waiting.wait_until(lambda expected=round_: text_of(own_api, "default", "web") == expected, timeout=30)  # type: ignore[misc]
            own_api.create(own_crd.path("default"), own_crd.manifest(f"new-{round_}", spec={"text": round_}))
            waiting.wait_until(lambda name=f"new-{round_}": text_of(own_api, "default", name), timeout=30)  # type: ignore[misc]
        waiting.wait_until(lambda: operators.is_ready(own_api.get(own_crd.path("default", "web"))), timeout=30)
        assert operator.running


def test_a_compacted_etcd_makes_the_watch_begin_anew_and_find_what_is_gone(
    tmp_path: Path, own_control_plane: cluster.ControlPlane, own_api: apis.Api, own_crd: crds.CustomKind
) -> None:
    """With the watch held back by the proxy, etcd compacted, and the API server's cache gone: its version is too old."""
    plane = own_control_plane
    made = operators.project(tmp_path, own_crd, apply={"server-side": {"finalizer": "never"}})
    for name in ("web", "gone"):
        own_api.create(own_crd.path("default"), own_crd.manifest(name, spec={"text": "0"}))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig, "--log-level=debug"):
            waiting.wait_until(lambda: operators.is_ready(own_api.get(own_crd.path("default", "gone"))))
            chaos.freeze()
            own_api.patch(own_crd.path("default", "web"), {"spec": {"text": "1"}})
            own_api.delete(own_crd.path("default", "gone"))
            for number in range(20):
                own_api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": f"noise-{number}"}})
            plane.compact_etcd()
            plane.kill_api()
            plane.start_api()
            chaos.close_connections()
            chaos.thaw()
            waiting.wait_until(lambda: text_of(own_api, "default", "web") == "1", timeout=30)
            own_api.create(own_crd.path("default"), own_crd.manifest("gone", spec={"text": "again"}))
            waiting.wait_until(lambda: operators.is_ready(own_api.get(own_crd.path("default", "gone"))), timeout=30)


@pytest.mark.parametrize("how", ["as an answer", "as an event"])
def test_an_expired_version_is_followed_by_a_new_list(
    how: str, tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd, watch={"namespaces": [namespace]})
    refusal = actions.Answer(410) if how == "as an answer" else actions.watch_error(410)
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known")
            with chaos.add(refusal, query="resourceVersion=[1-9]"):
                chaos.close_connections()
                api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
                waiting.wait_until(lambda: text_of(api, namespace, "web") == "1")
            lists = [r for r in chaos.requests if "sendInitialEvents" in r.query and crd.plural in r.path]
            assert len(lists) == 2


@pytest.mark.parametrize("line", ["null", '{"type":"ERROR","object":{"code":"abc"}}'])
def test_a_line_that_is_no_event_is_followed_by_a_new_watch(
    line: str, tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd, watch={"namespaces": [namespace]})
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known")
            with chaos.add(actions.Answer(200, body=f"{line}\n"), query="watch=true", times=2):
                chaos.close_connections()
                api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
                waiting.wait_until(lambda: text_of(api, namespace, "web") == "1", timeout=20)
            assert "the watcher failed" not in operator.log


async def test_a_watcher_that_is_started_again_finds_what_was_deleted_meanwhile(
    control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    sink = Sink()
    made = watcher.KubernetesWatcher(
        group=crd.group, version=crd.version, kind=crd.kind, namespaces=[namespace, "default"]
    )
    for name in ("gone", "kept"):
        api.create(crd.path(namespace), crd.manifest(name))
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        await made.start(interfaces.Runtime(controller="app", kube=kube))
        await watch_until_known(made, sink)
        assert sink.rung == {f"{namespace}/gone", f"{namespace}/kept"}
        sink.rung.clear()
        api.delete(crd.path(namespace, "gone"))
        await watch_until_known(made, sink)
        assert sink.rung == {f"{namespace}/gone"}
        assert await made.get(f"{namespace}/gone") is None
        assert await made.get(f"{namespace}/kept") is not None


@contextlib.asynccontextmanager
async def watching(
    control_plane: cluster.ControlPlane, crd: crds.CustomKind, **selection: Any
) -> AsyncIterator[watcher.KubernetesWatcher]:
    """A watcher that runs, and knows what there is."""
    made = watcher.KubernetesWatcher(group=crd.group, version=crd.version, kind=crd.kind, **selection)
    sink = Sink()
    async with clusters.Cluster(client.Client(str(control_plane.kubeconfig))) as kube:
        await made.start(interfaces.Runtime(controller="app", kube=kube))
        async with running(made, sink):
            yield made


async def becomes(made: watcher.KubernetesWatcher, key: str, wanted: Callable[[Any], bool]) -> interfaces.Resource:
    """What the watcher says of a key, as soon as it is what is wanted."""
    async with asyncio.timeout(60):
        while not wanted(found := await made.get(key)):
            await asyncio.sleep(0.01)
    assert found is not None
    return found


async def test_another_resource_of_the_same_name_has_not_left_the_selection(
    control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    path, key = crd.path(namespace, "web"), f"{namespace}/web"
    async with watching(control_plane, crd, labels="app=one") as made:
        api.create(crd.path(namespace), crd.manifest("web", labels={"app": "one"}))
        await becomes(made, key, lambda found: found is not None)
        api.patch(path, {"metadata": {"labels": {"app": "two"}}})
        left = await becomes(made, key, lambda found: found is None or found.deleting)
        assert left.deleting
        api.delete(path)
        api.create(crd.path(namespace), crd.manifest("web", labels={"app": "two"}))
        assert await made.get(key) is None


@pytest.mark.parametrize("by", ["labels", "annotation"])
async def test_what_comes_back_while_it_is_released_is_looked_after(
    by: str, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    path, key = crd.path(namespace, "web"), f"{namespace}/web"
    where = {"labels": "labels", "annotation": "annotations"}[by]
    ours = {"metadata": {where: {"app": "one"}}}
    gone = interfaces.Report(ready=False, reason=interfaces.RELEASED, message="no controller reconciles it")
    done = interfaces.Report(ready=True, reason="Applied", message="1 object up to date")
    async with watching(control_plane, crd, **{by: "app=one"}) as made:
        api.create(crd.path(namespace), crd.manifest("web", **{where: {"app": "one"}}))
        before = await becomes(made, key, lambda found: found is not None)
        await made.report(before, done)
        api.patch(path, {"metadata": {where: {"app": "two", labels.CONTROLLER: "app"}}})
        left = await becomes(made, key, lambda found: found is None or found.deleting)
        api.patch(path, ours)
        await becomes(made, key, lambda found: found is not None and not found.deleting)
        await made.report(left, gone)
        again = await made.get(key)
        assert again is not None
        assert not again.deleting
        assert operators.condition(api.get(path))["reason"] == "Applied"


async def test_the_status_that_a_release_cleared_is_written_again_at_once(
    control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    path, key = crd.path(namespace, "web"), f"{namespace}/web"
    done = interfaces.Report(ready=True, reason="Applied", message="1 object up to date")
    async with watching(control_plane, crd, labels="app=one") as made:
        api.create(crd.path(namespace), crd.manifest("web", labels={"app": "one"}))
        before = await becomes(made, key, lambda found: found is not None)
        await made.report(before, done)
        before = await becomes(made, key, lambda found: bool(found and found.status))
        await made._reporter.clear(before)
        assert not operators.condition(api.get(path))
        await made.report(before, done)  # as the watch still shows it, with the status that is cleared
        assert operators.condition(api.get(path))["reason"] == "Applied"


class Sink:
    """Keeps which keys were rung."""

    def __init__(self) -> None:
        self.rung: set[str] = set()
        self.known = asyncio.Event()

    def enqueue(self, key: str) -> None:
        self.rung.add(key)

    def synced(self) -> None:
        self.known.set()

    def trouble(self, message: str) -> None:
        assert not message


async def watch_until_known(made: watcher.KubernetesWatcher, sink: Sink) -> None:
    async with running(made, sink):
        pass


@contextlib.asynccontextmanager
async def running(made: watcher.KubernetesWatcher, sink: Sink) -> AsyncIterator[None]:
    """A watcher runs, and knows what there is, within the block."""
    sink.known.clear()
    task = asyncio.create_task(made.watch(sink))
    try:
        async with asyncio.timeout(20):
            await sink.known.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_server_without_watch_lists_is_listed_page_by_page(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        chaos.add(actions.Answer(422), query="sendInitialEvents")
        api.create(crd.path(namespace), crd.manifest("early", spec={"text": "1"}))
        deep = '{"text":"1","deep":' + "[" * 5000 + "]" * 5000 + "}"
        body = f'{{"apiVersion":"{crd.api_version}","kind":"{crd.kind}","metadata":{{"name":"deep"}},"spec":{deep}}}'
        api.send_text("POST", crd.path(namespace), body)
        with operators.Operator(made, chaos.kubeconfig) as operator:
            waiting.wait_until(lambda: text_of(api, namespace, "early") == "1")
            operator.says("cannot be decoded")
            api.create(crd.path(namespace), crd.manifest("late", spec={"text": "2"}))
            waiting.wait_until(lambda: text_of(api, namespace, "late") == "2")


def test_a_first_stream_that_breaks_again_and_again_is_replaced_by_pages_and_told_once(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    for number in range(20):
        api.create(crd.path(namespace), crd.manifest(f"web-{number}", spec={"text": "1"}))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        rule = chaos.add(breaks.Eof(at=2000), query="sendInitialEvents", path=f"/{crd.plural}")
        with operators.Operator(made, chaos.kubeconfig) as operator:
            operator.says("all resources are known", timeout=30)
            for number in range(20):
                path = crd.path(namespace, f"web-{number}")
                waiting.wait_until(lambda path=path: operators.is_ready(api.get(path)), timeout=30)  # type: ignore[misc]
            api.patch(crd.path(namespace, "web-0"), {"spec": {"text": "2"}})
            waiting.wait_until(lambda: text_of(api, namespace, "web-0") == "2")
            assert rule.applied == 3
            assert operator.log.count(f"watch {crd.kind} in all namespaces: ") == 1
            assert operator.log.count("watching again") == 1


@pytest.mark.timeout(200)
def test_changes_are_found_through_a_proxy_that_ends_each_watch_at_once(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        rule = chaos.add(breaks.Finish(at=0), query="watch=true", path=f"/{crd.plural}")
        with operators.Operator(made, chaos.kubeconfig) as operator:
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "1", timeout=40)
            operator.says("the API server ended the stream at once", timeout=40)
            api.patch(crd.path(namespace, "web"), {"spec": {"text": "2"}})
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "2", timeout=60)
            assert rule.applied < 30, "it is not hammered"
            assert operator.log.count("the API server ended the stream at once") < 5


@pytest.mark.timeout(300)
def test_a_looked_up_kind_that_comes_back_under_another_plural_is_looked_up_there(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    crd: crds.CustomKind,
    make_crd: MakeCrd,
    namespace: str,
) -> None:
    things = make_crd("Thing")
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata:\n  text: "
    text += f'{{{{ lookup("{things.api_version}", "Thing", "it").spec.text }}}}\n'
    made = operators.project(tmp_path, crd, templates={"config.yaml": text})
    api.create(things.path(namespace), things.manifest("it", spec={"text": "old"}))
    api.create(crd.path(namespace), crd.manifest("web"))
    with operators.Operator(made, control_plane.kubeconfig):
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "old", timeout=30)
        crds.delete(api, things.definition_name)
        crds.wait_gone(api, things)
        definition = crds.definition(things)
        definition["spec"]["names"]["plural"] = "thingies"
        definition["metadata"]["name"] = f"thingies.{things.group}"
        crds.create(api, definition)
        try:
            path = f"/apis/{things.api_version}/namespaces/{namespace}/thingies"
            api.create(path, things.manifest("it", spec={"text": "new"}))
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "new", timeout=40)
        finally:
            crds.delete(api, definition["metadata"]["name"])


@pytest.mark.timeout(200)
def test_a_silent_watch_is_left_for_a_new_one(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    """The connection stays open and nothing comes: only the clock can tell. Applied less than 90 seconds later."""
    plane = control_plane
    made = operators.project(tmp_path, crd)
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        api.create(crd.path(namespace), crd.manifest("web", spec={"text": "0"}))
        chaos.add(breaks.BlackHole(at=6000), query="watch=true", times=1)
        with operators.Operator(made, chaos.kubeconfig):
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "0")
            for number in range(10):  # fills the 6,000 bytes that the proxy lets through
                api.patch(crd.path(namespace, "web"), {"spec": {"filler": f"{number}" * 1000}})
            api.patch(crd.path(namespace, "web"), {"spec": {"text": "1"}})
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "1", timeout=90)


def test_a_refusing_server_is_not_hammered(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    api.create(crd.path(namespace), crd.manifest("web", spec={"text": "1"}))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        with operators.Operator(made, chaos.kubeconfig) as operator:
            waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
            api.patch(crd.path(namespace, "web"), {"spec": {"text": "2"}})
            waiting.wait_until(lambda: operators.is_ready(api.get(crd.path(namespace, "web"))))
            for refusal in (actions.Answer(500), actions.Answer(403), breaks.Eof()):
                with chaos.add(refusal):
                    chaos.close_connections()
                    chaos.reset_log()
                    with pytest.raises(TimeoutError):
                        waiting.wait_until(lambda: len(chaos.requests) > 12, timeout=6)
            api.patch(crd.path(namespace, "web"), {"spec": {"text": "3"}})
            waiting.wait_until(lambda: text_of(api, namespace, "web") == "3", timeout=20)
            assert operator.running


def test_too_many_requests_slow_the_operator_down_and_nothing_is_lost(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    plane = control_plane
    made = operators.project(tmp_path, crd)
    for number in range(20):
        api.create(crd.path(namespace), crd.manifest(f"web-{number}", spec={"text": "1"}))
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as chaos:
        chaos.add(actions.Answer(429, headers={"Retry-After": "1"}), method="PATCH", times=15)
        with operators.Operator(made, chaos.kubeconfig):
            for number in range(20):
                path = crd.path(namespace, f"web-{number}")
                waiting.wait_until(lambda path=path: operators.is_ready(api.get(path)), timeout=40)  # type: ignore[misc]


def test_a_kind_that_is_created_later_or_anew_is_picked_up(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
) -> None:
    made = operators.project(tmp_path, crd)
    definition = crds.definition(crd)
    crds.delete(api, crd.definition_name)
    crds.wait_gone(api, crd)
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        operator.says("apply its CustomResourceDefinition")
        for text in ("first", "second"):
            crds.create(api, definition)
            api.create(crd.path(namespace), crd.manifest(f"web-{text}", spec={"text": text}))
            waiting.wait_until(lambda text=text: text_of(api, namespace, f"web-{text}") == text, timeout=30)  # type: ignore[misc]
            crds.delete(api, crd.definition_name)
            crds.wait_gone(api, crd)
        crds.create(api, definition)
