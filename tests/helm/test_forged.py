"""Who may write Secrets, and nothing else: what he writes into those of releases does not steer the operator."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from lostromos_core import interfaces
from lostromos_core.kube import labels
from lostromos_helm.release import storage
from tests.controlplane import waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helm.conftest import World

PRECIOUS = "precious"
HOOK = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-backup
  annotations: {helm.sh/hook: pre-delete, helm.sh/hook-delete-policy: before-hook-creation}
"""


def wait(condition: Callable[[], object], timeout: float = 30) -> None:
    waiting.wait_until(condition, timeout=timeout)


def secret_path(world: World, number: int = 1, release: str = "app-web") -> str:
    return f"/api/v1/namespaces/{world.namespace}/secrets/sh.helm.release.v1.{release}.v{number}"


def load(world: World, number: int = 1) -> tuple[Any, dict[str, Any]]:
    secret = world.api.get(secret_path(world, number))
    return secret, dict(storage.decode(secret["data"]["release"]))


def edit(world: World, change: Callable[[dict[str, Any]], None], number: int = 1) -> None:
    """Change what a release's Secret holds, as whoever may write Secrets can."""
    _, release = load(world, number)
    change(release)
    world.api.patch(secret_path(world, number), {"data": {"release": storage.encode(release)}})


def config_map(namespace: str, name: str = PRECIOUS, text: str = "evil") -> str:
    return f"---\n# Source: app/templates/evil.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{text: {text}}}\n"


def hook(namespace: str) -> dict[str, Any]:
    """A hook of somebody's own, that runs when the release is deleted."""
    return {
        "name": "evil-hook", "kind": "ConfigMap", "path": "app/templates/hook.yaml", "manifest": config_map(namespace, "evil-hook"),
        "events": ["pre-delete"], "last_run": {}, "weight": 0, "delete_policies": ["before-hook-creation"],
    }  # fmt: skip


@pytest.fixture
def other(world: World) -> Any:
    """Somebody else's namespace, with something in it."""
    name = f"{world.namespace}-other"
    world.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    world.api.create(
        f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": PRECIOUS}, "data": {"text": "theirs"}}
    )
    yield name
    world.api.delete(f"/api/v1/namespaces/{name}")


def maps(world: World, namespace: str) -> dict[str, Any]:
    items = world.api.list(f"/api/v1/namespaces/{namespace}/configmaps")
    return {one["metadata"]["name"]: one.get("data") for one in items if one["metadata"]["name"] != waiting.ROOT_CA}


UNTOUCHED = {PRECIOUS: {"text": "theirs"}}


def forge(world: World, namespace: str, name: str = "anything", *, kind: str = storage.TYPE) -> None:
    """Write a release into a namespace that says it belongs to the resource ``web``."""
    ref = interfaces.ObjectRef(world.crd.api_version, world.crd.kind, world.namespace, "web")
    release = {
        "name": name, "namespace": namespace, "version": 1, "info": {"status": "deployed"}, "chart": {"metadata": {"name": "app", "version": "1.0.0"}},
        "config": {}, "manifest": config_map(namespace), "hooks": [hook(namespace)],
    }  # fmt: skip
    own = {
        "owner": "helm", "name": name, "status": "deployed", "version": "1", storage.CONTROLLER: "app", storage.OWNER: labels.set_id(ref),
        storage.INPUT: "0" * 40, storage.REVISION: "1", storage.NAMESPACE: world.namespace, storage.NAME: "web", storage.KIND: f"{world.crd.kind}.{world.crd.group}",
        storage.SEAL: "0" * 40,
    }  # fmt: skip
    metadata = {"name": f"sh.helm.release.v1.{name}.v1", "labels": own}
    world.api.create(
        f"/api/v1/namespaces/{namespace}/secrets",
        {"metadata": metadata, "type": kind, "data": {"release": storage.encode(release)}},
    )


def test_a_release_that_only_says_it_is_a_resources_is_left_alone(world: World, other: str) -> None:
    with world.operator() as operator:
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        forge(world, other)
        operator.says("without proof; it is left alone")
        world.update("web", text="two")
        wait(lambda: world.release("web").get("revision") == 2)
        hints = world.resource("web")["metadata"]["annotations"].get("applyset.kubernetes.io/additional-namespaces", "")
        assert other not in hints
        world.api.delete(world.path("web"))
        wait(lambda: not world.api.exists(world.path("web")))
        assert world.data("app-web") is None
        assert world.calls("uninstall anything") == []
        assert maps(world, other) == UNTOUCHED
        assert world.api.exists(f"/api/v1/namespaces/{other}/secrets/sh.helm.release.v1.anything.v1")


