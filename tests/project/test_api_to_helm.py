"""The example of an HTTP API whose items become releases: its watcher, and both ways played on a real API server."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
from aiohttp import web

from lostromos_core import errors, interfaces, plugins
from tests import operators
from tests.controlplane import binaries, kubelet, waiting
from tests.project import sites_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from types import ModuleType

    from tests.controlplane import api as apis
    from tests.controlplane import cluster


@pytest.fixture
def sites(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plug-in, as if it were installed."""
    monkeypatch.syspath_prepend(str(sites_api.PLUGIN))
    return importlib.import_module("lostromos_sites")


@pytest.fixture
def store() -> Any:
    """What the example's server keeps."""
    return sites_api.load_server().Sites()


@pytest.fixture
async def api_of_sites(store: Any) -> AsyncIterator[sites_api.Api]:
    """The example's server."""
    async with sites_api.Api(store.application()) as api:
        yield api


def report(**fields: Any) -> interfaces.Report:
    return interfaces.Report(**{"ready": True, "reason": "Applied", "message": "1 object up to date", **fields})


async def test_every_site_is_rung_for_once_and_a_list_that_is_the_same_costs_a_304(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api
) -> None:
    store.items |= {name: {"name": name, "title": name.upper(), "more": 1} for name in ("a", "b")}
    async with sites_api.Watching(sites, api_of_sites.url, interval=7.0).running() as watching:
        assert sorted(watching.rung) == ["a", "b"]
        assert await watching.look() == []
        assert api_of_sites.answers == [("GET", "/sites", 200), ("GET", "/sites", 304)]
        assert (watching.synced_times, set(watching.troubles), watching.pauses) == (2, {""}, [7.0, 7.0])
        found = await watching.watcher.get("a")
        assert found.ref == interfaces.ObjectRef("sites.example.com/v1", "Site", "", "a")
        assert found.data == {"metadata": {"name": "a"}, "spec": {"title": "A", "size": "small"}}
        assert (found.key, found.uid, found.generation, found.unreadable) == ("a", "", 0, "")


async def test_what_is_new_changed_or_gone_is_rung_for(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api
) -> None:
    store.items |= {name: {"name": name, "title": "old"} for name in ("stays", "changes", "goes")}
    async with sites_api.Watching(sites, api_of_sites.url).running() as watching:
        store.items["comes"] = {"name": "comes", "title": "new"}
        store.items["changes"] = {"name": "changes", "title": "new", "size": "large"}
        del store.items["goes"]
        assert await watching.look() == ["changes", "comes", "goes"]
        assert (await watching.watcher.get("changes")).data["spec"] == {"title": "new", "size": "large"}
        assert await watching.watcher.get("goes") is None


async def test_an_api_that_is_down_is_tried_again_later_and_nothing_is_taken_for_gone(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api
) -> None:
    store.items["shop"] = {"name": "shop", "title": "Shop"}
    async with sites_api.Watching(sites, api_of_sites.url, interval=5.0).running() as watching:
        await api_of_sites.stop()
        for _ in range(3):
            assert await watching.look() == []
        assert watching.troubles[-1].startswith(f"GET {api_of_sites.url}/sites: ")
        assert "Cannot connect" in watching.troubles[-1]
        assert all(most / 2 <= found <= most for found, most in zip(watching.pauses[1:], (1.0, 2.0, 4.0), strict=True))
        assert (await watching.watcher.get("shop")).data["spec"]["title"] == "Shop"
        del store.items["shop"]
        await api_of_sites.start()
        assert await watching.look() == ["shop"]
        assert (watching.troubles[-1], watching.pauses[-1]) == ("", 5.0)


