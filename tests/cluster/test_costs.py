"""What costs must not grow with: requests are counted as the API server gets them, by the proxy between."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core.kube.transport import list_limiter
from tests import operators
from tests.chaos import actions, proxy
from tests.controlplane import crds, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos import records
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

MANY = 12
OBJECT = """\
apiVersion: v1
kind: {kind}
metadata:
  name: {{{{ resource.metadata.name }}}}
  namespace: {{{{ resource.spec.namespace | default(resource.metadata.namespace) }}}}
"""
HELD = OBJECT.format(kind="ConfigMap") + "  finalizers: [example.com/hold]\n"
LOOKUP = (
    OBJECT.format(kind="ConfigMap")
    + """\
data:
  text: {{ lookup("API_VERSION", "Db", "db").spec.text }}
"""
)
SECRETS = "/api/v1/secrets"


@pytest.fixture
def chaos(tmp_path: Path, control_plane: cluster.ControlPlane) -> Iterator[proxy.ChaosProxy]:
    plane = control_plane
    with proxy.ChaosProxy(plane.url, token=plane.token, ca_file=plane.ca_file, folder=tmp_path) as made:
        yield made


class World:
    """Some resources, and what the operator sends for them."""

    def __init__(self, chaos: proxy.ChaosProxy, api: apis.Api, crd: crds.CustomKind, namespace: str) -> None:
        self.chaos, self.api, self.crd, self.namespace = chaos, api, crd, namespace
        self.names = [f"web-{number}" for number in range(MANY)]

    def create(self, **spec: Any) -> None:
        for name in self.names:
            self.api.create(self.crd.path(self.namespace), self.crd.manifest(name, spec=spec))

    def resources(self) -> list[Any]:
        found: list[Any] = self.api.list(self.crd.path(self.namespace))
        return found

    def ready(self) -> bool:
        return len(self.resources()) == MANY and all(map(operators.is_ready, self.resources()))

    def reasons(self) -> set[str]:
        return {operators.condition(item).get("reason", "") for item in self.resources()}

    def messages(self) -> list[str]:
        return [operators.condition(item).get("message", "") for item in self.resources()]

    def objects(self, plural: str) -> int:
        found = self.api.list(f"/api/v1/namespaces/{self.namespace}/{plural}")
        return sum(item["metadata"]["name"] in self.names for item in found)

    def sent(self, path: str, *, watch: bool | None = None) -> list[records.Record]:
        """The requests for a path: watches, or what is none."""
        found = [one for one in self.chaos.requests if one.path == path]
        return [one for one in found if watch is None or ("watch=true" in one.query) is watch]


@pytest.fixture
def world(chaos: proxy.ChaosProxy, api: apis.Api, crd: crds.CustomKind, namespace: str) -> World:
    return World(chaos, api, crd, namespace)


def test_objects_of_a_missing_namespace_cost_no_discovery(tmp_path: Path, world: World) -> None:
    made = operators.project(tmp_path, world.crd, templates={"a.yaml": OBJECT.format(kind="ConfigMap")})
    world.create(namespace="nowhere")
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: world.reasons() == {"ApplyFailed"}, timeout=30)
        assert all("nowhere" in operators.condition(item)["message"] for item in world.resources())
        assert len(world.sent("/apis")) == 1


@pytest.mark.parametrize("watchable", [True, False], ids=["watched", "no right to watch"])
def test_a_kind_that_left_the_templates_is_watched_once_for_all(watchable: bool, tmp_path: Path, world: World) -> None:
    both = {f"{kind}.yaml": OBJECT.format(kind=kind) for kind in ("ConfigMap", "Secret")}
    limits = {"server-side": {"prune": {"controllerShare": 1}}}
    made = operators.project(tmp_path, world.crd, templates=both, apply=limits)
    world.create()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(world.ready, timeout=30)
    assert world.objects("secrets") == MANY
    (made.folder / "templates" / "Secret.yaml").unlink()
    world.chaos.reset_log()
    if not watchable:
        world.chaos.add(actions.Answer(403), path=SECRETS, query="watch=true")
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: not world.objects("secrets"), timeout=30)
        waiting.wait_until(world.ready, timeout=30)
        lists, watches = world.sent(SECRETS, watch=False), world.sent(SECRETS, watch=True)
    assert len(lists) == (0 if watchable else MANY)
    assert len(watches) == 1 if watchable else len(watches) < MANY


def test_deletions_that_wait_cost_nothing_and_end_when_the_last_object_goes(tmp_path: Path, world: World) -> None:
    apply = {"server-side": {"finalizer": "always"}}
    made = operators.project(tmp_path, world.crd, templates={"a.yaml": HELD}, apply=apply)
    world.create()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(world.ready, timeout=30)
        for item in world.resources():
            world.api.delete(world.crd.path(world.namespace, item["metadata"]["name"]))
        waiting.wait_until(lambda: world.reasons() == {"Deleting"}, timeout=30)
        time.sleep(5)
        world.chaos.reset_log()
        time.sleep(10)
        asked = [one for one in world.chaos.requests if "watch=true" not in one.query and "/leases/" not in one.path]
        assert [(one.method, one.path) for one in asked] == []
        for name in world.names:
            release(world, name)
            path = world.crd.path(world.namespace, name)
            waiting.wait_until(lambda path=path: not world.api.exists(path), timeout=15)  # type: ignore[misc]


def test_a_deletion_that_a_restart_found_ends_when_the_last_object_goes(tmp_path: Path, world: World) -> None:
    apply = {"server-side": {"finalizer": "always"}}
    made = operators.project(tmp_path, world.crd, templates={"a.yaml": HELD}, apply=apply)
    world.create()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(world.ready, timeout=30)
    for item in world.resources():
        world.api.delete(world.crd.path(world.namespace, item["metadata"]["name"]))
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: world.reasons() == {"Deleting"}, timeout=30)
        time.sleep(10)
        for name in world.names:
            release(world, name)
            path = world.crd.path(world.namespace, name)
            waiting.wait_until(lambda path=path: not world.api.exists(path), timeout=15)  # type: ignore[misc]


def test_a_run_once_prunes_when_all_have_been_looked_at(tmp_path: Path, world: World) -> None:
    world.names = world.names[:5]
    two = {name: OBJECT.format(kind=kind) for name, kind in (("a.yaml", "ConfigMap"), ("b.yaml", "Secret"))}
    made = operators.project(tmp_path, world.crd, templates=two)
    world.create()
    once = ("run", "--once", "-c", str(made.config), f"--kubeconfig={world.chaos.kubeconfig}")
    assert operators.lostromos(*once).returncode == 0
    assert world.objects("secrets") == 5
    made.template("b.yaml", "{# nothing #}\n")
    assert operators.lostromos(*once).returncode == 0
    assert world.objects("secrets") == 0


def test_a_kind_that_many_look_up_is_looked_for_once_and_all_are_told_when_it_is_there(
    tmp_path: Path, world: World
) -> None:
    kind = crds.CustomKind(group=f"t{secrets.token_hex(4)}.example.com", kind="Db")
    lookup = LOOKUP.replace("API_VERSION", f"{kind.group}/{kind.version}")
    made = operators.project(tmp_path, world.crd, templates={"a.yaml": lookup})
    world.create()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: world.reasons() == {"Waiting"}, timeout=30)
        world.chaos.reset_log()
        time.sleep(12)
        assert 1 <= len(world.sent("/apis")) <= 3
        crds.create(world.api, crds.definition(kind))
        world.api.create(kind.path(world.namespace), kind.manifest("db", spec={"text": "found"}))
        try:
            waiting.wait_until(world.ready, timeout=30)
        finally:
            crds.delete_all(world.api, kind)
    assert world.objects("configmaps") == MANY


def test_looking_around_that_fails_is_told_and_tried_again_ever_later(tmp_path: Path, world: World) -> None:
    made = operators.project(tmp_path, world.crd, watch={"namespaces": [world.namespace]})
    world.create()
    everywhere = f"/apis/{world.crd.group}/{world.crd.version}/{world.crd.plural}$"
    with world.chaos.add(actions.Answer(500), path=everywhere), operators.Operator(made, world.chaos.kubeconfig) as one:
        waiting.wait_until(world.ready, timeout=30)
        one.says("a check failed; it will be retried")
        time.sleep(10)
        assert 3 <= len(world.sent(everywhere.rstrip("$"))) <= 7
        assert one.log.count("a check failed; it will be retried") == 1


def test_watches_are_not_opened_all_at_once(tmp_path: Path, world: World) -> None:
    spaces = [f"{world.namespace}-{number}" for number in range(3 * list_limiter.AT_ONCE)]
    made = operators.project(tmp_path, world.crd, watch={"namespaces": spaces})
    initial = "sendInitialEvents"
    with world.chaos.add(actions.Delay(1.0), query=initial), operators.Operator(made, world.chaos.kubeconfig) as one:
        one.says("all resources are known", timeout=30)
    times = [record.time for record in world.chaos.requests if initial in record.query]
    assert len(times) == len(spaces)
    assert all(later - now > 0.9 for now, later in zip(times, times[list_limiter.AT_ONCE :], strict=False))


def test_a_watch_that_is_slow_to_begin_keeps_no_other_waiting(tmp_path: Path, world: World) -> None:
    spaces = [f"{world.namespace}-{number}" for number in range(list_limiter.AT_ONCE + 1)]
    made = operators.project(tmp_path, world.crd, watch={"namespaces": [*spaces, world.namespace]})
    world.create()
    with world.chaos.add(actions.Delay(60.0), path=f"{world.namespace}-"):
        with operators.Operator(made, world.chaos.kubeconfig):
            waiting.wait_until(world.ready, timeout=30)


def release(world: World, name: str) -> None:
    world.api.patch(f"/api/v1/namespaces/{world.namespace}/configmaps/{name}", {"metadata": {"finalizers": None}})


def test_a_template_that_dooms_an_object_of_each_deletes_none_though_some_cannot_be_looked_at(
    tmp_path: Path, world: World
) -> None:
    two = {name: OBJECT.format(kind=kind) for name, kind in (("a.yaml", "ConfigMap"), ("b.yaml", "Secret"))}
    made = operators.project(tmp_path, world.crd, templates=two)
    world.create()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(world.ready, timeout=30)
    note = {"metadata": {"annotations": {"lostromos.dev/pause": "true"}}}
    world.api.patch(world.crd.path(world.namespace, world.names[0]), note)
    made.template("b.yaml", "{# nothing #}\n")
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: world.reasons() == {"Waiting", "Paused"}, timeout=30)
        waiting.wait_until(lambda: not any("have been looked at" in one for one in world.messages()))
        assert sum("makes 11 of 2" in one for one in world.messages()) == MANY - 1
        assert world.objects("secrets") == MANY


def test_what_is_within_the_limits_goes_when_all_were_looked_at_also_with_one_that_is_paused(
    tmp_path: Path, world: World
) -> None:
    world.names = world.names[:8]
    two = {name: OBJECT.format(kind=kind) for name, kind in (("a.yaml", "ConfigMap"), ("b.yaml", "Secret"))}
    made = operators.project(tmp_path, world.crd, templates=two)
    world.create()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: all(map(operators.is_ready, world.resources())), timeout=30)
    note = {"metadata": {"annotations": {"lostromos.dev/pause": "true"}}}
    world.api.patch(world.crd.path(world.namespace, world.names[0]), note)
    made.template("b.yaml", "{# nothing #}\n")
    started = time.monotonic()
    with operators.Operator(made, world.chaos.kubeconfig):
        waiting.wait_until(lambda: world.objects("secrets") == 1, timeout=60)
        assert time.monotonic() - started < 50, "it is not a clock that decides"
        waiting.wait_until(lambda: world.reasons() == {"Applied", "Paused"})
