"""What is somebody's own stays, and a template that is simply wrong moves nothing: the limits of taking fields over.

Both appliers, on the real API server; all cases of a table at the same time.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest

from lostromos_core import interfaces
from tests.contract import test_ownership as shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract import test_appliers

Action = interfaces.Action
Body = dict[str, Any]
PLURALS: Final = {
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Pod": ("/api/v1", "pods"),
}
WEB: Final = shared.WEB
CONTAINERS: Final = shared.CONTAINERS


@pytest.fixture(autouse=True)
def more_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, place in PLURALS.items():
        monkeypatch.setitem(shared.PLURALS, kind, place)


def labelled(body: Body) -> Body:
    """Another template for the same object, so that it is written once more."""
    changed = copy.deepcopy(body)
    changed["metadata"]["labels"] = {"written": "again"}
    return changed


def with_mounts(*paths: str) -> Body:
    mounts = [{"name": "v", "mountPath": one} for one in paths]
    return shared.deployment({**WEB, "volumeMounts": mounts}, volumes=[{"name": "v", "emptyDir": {}}])


def append(way: str, item: Body) -> Callable[[Body], None]:
    def edit(body: Body) -> None:
        at: Any = body
        for part in way.split("."):
            at = at[int(part) if part.isdecimal() else part]
        at.append(item)

    return edit


FROM_FIELD: Final = {"name": "THEIRS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
YOUNGER: Final[dict[str, tuple[Body, Callable[[Body], None], Callable[[Body], None], str]]] = {
    "a variable that was added after our last write": (
        shared.deployment({**WEB, "env": [{"name": "A", "value": "1"}]}),
        append(f"{CONTAINERS}.0.env", FROM_FIELD), shared.remove(f"{CONTAINERS}.0.env.0"), "THEIRS",
    ),
    "a sidecar": (
        shared.deployment(WEB, {"name": "side", "image": "example.com/side:1"}),
        append(CONTAINERS, {"name": "agent", "image": "example.com/agent:9", "args": ["x"]}), shared.remove(f"{CONTAINERS}.1"), "agent",
    ),
    "a port": (
        shared.service({"name": "http", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 81, "targetPort": 8081}),
        append("spec.ports", {"name": "theirs", "port": 9090}), shared.remove("spec.ports.1"), "theirs",
    ),
    "a volume": (
        shared.deployment(WEB, kind="StatefulSet", volumes=[{"name": "v", "emptyDir": {}}]),
        append("spec.template.spec.volumes", {"name": "theirs", "configMap": {"name": "c"}}), shared.remove("spec.template.spec.volumes.0"), "theirs",
    ),
    "a host": (
        shared.deployment(WEB, hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a.example.com"]}, {"ip": "10.0.0.2", "hostnames": ["b.example.com"]}]),
        append("spec.template.spec.hostAliases", {"ip": "10.0.0.9", "hostnames": ["theirs"]}), shared.remove("spec.template.spec.hostAliases.1"), "theirs",
    ),
}  # fmt: skip


async def test_what_is_not_like_ours_is_no_replacement(target: test_appliers.ClusterTarget) -> None:
    """Somebody adds an item, which costs us no write, and removes one of ours later."""
    sinks = shared.Sinks()

    async def check(case: str, name: str) -> None:
        body, add, drop, theirs = shared.named(YOUNGER[case][0], name), *YOUNGER[case][1:]
        owner = target.owner(name)
        await shared.settled(applier, target, owner, body)
        shared.edit(target, body, add)
        await shared.settled(applier, target, owner, body)
        before = shared.contents(target, body)
        shared.edit(target, body, drop)
        if shared.contents(target, body) != before:
            await sinks.rings(owner)
        await shared.settled(applier, target, owner, body)
        found = shared.contents(target, body)
        assert theirs in str(found)
        assert shared.sorted_lists(found, str) == shared.sorted_lists(before, str)

    async with target.applier(enqueue=sinks) as applier:
        await shared.each(YOUNGER, check)


def job(parallelism: int) -> Body:
    body = {"parallelism": parallelism, "suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [WEB]}}}  # fmt: skip
    made = shared.made("Job", "batch/v1", spec=body)
    made["metadata"]["annotations"] = {"lostromos.dev/recreate": "true"}
    return made


def pod(image: str) -> Body:
    return shared.made("Pod", "v1", spec={"containers": [{**WEB, "image": image}], "restartPolicy": "Never"})


def claim(label: str) -> Body:
    size = {"requests": {"storage": "1Gi"}}
    made = shared.made("PersistentVolumeClaim", "v1", spec={"accessModes": ["ReadWriteOnce"], "resources": size})
    made["metadata"]["labels"] = {"l": label}
    return made


WRONG: Final[dict[str, tuple[Body, Body, Body]]] = {  # at first, wrong, right
    "a Job": (job(1), job(-1), job(2)),
    "a Pod": (pod("example.com/web:1"), pod(" no image"), pod("example.com/web:2")),
    "a claim": (claim("a"), claim("not valid!"), claim("b")),
    "a Service": (
        shared.service({"name": "http", "port": 80}, type="NodePort"),
        shared.service({"name": "http", "port": 80, "targetPort": "not_a_name"}, type="NodePort"),
        shared.service({"name": "http", "port": 80, "targetPort": 81}, type="NodePort"),
    ),
    "a Deployment": (
        shared.deployment(WEB),
        shared.deployment({**WEB, "imagePullPolicy": "Sometimes"}),
        shared.deployment({**WEB, "imagePullPolicy": "Never"}),
    ),
}


def applied(item: Body) -> list[Body]:
    """What managers have applied; its controller writes meanwhile."""
    return [entry["fieldsV1"] for entry in item["metadata"]["managedFields"] if entry["operation"] == "Apply"]


async def test_a_template_that_is_wrong_moves_nothing(target: test_appliers.ClusterTarget) -> None:
    async def check(case: str, name: str) -> None:
        first, wrong, right = (shared.named(body, name) for body in WRONG[case])
        owner = target.owner(name)
        await shared.settled(applier, target, owner, first)
        before = target.api.get(shared.path(target, first))
        found = await shared.apply(applier, target.fresh(owner), wrong)
        assert [result.action for result in found.values()] == [Action.FAILED]
        after = target.api.get(shared.path(target, first))
        assert applied(after) == applied(before)
        await shared.settled(applier, target, owner, right)
        after = target.api.get(shared.path(target, first))
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"].get("finalizers") == before["metadata"].get("finalizers")

    async with target.applier() as applier:
        await shared.each(WRONG, check)


async def test_a_refusal_takes_nothing_of_others(target: test_appliers.ClusterTarget) -> None:
    owner, ports = target.owner("web"), [{"name": "http", "port": 80}]
    async with target.applier() as applier:
        await shared.settled(applier, target, owner, shared.service(*ports))
        shared.edit(target, shared.service(*ports), append("spec.ports", {"name": "metrics", "port": 9090}))
        await shared.settled(applier, target, owner, labelled(shared.service(*ports)))
        found = await shared.apply(
            applier, target.fresh(owner), shared.service({**ports[0], "targetPort": "not_a_name"})
        )
        assert found["Service"].action is Action.FAILED
        await shared.settled(applier, target, owner, shared.service({"name": "http", "port": 8080}))
    live = shared.contents(target, shared.service())
    assert sorted(port["port"] for port in live["spec"]["ports"]) == [8080, 9090]


async def test_a_key_that_the_template_changes_takes_nothing_of_others(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    async with target.applier() as applier:
        await shared.settled(applier, target, owner, with_mounts("/a"))
        shared.edit(
            target, with_mounts(), append(f"{CONTAINERS}.0.volumeMounts", {"name": "v", "mountPath": "/theirs"})
        )
        await shared.settled(applier, target, owner, labelled(with_mounts("/a")))
    async with target.applier() as applier:
        await shared.settled(applier, target, owner, with_mounts("/b"))
    mounts = shared.contents(target, with_mounts())["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert sorted(one["mountPath"] for one in mounts) == ["/b", "/theirs"]


@pytest.mark.parametrize("options", [{"conflicts": "yield"}, {"ignore": {"Deployment": [f"/{CONTAINERS}/0/env".replace(".", "/")]}}], ids=["yield", "ignore"])  # fmt: skip
async def test_what_is_left_to_others_is_not_taken(
    target: test_appliers.ClusterTarget, options: dict[str, Any]
) -> None:
    body, sinks, owner = (
        shared.deployment({**WEB, "env": [{"name": "A", "value": "1"}]}),
        shared.Sinks(),
        target.owner("web"),
    )
    later = copy.deepcopy(body)
    later["spec"]["minReadySeconds"] = 5
    async with target.applier(enqueue=sinks, **options) as applier:
        await shared.settled(applier, target, owner, body)
        shared.edit(target, body, shared.set_at(f"{CONTAINERS}.0.env.0.name", "THEIRS"))
        await sinks.rings(owner)
        await shared.settled(applier, target, owner, later)
    variables = shared.contents(target, body)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "THEIRS" in [one["name"] for one in variables]


async def test_the_only_other_manager_of_an_adopted_object_loses_what_we_set(
    target: test_appliers.ClusterTarget,
) -> None:
    owner, body = target.owner("web"), shared.made("ConfigMap", "v1", data={"a": "1", "b": "2"})
    await shared.by_server_side_apply(target, body)
    body["metadata"]["annotations"] = {"lostromos.dev/adopt": "true"}
    async with target.applier() as applier:
        await shared.settled(applier, target, owner, body)
        del body["data"]["b"]
        await shared.settled(applier, target, owner, body)
    assert target.api.get(shared.path(target, body))["data"] == {"a": "1"}


async def test_conflicts_of_several_causes_are_decided_one_by_one(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    async with target.applier() as applier:
        for number in (3, None):
            await shared.settled(applier, target, owner, shared.scaled("Deployment", number))
        shared.edit(
            target, shared.scaled("Deployment", None), shared.set_at(f"{CONTAINERS}.0.image", "example.com/x:1")
        )
    async with target.applier() as applier:
        await shared.settled(applier, target, owner, shared.scaled("Deployment", 5))
    live = target.api.get(shared.path(target, shared.scaled("Deployment", 5)))
    assert live["spec"]["replicas"] == 5
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == WEB["image"]


async def test_a_dry_run_says_what_would_be_removed(target: test_appliers.ClusterTarget) -> None:
    owner, later = target.owner("web"), shared.deployment(WEB, more={"strategy": {"type": "Recreate"}})
    async with target.applier() as applier:
        await shared.settled(applier, target, owner, shared.deployment(WEB))

    def owned() -> list[Any]:
        """Who owns what; the controller manager has its own pace."""
        entries = target.api.get(shared.path(target, later))["metadata"]["managedFields"]
        return [entry for entry in entries if entry["manager"] != "kube-controller-manager"]

    before = owned()
    async with target.applier(dry_run=True) as applier:
        found = await shared.apply(applier, target.fresh(owner), later)
    assert found["Deployment"].action is Action.UPDATED
    assert owned() == before