async def test_before_the_first_list_nobody_knows_whether_a_site_is_gone(sites: ModuleType) -> None:
    async with (
        sites_api.Api(web.Application()) as nothing_there,
        sites_api.Watching(sites, nothing_there.url).running() as watching,
    ):
        assert watching.troubles == [f"GET {nothing_there.url}/sites: it answers 404"]
        with pytest.raises(errors.LostromosError, match="could not be read yet") as caught:
            await watching.watcher.get("shop")
        assert caught.value.retryable
        assert watching.synced_times == 0


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, "[]", "it answers 500"),
        (302, "[]", "it answers 302"),
        (200, "", "the answer is no JSON"),
        (200, "[" * 200_000, "the answer is no JSON"),
        (200, '{"items": []}', "the answer is no list"),
        (200, f'["{"x" * 17_000_000}"]', "the answer is longer than"),
    ],
    ids=["error", "redirect", "empty", "deep", "mapping", "long"],
)
async def test_an_answer_that_is_no_list_changes_nothing(sites: ModuleType, status: int, body: str, says: str) -> None:
    answers = [(200, '[{"name": "shop", "title": "Shop"}]'), (status, body), (200, "[]")]

    async def answer(_: web.Request) -> web.Response:
        status, text = answers.pop(0)
        return web.Response(status=status, text=text, headers={"Location": "/elsewhere"})

    application = web.Application()
    application.router.add_get("/sites", answer)
    async with sites_api.Api(application) as api, sites_api.Watching(sites, api.url).running() as watching:
        assert await watching.look() == []
        assert says in watching.troubles[-1]
        assert await watching.watcher.get("shop") is not None
        assert await watching.look() == ["shop"]
        assert watching.troubles[-1] == ""


async def test_an_api_that_does_not_answer_in_time_is_in_trouble(sites: ModuleType) -> None:
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    application = web.Application()
    application.router.add_get("/sites", hang)
    async with sites_api.Api(application) as api, sites_api.Watching(sites, api.url, timeout=0.2).running() as watching:
        assert asked.is_set()
        assert watching.troubles == [f"GET {api.url}/sites: no answer within 0.2 seconds"]


@pytest.mark.parametrize(
    ("item", "key", "says"),
    [
        (None, "#1", "item 1 has the name None"),
        ({"title": "Nameless"}, "#1", "item 1 has the name None"),
        ({"name": 7, "title": "x"}, "#1", "item 1 has the name 7"),
        ({"name": "", "title": "x"}, "#1", "item 1 has the name ''"),
        ({"name": "../../secrets", "title": "x"}, "#1", "item 1 has the name '../../secrets'"),
        ({"name": "shop\n", "title": "x"}, "#1", "item 1 has the name"),
        ({"name": "\ud800", "title": "x"}, "#1", "item 1 has the name"),
        ({"name": "x" * 64, "title": "x"}, "#1", "item 1 has the name"),
        ({"name": "shop"}, "shop", "title: Field required"),
        ({"name": "shop", "title": 7}, "shop", "title: Input should be a valid string"),
        ({"name": "shop", "title": "\ud800"}, "shop", "title: Input should be a valid string"),
        ({"name": "shop", "title": "x" * 201}, "shop", "title: String should have at most 200 characters"),
        ({"name": "shop", "title": "x", "size": "huge"}, "shop", "size: Input should be 'small' or 'large'"),
        ({"name": "good", "title": "x"}, "good", "the API lists two sites of this name"),
    ],
)
async def test_an_item_that_is_no_site_says_so_and_stops_no_other(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api, item: Any, key: str, says: str
) -> None:
    store.items = {"1": {"name": "good", "title": "Good"}, "2": item, "3": {"name": "fine", "title": "Fine"}}
    async with sites_api.Watching(sites, api_of_sites.url).running() as watching:
        assert sorted(watching.rung) == sorted({"good", key, "fine"})
        found = await watching.watcher.get(key)
        assert says in found.unreadable
        assert (await watching.watcher.get("fine")).unreadable == ""
        await watching.watcher.report(found, report(ready=False, reason="Unreadable", message=found.unreadable))
        named = [path for _, path, _ in api_of_sites.answers if path != "/sites"]
        assert named == ([] if key == "#1" else [f"/sites/{key}/status"]), "only names that are names are in addresses"


