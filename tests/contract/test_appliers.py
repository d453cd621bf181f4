"""What every applier promises, the real ones and the fake: the state of the world is looked at, not the calls."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any, Protocol

import pytest

import lostromos_kubectl
from lostromos_core import interfaces
from lostromos_core.kube import cluster as clusters
from lostromos_core.kube.transport import client
from tests import fakes
from tests.controlplane import binaries
from tests.controlplane import errors as api_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from tests.controlplane import api as apis
    from tests.controlplane import cluster, crds

Action = interfaces.Action


class Target(Protocol):
    """A place to apply to, and a way to look at it from outside. ``whole``: all objects together, or none."""

    whole: bool

    def applier(self, *, dry_run: bool = False, **options: Any) -> Any: ...
    def owner(self, name: str) -> interfaces.Resource: ...
    def fresh(self, owner: interfaces.Resource) -> interfaces.Resource: ...
    def data(self, name: str) -> dict[str, str] | None: ...
    def make_foreign(self, name: str, data: dict[str, str]) -> None: ...


class FakeTarget:
    whole = False

    def __init__(self) -> None:
        self.shared = fakes.FakeApplier()

    @contextlib.asynccontextmanager
    async def applier(self, *, dry_run: bool = False, **_: Any) -> AsyncIterator[fakes.FakeApplier]:
        made = fakes.FakeApplier(dry_run=dry_run)
        made.world = self.shared.world
        yield made

    def owner(self, name: str) -> interfaces.Resource:
        return fakes.resource(name)

    def fresh(self, owner: interfaces.Resource) -> interfaces.Resource:
        return owner

    def data(self, name: str) -> dict[str, str] | None:
        found = self.shared.world.get(name)
        return dict(found[1]["data"]) if found else None

    def make_foreign(self, name: str, data: dict[str, str]) -> None:
        self.shared.world[name] = ("", {"metadata": {}, "data": data})


class ClusterTarget:
    whole = False

    def __init__(
        self, kind: str, plane: cluster.ControlPlane, api: apis.Api, crd: crds.CustomKind, namespace: str
    ) -> None:
        self.kind, self.plane, self.api, self.crd, self.namespace = kind, plane, api, crd, namespace

    @contextlib.asynccontextmanager
    async def applier(
        self,
        *,
        dry_run: bool = False,
        enqueue: Callable[[str], None] = lambda _: None,
        controller: str = "contract",
        namespaces: Sequence[str] = (),
        kubeconfig: Path | None = None,
        operator: str = "",
        **options: Any,
    ) -> AsyncIterator[interfaces.Applier]:
        classes = {"server-side": lostromos_kubectl.ServerSideApplier, "kubectl": lostromos_kubectl.KubectlApplier}
        made = classes[self.kind](**({"finalizer": "always"} | options))
        async with clusters.Cluster(client.Client(str(kubeconfig or self.plane.kubeconfig), dry_run=dry_run)) as kube:
            await made.start(interfaces.Runtime(controller, kube, enqueue, namespaces, operator=operator))
            yield made

    def owner(self, name: str) -> interfaces.Resource:
        self.api.create(self.crd.path(self.namespace), self.crd.manifest(name))
        return self._read(name)

    def fresh(self, owner: interfaces.Resource) -> interfaces.Resource:
        return self._read(owner.ref.name)

    def path(self, name: str, plural: str = "configmaps", prefix: str = "/api/v1") -> str:
        return f"{prefix}/namespaces/{self.namespace}/{plural}/{name}"

    def data(self, name: str) -> dict[str, str] | None:
        try:
            found: dict[str, str] = self.api.get(self.path(name)).get("data", {})
        except api_errors.ApiError as error:
            if error.status != 404:
                raise
            return None
        return found

    def make_foreign(self, name: str, data: dict[str, str]) -> None:
        body = {"metadata": {"name": name}, "data": data}
        self.api.create(f"/api/v1/namespaces/{self.namespace}/configmaps", body)

    def _read(self, name: str) -> interfaces.Resource:
        item = self.api.get(self.crd.path(self.namespace, name))
        ref = interfaces.ObjectRef(self.crd.api_version, self.crd.kind, self.namespace, name)
        return interfaces.Resource(f"{self.namespace}/{name}", ref, item["metadata"]["uid"], item)


@pytest.fixture(params=["fake", "server-side", "kubectl", "helm-3", "helm-4"])
def target(request: pytest.FixtureRequest) -> Target:
    from tests.helm import targets  # noqa: PLC0415 - it is made of what stands here

    if request.param == "fake":
        return FakeTarget()
    get = request.getfixturevalue
    if request.param.startswith("helm"):
        return targets.HelmTarget(
            binaries.helm(request.param), get("control_plane"), get("api"), get("crd"), get("namespace")
        )
    return ClusterTarget(request.param, get("control_plane"), get("api"), get("crd"), get("namespace"))


@pytest.fixture
def name() -> str:
    return f"x{secrets.token_hex(3)}"


async def apply(applier: interfaces.Applier, owner: interfaces.Resource, *items: interfaces.Manifest) -> list[Action]:
    applied = await applier.apply(owner, fakes.manifests(*items))
    return [result.action for result in applied.objects]


async def test_objects_are_created_once_and_left_alone_afterwards(target: Target, name: str) -> None:
    async with target.applier() as applier:
        owner = target.owner(name)
        items = [fakes.config_map(f"{name}-{letter}", {"v": letter}) for letter in "abc"]
        assert await apply(applier, owner, *items) == [Action.CREATED] * 3
        assert [target.data(f"{name}-{letter}") for letter in "abc"] == [{"v": "a"}, {"v": "b"}, {"v": "c"}]
        assert await apply(applier, target.fresh(owner), *items) == [Action.UNCHANGED] * 3


async def test_a_changed_object_is_updated_and_the_others_are_not(target: Target, name: str) -> None:
    async with target.applier() as applier:
        owner = target.owner(name)
        await apply(
            applier,
            owner,
            fakes.config_map(f"{name}-a", {"v": "1", "w": "1"}),
            fakes.config_map(f"{name}-b", {"v": "1"}),
        )
        found = await apply(
            applier,
            target.fresh(owner),
            fakes.config_map(f"{name}-a", {"v": "2"}),
            fakes.config_map(f"{name}-b", {"v": "1"}),
        )
        assert found == [Action.UPDATED, Action.UNCHANGED]
        assert target.data(f"{name}-a") == {"v": "2"}


async def test_what_is_no_longer_rendered_is_pruned_unless_something_failed(target: Target, name: str) -> None:
    a, b = fakes.config_map(f"{name}-a", {"v": "1"}), fakes.config_map(f"{name}-b", {"v": "1"})
    async with target.applier() as applier:
        owner = target.owner(name)
        await apply(applier, owner, a, b)
        found = await apply(applier, target.fresh(owner), fakes.config_map(f"{name}-a", {"bad": ["x"]}))
        assert found == [Action.FAILED]
        assert target.data(f"{name}-b") == {"v": "1"}
        assert await apply(applier, target.fresh(owner), a) == [Action.UNCHANGED, Action.PRUNED]
        assert target.data(f"{name}-b") is None
        assert await apply(applier, target.fresh(owner), a) == [Action.UNCHANGED]


async def test_another_process_goes_on_where_one_ended(target: Target, name: str) -> None:
    owner = target.owner(name)
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map(name, {"v": "1"}))
    async with target.applier() as applier:
        assert await apply(applier, target.fresh(owner), fakes.config_map(name, {"v": "1"})) == [Action.UNCHANGED]
        assert await apply(applier, target.fresh(owner), fakes.config_map(name, {"v": "2"})) == [Action.UPDATED]
        assert target.data(name) == {"v": "2"}


async def test_deleting_removes_all_that_was_applied_and_nothing_else(target: Target, name: str) -> None:
    owner, other = target.owner(name), target.owner(f"{name}-other")
    target.make_foreign(f"{name}-foreign", {"v": "theirs"})
    async with target.applier() as applier:
        await apply(applier, owner, fakes.config_map(f"{name}-a", {}), fakes.config_map(f"{name}-b", {}))
        await apply(applier, other, fakes.config_map(f"{name}-c", {"v": "other"}))
    async with target.applier() as applier:
        for _ in range(50):
            gone = await applier.delete(owner.key, target.fresh(owner))
            if not gone.remaining:
                break
            await asyncio.sleep(0.05)
    assert target.data(f"{name}-a") is None
    assert target.data(f"{name}-b") is None
    assert target.data(f"{name}-c") == {"v": "other"}
    assert target.data(f"{name}-foreign") == {"v": "theirs"}


async def test_an_object_that_is_not_ours_is_refused_and_stays_as_it_is(target: Target, name: str) -> None:
    target.make_foreign(f"{name}-a", {"v": "theirs"})
    owner, second = target.owner(name), target.owner(f"{name}-second")
    async with target.applier() as applier:
        found = await applier.apply(
            owner, fakes.manifests(fakes.config_map(f"{name}-a", {"v": "1"}), fakes.config_map(f"{name}-b", {"v": "1"}))
        )
        assert [result.action for result in found.objects] == [Action.FAILED, Action.CREATED][: 2 - target.whole]
        assert "does not belong" in found.objects[0].message
        if target.whole:
            await apply(applier, owner, fakes.config_map(f"{name}-b", {"v": "1"}))
        assert await apply(applier, second, fakes.config_map(f"{name}-b", {"v": "2"})) == [Action.FAILED]
    assert target.data(f"{name}-a") == {"v": "theirs"}
    assert target.data(f"{name}-b") == {"v": "1"}


async def test_an_object_is_adopted_if_the_template_says_so(target: Target, name: str) -> None:
    target.make_foreign(name, {"other": "kept?"})
    async with target.applier(**({"adopt": True} if target.whole else {})) as applier:
        item = fakes.config_map(name, {"v": "1"}, annotations={"lostromos.dev/adopt": "true"})
        # Helm does not tell that it took something over.
        found = await apply(applier, target.owner(name), item)
        assert found == [Action.CREATED if target.whole else Action.UPDATED]
    assert (target.data(name) or {})["v"] == "1"


async def test_one_bad_object_does_not_stop_the_others(target: Target, name: str) -> None:
    bad = fakes.config_map(f"{name}-bad", {"bad": ["no string"]})
    async with target.applier() as applier:
        found = await applier.apply(
            target.owner(name), fakes.manifests(bad, fakes.config_map(f"{name}-good", {"v": "1"}))
        )
    assert "data.bad" in found.objects[0].message
    assert not found.objects[0].retryable
    if target.whole:
        assert [result.action for result in found.objects] == [Action.FAILED]
        return
    assert [result.action for result in found.objects] == [Action.FAILED, Action.CREATED]
    assert target.data(f"{name}-good") == {"v": "1"}


async def test_a_dry_run_changes_nothing_and_finds_errors(target: Target, name: str) -> None:
    owner = target.owner(name)
    async with target.applier(dry_run=True) as applier:
        found = await apply(
            applier, owner, fakes.config_map(f"{name}-a", {"v": "1"}), fakes.config_map(f"{name}-b", {"bad": ["x"]})
        )
        assert found == [Action.CREATED, Action.FAILED]
    assert target.data(f"{name}-a") is None