def test_a_release_at_the_resources_own_place_takes_nothing_of_others_with_it(world: World, other: str) -> None:
    """The resource is gone, and somebody writes the release that it would have had."""
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        edit(
            world, lambda release: release.update(manifest=release["manifest"] + config_map(other), hooks=[hook(other)])
        )
        world.api.delete(world.path("web"))
        wait(lambda: not world.api.exists(world.path("web")))
        assert world.data("app-web") is None
        assert maps(world, other) == UNTOUCHED
        assert world.calls("uninstall") == []
        assert world.revisions("app-web") == []


def test_what_somebody_writes_into_a_release_is_neither_made_nor_repaired(world: World, other: str) -> None:
    operator = world.operator()
    with operator:
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
    about = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole"
    role = f"---\n{about}\nmetadata: {{name: {world.namespace}-evil}}\nrules: []\n"

    def change(release: dict[str, Any]) -> None:
        release["manifest"] = (
            release["manifest"].replace("one", "evil")
            + config_map(other)
            + config_map(other, "new")
            + config_map(world.namespace, "near")
            + role
        )

    edit(world, change)
    world.api.patch(f"{world.path('web')}/status", {"status": {"resources": None}})
    with operator:
        operator.says("all resources are known", times=2)
        world.api.patch(world.map_path("app-web"), {"data": {"text": "theirs"}})
        # What the chart makes is put back by an upgrade; Helm would delete what the Secret names besides.
        wait(
            lambda: "does not belong to the release" in world.message("web") or world.data("app-web") == {"text": "one"}
        )
        time.sleep(2)
        assert maps(world, other) == UNTOUCHED
        assert world.data("near") is None
        assert not world.api.exists(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{world.namespace}-evil")
        assert world.data("app-web") != {"text": "evil"}
        assert PRECIOUS in world.message("web")


def test_an_upgrade_deletes_nothing_that_somebody_wrote_into_the_release(world: World, other: str) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        edit(world, lambda release: release.update(manifest=release["manifest"] + config_map(other)))
        world.update("web", text="two")
        wait(lambda: "does not belong to the release" in world.message("web"))
        assert f"{other}/{PRECIOUS}" in world.message("web")
        assert maps(world, other) == UNTOUCHED
        # The way out that does not need the operator's help: the release is made anew.
        world.api.delete(secret_path(world))
        world.api.delete(world.map_path("app-web"))
        wait(lambda: world.data("app-web") == {"text": "two"}, timeout=60)


@pytest.mark.parametrize("how", ["upgrade", "uninstall"])
def test_an_old_revision_that_says_that_it_is_the_newest_is_not_believed(world: World, other: str, how: str) -> None:
    """Helm goes by what the Secrets hold, and not by their names."""
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        world.update("web", text="two")
        wait(lambda: world.release("web").get("revision") == 2)

        def change(release: dict[str, Any]) -> None:
            manifest = release["manifest"] + config_map(other)
            release.update(
                version=99, manifest=manifest, hooks=[hook(other)], info={**release["info"], "status": "deployed"}
            )

        edit(world, change)
        if how == "upgrade":
            world.update("web", text="three")
            wait(lambda: "app-web.v1 does not hold the release that it is named after" in world.message("web"))
            assert len(world.calls("upgrade")) == 1
        else:
            world.api.delete(world.path("web"))
            wait(lambda: not world.api.exists(world.path("web")))
            assert world.calls("uninstall") == []
            assert (world.data("app-web"), world.revisions("app-web")) == (None, [])
        assert maps(world, other) == UNTOUCHED


@pytest.mark.parametrize("manifest", ["---\nx: !!int [\n", "---\na: b\n", "# long\n" * 700_000])
def test_an_upgrade_believes_no_manifest_that_we_cannot_read(world: World, other: str, manifest: str) -> None:
    """Helm may read it all the same, or another part of it."""
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        edit(world, lambda release: release.update(manifest=release["manifest"] + manifest + config_map(other)))
        world.update("web", text="two")
        wait(lambda: "cannot be read, and it is not proven that Helm wrote it for us" in world.message("web"))
        assert world.calls("upgrade") == []
        assert maps(world, other) == UNTOUCHED


def test_a_secret_that_helm_would_read_and_did_not_make_is_named(world: World, other: str) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        secret, release = load(world)
        release |= {"version": 9, "manifest": config_map(other), "hooks": [hook(other)]}
        labels = {"owner": "helm", "name": "app-web", "version": "9", "status": "deployed"}
        body = {
            "metadata": {"name": "whatever", "labels": labels},
            "type": secret["type"],
            "data": {"release": storage.encode(release)},
        }
        world.api.create(f"/api/v1/namespaces/{world.namespace}/secrets", body)
        world.update("web", text="two")
        wait(lambda: "/whatever has the labels of the release app-web" in world.message("web"))
        assert world.calls("upgrade") == []
        world.api.delete(world.path("web"))
        wait(lambda: not world.api.exists(world.path("web")))
        assert maps(world, other) == UNTOUCHED
        assert world.calls("uninstall") == []
        assert world.data("app-web") is None


def with_hook(world: World) -> Any:
    operator = world.operator()
    (world.chart / "templates" / "hook.yaml").write_text(HOOK)
    return operator


@pytest.mark.parametrize("restart", [False, True])
def test_the_charts_own_delete_hooks_run(world: World, *, restart: bool) -> None:
    operator = with_hook(world)
    with operator:
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
        world.update("web", text="two")
        wait(lambda: world.release("web").get("revision") == 2)
        if not restart:
            world.api.delete(world.path("web"))
            wait(lambda: not world.api.exists(world.path("web")))
    if restart:
        with operator:
            operator.says("all resources are known", times=2)
            world.api.delete(world.path("web"))
            wait(lambda: not world.api.exists(world.path("web")))
    assert world.data("app-web-backup") == {}
    assert world.data("app-web") is None


def make_as_version_0_1(world: World, number: int = 1) -> None:
    """Take away what that version did not write."""
    world.api.patch(secret_path(world, number), {"metadata": {"labels": dict.fromkeys((storage.SEAL, storage.HOLDER))}})


def test_releases_of_version_0_1_go_on_without_being_made_again(world: World) -> None:
    operator = with_hook(world)
    with operator:
        for name in ("web", "two", "three"):
            world.create(name, text="one", extra=["a"])
        wait(lambda: all(world.is_ready(name) for name in ("web", "two", "three")))
    for release in ("app-web", "app-two", "app-three"):
        path = secret_path(world, release=release)
        world.api.patch(path, {"metadata": {"labels": dict.fromkeys((storage.SEAL, storage.HOLDER))}})
    before = {
        one["metadata"]["name"]: one["metadata"]["resourceVersion"]
        for one in world.api.list(f"/api/v1/namespaces/{world.namespace}/secrets")
    }
    calls = world.calls()
    with operator:
        operator.says("all resources are known", times=2)
        time.sleep(3)
        after = {
            one["metadata"]["name"]: one["metadata"]["resourceVersion"]
            for one in world.api.list(f"/api/v1/namespaces/{world.namespace}/secrets")
        }
        assert (after, world.calls()) == (before, calls)
        # An upgrade seals it, drift is put back by one, and a deletion leaves nothing behind.
        world.update("web", text="two", extra=[])
        wait(lambda: (world.data("app-web"), world.data("app-web-a")) == ({"text": "two"}, None))
        wait(lambda: world.api.get(secret_path(world, 2))["metadata"]["labels"].get(storage.SEAL))
        world.api.delete(world.map_path("app-two-a"))
        wait(lambda: world.data("app-two-a") == {"text": "one"})
        wait(lambda: world.revisions("app-two") == [(1, "superseded"), (2, "deployed")])
        world.api.delete(world.path("three"))
        wait(lambda: not world.api.exists(world.path("three")))
        assert (world.data("app-three"), world.data("app-three-a"), world.revisions("app-three")) == (None, None, [])
        assert world.data("app-three-backup") is None
        operator.says("the delete hooks of a release are not run")


def test_a_release_of_version_0_1_that_gets_another_name_moves(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
    make_as_version_0_1(world)
    with world.operator(prefix="new"):
        wait(lambda: world.data("new-web") == {"text": "one"})
        wait(lambda: world.data("app-web") is None)
        wait(lambda: [one["name"] for one in world.by_hand("list", "--output=json")] == ["new-web"])


@pytest.mark.parametrize("adopt", [False, True])
def test_somebodys_object_of_the_same_name_is_not_taken_over(world: World, *, adopt: bool) -> None:
    with world.operator(adopt=adopt):
        world.create("web", text="one", extra=["a"])
        wait(lambda: world.is_ready("web"))
        uid = world.api.get(world.map_path("app-web-a"))["metadata"]["uid"]
        world.api.patch(
            world.map_path("app-web-a"),
            {"metadata": {"annotations": {"meta.helm.sh/release-name": "another"}}, "data": {"text": "theirs"}},
        )
        if adopt:
            wait(lambda: world.data("app-web-a") == {"text": "one"})
        else:
            wait(lambda: "app-web-a" in world.message("web"))
            assert "belongs to the release another" in world.message("web")
            assert world.data("app-web-a") == {"text": "theirs"}
        assert world.api.get(world.map_path("app-web-a"))["metadata"]["uid"] == uid


def test_somebodys_object_in_the_place_of_one_that_is_gone_is_not_taken_over(world: World) -> None:
    operator = world.operator()
    with operator:
        world.create("web", text="one", extra=["a"])
        wait(lambda: world.is_ready("web"))
    world.api.delete(world.map_path("app-web-a"))
    world.api.create(world.map_path("").rstrip("/"), {"metadata": {"name": "app-web-a"}, "data": {"text": "theirs"}})
    with operator:
        wait(lambda: "app-web-a exists and does not belong to the release" in world.message("web"))
        assert world.data("app-web-a") == {"text": "theirs"}
        world.update("web", text="two")  # Helm itself would not ask whose it is
        wait(lambda: "revision 1 is still in use" in world.message("web"))
        assert "app-web-a exists and does not belong to the release" in world.message("web")
        assert world.data("app-web-a") == {"text": "theirs"}
        world.api.delete(world.map_path("app-web-a"))
        wait(lambda: world.data("app-web-a") == {"text": "two"}, timeout=90)


def test_why_an_uninstall_fails_is_said_with_the_object(world: World) -> None:
    policy = {
        "metadata": {"name": f"{world.namespace}-keep"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            },
            "validations": [
                {
                    "expression": "oldObject.metadata.name != 'app-web'",
                    "message": "app-web is dear to us, hunter2-s3cret",
                }
            ],
        },
    }
    base = "/apis/admissionregistration.k8s.io/v1"
    world.api.create(f"{base}/validatingadmissionpolicies", policy)
    binding = {
        "metadata": policy["metadata"],
        "spec": {"policyName": f"{world.namespace}-keep", "validationActions": ["Deny"]},
    }
    world.api.create(f"{base}/validatingadmissionpolicybindings", binding)
    (world.folder / "values").mkdir()
    (world.folder / "values" / "values.yaml").write_text('text: one\nsecret: "{{ vars.password }}"\n')
    try:
        with world.operator(
            render={"values": {"template": "values/values.yaml"}}, top={"vars": {"password": "hunter2-s3cret"}}
        ) as operator:
            world.create("web")
            wait(lambda: world.is_ready("web"))
            time.sleep(3)  # policies are not in force at once
            world.api.delete(world.path("web"))
            wait(lambda: "app-web is dear to us, ***" in world.message("web"), timeout=60)
            assert "hunter2" not in json.dumps(world.resource("web"))
            world.api.delete(f"{base}/validatingadmissionpolicybindings/{world.namespace}-keep")
            wait(lambda: not world.api.exists(world.path("web")), timeout=90)
            assert "hunter2" not in operator.log
    finally:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            if world.api.exists(f"{base}/{kind}/{world.namespace}-keep"):
                world.api.delete(f"{base}/{kind}/{world.namespace}-keep")


def test_the_key_is_no_text_that_others_can_read(world: World) -> None:
    with world.operator():
        world.create("web", text="one")
        wait(lambda: world.is_ready("web"))
    key = world.folder / "cache" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32
    labels = load(world)[0]["metadata"]["labels"]
    assert len(labels[storage.SEAL]) == 40
    assert base64.b64encode(key.read_bytes()).decode() not in labels.values()