async def test_a_report_is_written_once_and_only_if_it_is_new(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api
) -> None:
    store.items["shop"] = {"name": "shop", "title": "Shop"}
    release = {"name": "site-shop", "revision": 1}
    async with sites_api.Watching(sites, api_of_sites.url).running() as watching:
        shop = await watching.watcher.get("shop")
        for _ in range(2):
            await watching.watcher.report(shop, report(status={"release": release}))
        told = {"ready": True, "reason": "Applied", "message": "1 object up to date", "release": release}
        assert store.statuses == {"shop": told}
        assert [method for method, _, _ in api_of_sites.answers] == ["GET", "GET", "PUT", "GET"]
        assert await watching.look() == [], "what we say is no news"
        await watching.watcher.report(shop, report(ready=False, reason="Waiting", message="m", status=None))
        assert store.statuses["shop"] == {"ready": False, "reason": "Waiting", "message": "m", "release": release}
        await watching.watcher.report(shop, report(status={}))
        assert "release" not in store.statuses["shop"]


async def test_a_report_on_a_site_that_is_gone_is_none_and_one_that_is_refused_is_tried_again(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api
) -> None:
    store.items["shop"] = {"name": "shop", "title": "Shop"}
    async with sites_api.Watching(sites, api_of_sites.url).running() as watching:
        shop = await watching.watcher.get("shop")
        del store.items["shop"]
        await watching.watcher.report(shop, report())
        assert store.statuses == {}
        await api_of_sites.stop()
        with pytest.raises(errors.LostromosError, match=f"GET {api_of_sites.url}/sites/shop/status: ") as caught:
            await watching.watcher.report(shop, report())
        assert caught.value.retryable


async def test_a_watch_that_is_started_again_rings_for_everything(
    sites: ModuleType, store: Any, api_of_sites: sites_api.Api
) -> None:
    store.items["shop"] = {"name": "shop", "title": "Shop"}
    watching = sites_api.Watching(sites, api_of_sites.url)
    async with watching.running():
        assert watching.rung == ["shop"]
    watching.rung.clear()
    async with watching.running():
        assert watching.rung == ["shop"]


def test_pauses_grow_and_end_at_a_minute(sites: ModuleType) -> None:
    module = importlib.import_module(f"{sites.__name__}.watcher")
    for interval, failures, longest in [(10.0, 1, 1.0), (10.0, 4, 8.0), (0.1, 1, 0.1), (10.0, 100, 60.0)]:
        found = [module.pause(interval, failures) for _ in range(50)]
        assert longest / 2 <= min(found) < max(found) <= longest


def test_options_are_strict_and_two_watchers_of_one_api_overlap(sites: ModuleType) -> None:
    backend = plugins.load([("sites", sites)]).backend("watcher", "sites")

    def made(**options: Any) -> Any:
        return backend.build(backend.options(**options))

    assert made(url="http://a/api").overlaps(made(url="http://a/api/"))
    assert not made(url="http://a/api").overlaps(made(url="http://b/api"))
    for wrong in ({"url": "a"}, {"url": "http://me:secret@a"}, {"url": "http://a", "interval": 0}, {"uri": "http://a"}):
        with pytest.raises(pydantic.ValidationError):
            made(**wrong)


