"""The control plane is the real thing, can be disturbed as tests need it, and its client says what it sees."""

import time

import pytest

from tests import conftest
from tests.controlplane import api as apis
from tests.controlplane import cluster, crds, errors, users, waiting

pytestmark = pytest.mark.cluster


def first_event(admin: apis.Api, path: str, *, version: str) -> apis.Json:
    """The first event of a watch, as soon as the collection is served."""

    def first() -> apis.Json | None:
        try:
            return next(admin.watch(path, version=version))
        except errors.ApiError as error:
            if error.status not in crds.NOT_YET:
                raise
            return None

    event = waiting.wait_until(first)
    assert event is not None
    return event


def history(admin: apis.Api) -> tuple[str, str]:
    """Make a kind and an object with a past; the path of its collection and the first version."""
    kind = crds.CustomKind(group="history.example.com")
    crds.create(admin, crds.definition(kind))
    created = admin.create(kind.path("default"), kind.manifest("old"))
    for number in range(3):
        admin.patch(kind.path("default", "old"), {"spec": {"number": number}})
    return kind.path(), created["metadata"]["resourceVersion"]


def test_a_killed_api_server_comes_back_with_its_data_on_the_same_port(own_control_plane: cluster.ControlPlane) -> None:
    with apis.Api(own_control_plane.access()) as admin:
        admin.create("/api/v1/namespaces", {"metadata": {"name": "survivor"}})
        before = own_control_plane.api_pid
        own_control_plane.kill_api()
        with pytest.raises(errors.UnreachableError):
            admin.get("/version")
        with pytest.raises(errors.NotRunningError):
            _ = own_control_plane.api_pid
        own_control_plane.start_api()
        assert admin.exists("/api/v1/namespaces/survivor")
        assert own_control_plane.api_pid != before


def test_a_paused_api_server_answers_when_it_is_resumed(own_control_plane: cluster.ControlPlane) -> None:
    with apis.Api(own_control_plane.access(), within=0.5) as admin:
        own_control_plane.pause_api()
        with pytest.raises(errors.UnreachableError):
            admin.get("/version")
        own_control_plane.resume_api()
        assert waiting.wait_until(lambda: admin.get("/version")["gitVersion"])


def test_a_paused_control_plane_stops_in_bounded_time() -> None:
    with cluster.ControlPlane() as plane:
        plane.pause_api()
        started = time.monotonic()
    assert time.monotonic() - started < 3 * cluster.GRACE
    assert not plane.folder.exists()


def test_compaction_and_a_restart_expire_old_watches(own_control_plane: cluster.ControlPlane) -> None:
    with apis.Api(own_control_plane.access()) as admin:
        path, version = history(admin)
        own_control_plane.compact_etcd()
        assert first_event(admin, path, version=version)["type"] == "MODIFIED", "the watch cache still knows"
        own_control_plane.kill_api()
        own_control_plane.start_api()
        assert first_event(admin, path, version=version)["object"]["code"] == 410


def test_compaction_alone_expires_old_watches_where_there_is_no_watch_cache() -> None:
    with cluster.ControlPlane(api_flags=["--watch-cache=false"]) as plane, apis.Api(plane.access()) as admin:
        path, version = history(admin)
        plane.compact_etcd()
        assert first_event(admin, path, version=version)["object"]["code"] == 410


def test_a_server_that_cannot_start_says_why_and_leaves_nothing() -> None:
    plane = cluster.ControlPlane(api_flags=["--no-such-flag"])
    with pytest.raises(errors.StartError, match="unknown flag: --no-such-flag"):
        plane.start()
    assert not plane.folder.exists()


@pytest.mark.parametrize("user", users.GROUPS)
def test_every_user_is_known_by_token(user: str, control_plane: cluster.ControlPlane) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    with apis.Api(control_plane.access(user)) as client:
        answer = client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    assert answer["status"]["userInfo"]["username"] == user
    assert control_plane.kubeconfig_of(user).exists()


def test_only_the_administrator_may_do_anything_at_first(control_plane: cluster.ControlPlane, api: apis.Api) -> None:
    assert api.list("/api/v1/namespaces")
    with apis.Api(control_plane.access("developer")) as developer, pytest.raises(errors.ApiError) as refused:
        developer.list("/api/v1/namespaces")
    assert refused.value.status == 403


def test_impersonation_makes_any_user(api: apis.Api) -> None:
    with api.as_user("alice", groups=("system:masters",)) as alice:
        assert alice.list("/api/v1/namespaces")
    with api.as_user("alice") as alice, pytest.raises(errors.ApiError, match='User "alice" cannot list'):
        alice.list("/api/v1/namespaces")


def test_a_fresh_kind_is_served_and_keeps_its_status(api: apis.Api, namespace: str, crd: crds.CustomKind) -> None:
    api.create(crd.path(namespace), crd.manifest("shop", spec={"any": {"thing": 1}}))
    status = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    body = {"apiVersion": crd.api_version, "kind": crd.kind, "status": status}
    api.apply(crd.path(namespace, "shop", subresource="status"), body, manager="operator")
    shop = api.get(crd.path(namespace, "shop"))
    assert shop["status"] == status
    assert shop["spec"] == {"any": {"thing": 1}}


def test_a_kind_may_lack_the_status_subresource(api: apis.Api, make_crd: conftest.MakeCrd) -> None:
    kind = make_crd("Plain", namespaced=False, status=None, status_subresource=False)
    api.create(kind.path(), kind.manifest("one"))
    with pytest.raises(errors.ApiError) as refused:
        api.get(kind.path(name="one", subresource="status"))
    assert refused.value.status == 404


def test_metrics_count_writes(api: apis.Api, namespace: str, crd: crds.CustomKind) -> None:
    # Not all writes: the controller manager deletes collections of every kind when another test's namespace goes.
    verbs = ("POST", "APPLY")
    before = api.metrics().requests(verb=verbs, group=crd.group)
    api.create(crd.path(namespace), crd.manifest("a"))
    api.apply(crd.path(namespace, "b"), crd.manifest("b"))
    api.list(crd.path())
    # The server counts a request when it has answered it, so the last one may come a moment late.
    waiting.wait_until(lambda: api.metrics().requests(verb=verbs, group=crd.group) - before == 2, timeout=30)
    assert api.metrics().writes(group=crd.group) >= 2
    assert api.metrics().requests(verb="APPLY", resource=crd.plural, group=crd.group) == 1


def test_deployments_get_pods_and_lose_them(api: apis.Api, namespace: str) -> None:
    labels = {"app": "shop"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.create(path, {"metadata": {"name": "shop"}, "spec": spec})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    waiting.wait_until(lambda: len(api.list(pods)) == 2, timeout=30)
    api.delete(f"{path}/shop", propagationPolicy="Background")
    waiting.wait_until(lambda: not api.list(pods), timeout=30, message="Pods garbage-collected")
    api.delete(f"/api/v1/namespaces/{namespace}")
    waiting.wait_until(lambda: not api.exists(f"/api/v1/namespaces/{namespace}"), timeout=30)
