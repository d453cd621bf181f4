"""What both Kubernetes appliers promise beyond the contract of all appliers."""

from __future__ import annotations

import pytest

from lostromos_core import errors, interfaces
from tests import fakes
from tests.contract import test_appliers
from tests.controlplane import waiting

Action = interfaces.Action


async def test_children_and_parent_carry_the_marks_of_an_apply_set(target: test_appliers.ClusterTarget) -> None:
    async with target.applier() as applier:
        owner = target.owner("web")
        await applier.apply(owner, fakes.manifests(fakes.config_map("web", {"v": "1"})))
    parent = target.api.get(target.crd.path(target.namespace, "web"))["metadata"]
    child = target.api.get(target.path("web"))["metadata"]
    assert child["labels"]["applyset.kubernetes.io/part-of"] == parent["labels"]["applyset.kubernetes.io/id"]
    assert parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap"
    assert parent["annotations"]["applyset.kubernetes.io/tooling"].startswith("lostromos/")
    assert parent["finalizers"] == ["lostromos.dev/cleanup"]
    assert [(ref["uid"], ref["controller"]) for ref in child["ownerReferences"]] == [(owner.uid, True)]
    assert [field["manager"] for field in child["managedFields"]] == ["lostromos/contract"]


async def test_a_field_of_another_manager_is_a_conflict_that_names_it(target: test_appliers.ClusterTarget) -> None:
    async with target.applier() as applier:
        owner = target.owner("web")
        await applier.apply(owner, fakes.manifests(fakes.config_map("web", {"v": "1"})))
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"w": "theirs"}}
        target.api.apply(target.path("web"), body, manager="somebody")
        wanted = fakes.config_map("web", {"v": "2", "w": "ours"})
        found = await applier.apply(target.fresh(owner), fakes.manifests(wanted))
    assert found.objects[0].action is Action.FAILED
    assert "somebody" in found.objects[0].message
    assert "data.w" in found.objects[0].message
    assert not found.objects[0].retryable
    assert target.data("web") == {"v": "1", "w": "theirs"}


async def test_a_field_that_was_ours_is_taken_back_though_the_template_has_changed(
    target: test_appliers.ClusterTarget,
) -> None:
    async with target.applier() as applier:
        owner = target.owner("web")
        await applier.apply(owner, fakes.manifests(fakes.config_map("web", {"v": "1"})))
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"v": "theirs"}}
        target.api.apply(target.path("web"), body, manager="somebody", force=True)
        found = await applier.apply(target.fresh(owner), fakes.manifests(fakes.config_map("web", {"v": "2"})))
    assert found.objects[0].action is Action.UPDATED
    assert target.data("web") == {"v": "2"}


async def test_an_object_that_was_deleted_behind_our_back_is_created_again(target: test_appliers.ClusterTarget) -> None:
    async with target.applier() as applier:
        owner = target.owner("web")
        await applier.apply(owner, fakes.manifests(fakes.config_map("web", {"v": "1"})))
        target.api.delete(target.path("web"))
        assert await test_appliers.apply(applier, target.fresh(owner), fakes.config_map("web", {"v": "2"})) == [
            Action.CREATED
        ]
    assert target.data("web") == {"v": "2"}


async def test_an_owner_that_is_gone_is_not_created_again(target: test_appliers.ClusterTarget) -> None:
    async with target.applier() as applier:
        owner = target.owner("web")
        target.api.delete(target.crd.path(target.namespace, "web"))
        with pytest.raises(errors.ApiError):
            await applier.apply(owner, fakes.manifests(fakes.config_map("web", {"v": "1"})))
    assert not target.api.exists(target.crd.path(target.namespace, "web"))
    assert target.data("web") is None


async def test_a_resource_of_another_controller_is_refused_by_name(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    note = {"metadata": {"annotations": {"lostromos.dev/controller": "elsewhere"}}}
    target.api.patch(target.crd.path(target.namespace, "web"), note)
    async with target.applier() as applier:
        with pytest.raises(errors.RefusedError, match="elsewhere"):
            await applier.apply(target.fresh(owner), fakes.manifests(fakes.config_map("web", {"v": "1"})))


async def test_deletion_waits_for_children_with_finalizers_and_then_lets_the_owner_go(
    target: test_appliers.ClusterTarget,
) -> None:
    where = target.crd.path(target.namespace, "web")
    async with target.applier() as applier:
        owner = target.owner("web")
        await applier.apply(
            owner, fakes.manifests(fakes.config_map("web", {"v": "1"}, finalizers=["example.com/hold"]))
        )
        target.api.delete(where)
        first = await applier.delete(owner.key, target.fresh(owner))
        assert (first.remaining, first.failed) == (1, ())
        assert target.api.exists(where)
        target.api.patch(target.path("web"), {"metadata": {"finalizers": None}})
        waiting.wait_until(lambda: target.data("web") is None)
        assert (await applier.delete(owner.key, target.fresh(owner))).remaining == 0
    waiting.wait_until(lambda: not target.api.exists(where))


async def test_objects_beyond_the_namespace_are_found_and_deleted(target: test_appliers.ClusterTarget) -> None:
    other = f"{target.namespace}-b"
    target.api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    role = interfaces.Manifest(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": other}, "rules": []}
    )
    async with target.applier() as applier:
        owner = target.owner("web")
        found = await applier.apply(owner, fakes.manifests(fakes.config_map("web", {"v": "1"}, other), role))
        assert [result.action for result in found.objects] == [Action.CREATED] * 2
        parent = target.fresh(owner)
        assert parent.metadata["annotations"]["applyset.kubernetes.io/additional-namespaces"] == other
        while (await applier.delete(owner.key, target.fresh(owner))).remaining:
            pass
    assert not target.api.exists(f"/api/v1/namespaces/{other}/configmaps/web")
    assert not target.api.exists(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{other}")
    assert "finalizers" not in target.fresh(owner).metadata
    target.api.delete(f"/api/v1/namespaces/{other}")


@pytest.mark.parametrize(
    ("manifest", "says", "retryable"),
    [
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"prts": 1}}, "spec.prts", False),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 99999}]}}, "spec.ports[0].port", False),
        ({"apiVersion": "v1", "kind": "Nope", "metadata": {"name": "s"}}, "no kind Nope", True),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "namespace": "absent"}}, "absent", True),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "../../kube-system/configmaps/x"}}, "cannot be a name", False),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"v": "x" * 1_600_000}}, "split it", False),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"v": 2**70}}, "JSON", False),
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "s", "namespace": "x"}}, "cluster-scoped", False),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"v": "hunter2 is no base64"}}, "Secret", False),
    ],
)  # fmt: skip
async def test_what_the_api_refuses_is_a_failure_that_says_where(
    target: test_appliers.ClusterTarget, manifest: dict[str, object], says: str, retryable: bool
) -> None:
    async with target.applier() as applier:
        found = await applier.apply(target.owner("web"), fakes.manifests(interfaces.Manifest(manifest)))
    (result,) = found.objects
    assert result.action is Action.FAILED
    assert says in result.message
    assert result.retryable is retryable
    assert "hunter2" not in result.message


async def test_string_data_of_secrets_becomes_data(target: test_appliers.ClusterTarget) -> None:
    item = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"v": "text"},
        "data": {"w": "dw=="},
    }
    async with target.applier() as applier:
        await applier.apply(target.owner("web"), fakes.manifests(interfaces.Manifest(item)))
    found = target.api.get(f"/api/v1/namespaces/{target.namespace}/secrets/s")
    assert found["data"] == {"v": "dGV4dA==", "w": "dw=="}