def test_the_plug_in_is_found_by_its_entry_point(tmp_path: Path) -> None:
    done = operators.lostromos("plugins", "-o", "json", PYTHONPATH=sites_api.install(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "watcher sites" in done.stdout


@pytest.fixture
def server(tmp_path: Path) -> Iterator[sites_api.Server]:
    with sites_api.Server(tmp_path) as started:
        yield started


@pytest.fixture
def folder(
    control_plane: cluster.ControlPlane, server: sites_api.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The example, with what it needs in the cluster, on PATH, and in the environment."""
    copied = tmp_path / "example"
    shutil.copytree(sites_api.EXAMPLE, copied)
    kubectl = [str(binaries.kubectl()), f"--kubeconfig={control_plane.kubeconfig}"]
    for command in (
        ["apply", "-f", str(copied / "cluster")],
        ["wait", "--for=condition=Established", "crd/sites.example.com"],
    ):
        subprocess.run([*kubectl, *command], capture_output=True, check=True)
    monkeypatch.setenv("PATH", f"{binaries.helm3().parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", sites_api.install(tmp_path))
    monkeypatch.setenv("SITES_URL", server.url)
    return copied


SITES = "/apis/example.com/v1/namespaces/sites/sites"
CONFIG_MAPS = "/api/v1/namespaces/sites/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/sites/deployments"
WRITES_YAML = 'Hi"\n---\nkind: ClusterRoleBinding # {{ .Values }}'


def wait(condition: Any, operator: operators.Operator, server: sites_api.Server) -> None:
    """Wait for a condition; if it does not come, the logs say why."""
    try:
        waiting.wait_until(condition, timeout=60, interval=0.1)
    except TimeoutError as error:
        error.add_note("\n".join([*server.said[-20:], operator.log[-4000:]]))
        raise


def is_nothing_left(api: apis.Api, name: str) -> bool:
    """Whether all that was made for a site is gone, and what was remembered of it."""
    made = [*api.list(CONFIG_MAPS), *api.list("/api/v1/namespaces/sites/secrets"), *api.list(DEPLOYMENTS)]
    names = [item["metadata"]["name"] for item in made]
    remembered = [str(item.get("data")) for item in api.list("/api/v1/namespaces/lostromos/configmaps")]
    return not any(name in text for text in [*names, *remembered]) and not api.exists(f"{SITES}/{name}")


def test_the_long_way_makes_resources_of_sites_and_releases_of_those(
    control_plane: cluster.ControlPlane, api: apis.Api, folder: Path, server: sites_api.Server
) -> None:
    """With nothing but the operator's own rights."""

    def is_ready(revision: int) -> bool:
        kubelet.run_pods(api, "sites")
        return server.is_ready("shop", revision)

    with operators.Operator(operators.Project(folder), control_plane.kubeconfig_of("operator")) as operator:
        server.put("shop", title="The Shop")
        wait(lambda: "0 of 1 replicas" in server.status("shop").get("message", ""), operator, server)
        assert not [line for line in server.said if line.startswith("shop: ready")], "it is ready with its release"
        wait(lambda: is_ready(1), operator, server)
        release = {"name": "site-shop", "namespace": "sites", "revision": 1, "status": "deployed"}
        assert server.status("shop")["release"] == release
        assert operators.is_ready(api.get(f"{SITES}/shop"))

        server.put("shop", title=WRITES_YAML)
        wait(lambda: is_ready(2), operator, server)
        assert api.get(f"{CONFIG_MAPS}/site-shop")["data"] == {"title": WRITES_YAML}
        api.patch(f"{SITES}/shop", {"spec": {"replicas": 2, "title": "mine"}})
        wait(lambda: api.get(f"{SITES}/shop")["spec"]["title"] == WRITES_YAML, operator, server)
        wait(lambda: api.get(f"{DEPLOYMENTS}/site-shop")["spec"]["replicas"] == 2, operator, server)
        assert api.get(f"{SITES}/shop")["spec"]["replicas"] == 2, "what the API does not say belongs to people"

        server.put("broken", title=7)
        wait(lambda: server.status("broken").get("reason") == "Unreadable", operator, server)
        assert not api.exists(f"{SITES}/broken")
        server.delete("shop")
        wait(lambda: is_nothing_left(api, "shop"), operator, server)
    assert "forbidden" not in operator.log
    assert "a bug" not in operator.log


def test_the_short_way_makes_releases_of_sites(
    control_plane: cluster.ControlPlane, api: apis.Api, folder: Path, server: sites_api.Server
) -> None:
    """With nothing but the operator's own rights."""
    operator = operators.Operator(operators.Project(folder), control_plane.kubeconfig_of("operator"))
    operator._command[3] = str(folder / "short.yaml")

    def is_ready(revision: int) -> bool:
        kubelet.run_pods(api, "sites")
        return server.is_ready("blog", revision)

    with operator:
        server.put("blog", title="The Blog", size="large")
        wait(lambda: "0 of 1 replicas" in server.status("blog").get("message", ""), operator, server)
        assert not [line for line in server.said if line.startswith("blog: ready")]
        wait(lambda: is_ready(1), operator, server)
        assert server.status("blog")["release"]["status"] == "deployed"
        assert not api.exists(f"{SITES}/blog")
        deployment = api.get(f"{DEPLOYMENTS}/site-blog")
        assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
        server.put("blog", title="News")
        wait(lambda: is_ready(2), operator, server)
        assert api.get(f"{CONFIG_MAPS}/site-blog")["data"] == {"title": "News"}
        server.delete("blog")
        wait(lambda: is_nothing_left(api, "blog"), operator, server)
    assert "forbidden" not in operator.log
    assert "a bug" not in operator.log
