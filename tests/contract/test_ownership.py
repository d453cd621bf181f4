"""Who owns what of an object: keys of lists that somebody changes, what nobody owns, and what others own as well.

Both appliers, on the real API server; each case in kinds of its own.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Final

import pytest

from lostromos_core import interfaces
from lostromos_core.kube.managed_fields import contention
from tests import fakes
from tests.controlplane import crds, errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.conftest import MakeCrd
    from tests.contract import test_appliers

Action = interfaces.Action
Body = dict[str, Any]
PLURALS: Final = {
    "Service": ("/api/v1", "services"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "CronJob": ("/apis/batch/v1", "cronjobs"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
}


def path(target: test_appliers.ClusterTarget, body: Body) -> str:
    prefix, plural = PLURALS[body["kind"]]
    return target.path(body["metadata"]["name"], plural, prefix)


def made(kind: str, api_version: str, **rest: Any) -> Body:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, **rest}


def service(*ports: Body, **spec: Any) -> Body:
    return made("Service", "v1", spec={"selector": {"app": "web"}, "ports": [*ports], **spec})


def pod(*containers: Body, **spec: Any) -> Body:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [*containers], **spec}}


def deployment(*containers: Body, kind: str = "Deployment", more: Body | None = None, **spec: Any) -> Body:
    found = {"selector": {"matchLabels": {"app": "web"}}, "template": pod(*containers, **spec), **(more or {})}
    if kind == "StatefulSet":
        found["serviceName"] = "web"
    return made(kind, "apps/v1", spec=found)


WEB: Final = {"name": "web", "image": "example.com/web:1"}


def set_at(way: str, value: Any) -> Callable[[Body], None]:
    """Set a field of an object, as ``spec.ports.0.port``."""

    def edit(body: Body) -> None:
        *parts, last = [int(part) if part.isdecimal() else part for part in way.split(".")]
        at: Any = body
        for part in parts:
            at = at[part]
        at[last] = value

    return edit


def remove(way: str) -> Callable[[Body], None]:
    def edit(body: Body) -> None:
        *parts, last = [int(part) if part.isdecimal() else part for part in way.split(".")]
        at: Any = body
        for part in parts:
            at = at[part]
        del at[last]

    return edit


CONTAINERS: Final = "spec.template.spec.containers"
KEYS: Final[dict[str, tuple[Body, Callable[[Body], None]]]] = {
    "a port's number": (service({"name": "http", "port": 80}), set_at("spec.ports.0.port", 83)),
    "the number of a port without a name": (service({"port": 80}), set_at("spec.ports.0.port", 83)),
    "a port's protocol": (service({"name": "dns", "port": 53}), set_at("spec.ports.0.protocol", "UDP")),
    "the second of two ports": (
        service({"name": "http", "port": 80}, {"name": "admin", "port": 81, "targetPort": "admin"}),
        set_at("spec.ports.1.port", 82),
    ),
    "two ports at once": (
        service({"name": "http", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 81, "targetPort": 8081}),
        lambda body: body["spec"].update(ports=[{**body["spec"]["ports"][0], "port": 180}, {**body["spec"]["ports"][1], "port": 181}]),
    ),
    "the only container's name": (deployment(WEB), set_at(f"{CONTAINERS}.0.name", "debug")),
    "one of two containers' name": (
        deployment(WEB, {"name": "side", "image": "example.com/side:1"}, kind="StatefulSet"),
        set_at(f"{CONTAINERS}.1.name", "other"),
    ),
    "a container's port": (
        deployment({**WEB, "ports": [{"name": "http", "containerPort": 80}]}, kind="DaemonSet"),
        set_at(f"{CONTAINERS}.0.ports.0.containerPort", 8080),
    ),
    "a variable's name": (
        deployment({**WEB, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
        set_at(f"{CONTAINERS}.0.env.1.name", "C"),
    ),
    "a volume's name and its mount's path": (
        deployment(
            {**WEB, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=[{"name": "v", "emptyDir": {}}]
        ),
        set_at(f"{CONTAINERS}.0.volumeMounts.0.mountPath", "/other"),
    ),
    "a host's address": (
        deployment(WEB, hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a.example.com"]}]),
        set_at("spec.template.spec.hostAliases.0.ip", "10.0.0.2"),
    ),
    "the name of a secret for images": (
        made("ServiceAccount", "v1", imagePullSecrets=[{"name": "one"}, {"name": "two"}]),
        set_at("imagePullSecrets.0.name", "three"),
    ),
}  # fmt: skip


async def apply(
    applier: interfaces.Applier, owner: interfaces.Resource, *bodies: Body
) -> dict[str, interfaces.ObjectResult]:
    found = await applier.apply(owner, fakes.manifests(*map(interfaces.Manifest, copy.deepcopy(bodies))))
    return {result.ref.kind: result for result in found.objects}


async def settled(applier: interfaces.Applier, target: test_appliers.ClusterTarget, owner: Any, body: Body) -> None:
    """Apply until nothing is to do; a second time, nothing is written."""
    for _ in range(5):
        found = await apply(applier, target.fresh(owner), body)
        assert not [result for result in found.values() if result.action is Action.FAILED], found
        if all(result.action is Action.UNCHANGED for result in found.values()):
            return
    raise AssertionError(found)


def contents(target: test_appliers.ClusterTarget, body: Body) -> Body:
    """What is there, without what the server writes anew each time."""
    found = target.api.get(path(target, body))
    return {key: value for key, value in found.items() if key not in {"metadata", "status"}}


def edit(target: test_appliers.ClusterTarget, body: Body, change: Callable[[Body], None]) -> None:
    """Change an object as ``kubectl edit`` does: all of it is sent, by a manager of its own."""
    for _ in range(5):
        live = target.api.get(path(target, body))
        change(live)
        live["metadata"].pop("managedFields")
        with contextlib.suppress(errors.ApiError):  # its controller was quicker
            target.api.replace(path(target, body), live, fieldManager="kubectl-edit")
            return
    raise AssertionError(body["kind"])


class Sinks:
    """Who was rung for, each owner on its own."""

    def __init__(self) -> None:
        self._rung: dict[str, asyncio.Event] = collections.defaultdict(asyncio.Event)

    def __call__(self, key: str) -> None:
        self._rung[key].set()

    async def rings(self, owner: interfaces.Resource) -> None:
        async with asyncio.timeout(60):
            await self._rung[owner.key].wait()
        self._rung[owner.key].clear()


async def each(cases: Iterable[str], check: Callable[[str, str], Awaitable[None]]) -> None:
    """Check all cases at the same time, each with a name of its own; tell which of them fail."""
    named_ = {case: f"web-{number}" for number, case in enumerate(cases)}
    found = await asyncio.gather(*(check(case, name) for case, name in named_.items()), return_exceptions=True)
    wrong = {case: error for case, error in zip(named_, found, strict=True) if error is not None}
    for error in wrong.values():
        if not isinstance(error, AssertionError | TimeoutError):
            raise error
    assert wrong == {}


def named(body: Body, name: str) -> Body:
    """A body of another name."""
    return {**copy.deepcopy(body), "metadata": {**copy.deepcopy(body["metadata"]), "name": name}}


BY_KEY_ONLY: Final = {"the name of a secret for images"}
"""Nothing but its key says whose place an item took; a process that has just started cannot tell."""


async def test_a_key_that_somebody_changes_is_changed_back(target: test_appliers.ClusterTarget) -> None:
    sinks = Sinks()

    async def check(case: str, name: str) -> None:
        body, change = named(KEYS[case][0], name), KEYS[case][1]
        owner = target.owner(name)
        await apply(applier, owner, body)
        before = contents(target, body)
        edit(target, body, change)
        await sinks.rings(owner)
        await settled(applier, target, owner, body)
        assert contents(target, body) == before

    async with target.applier(enqueue=sinks) as applier:
        await each(KEYS, check)


async def test_a_key_that_somebody_changed_while_nobody_looked_is_changed_back(
    target: test_appliers.ClusterTarget,
) -> None:
    owners: dict[str, interfaces.Resource] = {}
    before: dict[str, Body] = {}

    async def begin(case: str, name: str) -> None:
        body, change = named(KEYS[case][0], name), KEYS[case][1]
        owners[case] = target.owner(name)
        await apply(applier, owners[case], body)
        before[case] = contents(target, body)
        edit(target, body, change)

    async def check(case: str, name: str) -> None:
        body = named(KEYS[case][0], name)
        await settled(applier, target, owners[case], body)
        assert contents(target, body) == before[case]

    tried = [case for case in KEYS if case not in BY_KEY_ONLY]
    async with target.applier() as applier:
        await each(tried, begin)
    async with target.applier() as applier:
        await each(tried, check)


KEPT: Final[dict[str, tuple[Body, Callable[[Body], None], Callable[[Body], None]]]] = {  # theirs, and then the drift
    "a sidecar beside a container whose image is changed": (
        deployment(WEB),
        lambda body: body["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "example.com/side:1"}),
        set_at(f"{CONTAINERS}.0.image", "example.com/other:1"),
    ),
    "a sidecar of an earlier time beside a container that is renamed": (
        deployment(WEB),
        lambda body: body["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "example.com/web:1"}),
        set_at(f"{CONTAINERS}.0.name", "debug"),
    ),
    "a port of an earlier time beside one that is removed": (
        service({"name": "http", "port": 80}, {"name": "admin", "port": 81}),
        lambda body: body["spec"]["ports"].append({"name": "metrics", "port": 9090}),
        remove("spec.ports.1"),
    ),
    "a variable of an earlier time beside one that is removed": (
        deployment({**WEB, "env": [{"name": "A", "value": "1"}]}),
        lambda body: body["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "B", "value": "1"}),
        remove(f"{CONTAINERS}.0.env.0"),
    ),
    "a volume beside one whose name is changed": (
        deployment(WEB, volumes=[{"name": "v", "emptyDir": {}}], kind="StatefulSet"),
        lambda body: body["spec"]["template"]["spec"]["volumes"].append({"name": "w", "emptyDir": {}}),
        set_at("spec.template.spec.volumes.0.name", "x"),
    ),
}  # fmt: skip


async def test_what_others_added_before_is_left_alone(target: test_appliers.ClusterTarget) -> None:
    sinks = Sinks()

    async def check(case: str, name: str) -> None:
        body, add, change = named(KEPT[case][0], name), *KEPT[case][1:]
        owner = target.owner(name)
        changed = copy.deepcopy(body)
        changed["metadata"]["labels"] = {"written": "again"}
        await apply(applier, owner, body)
        edit(target, body, add)
        await settled(applier, target, owner, changed)  # a write of ours that comes after theirs
        before = contents(target, body)
        edit(target, body, change)
        await sinks.rings(owner)
        await settled(applier, target, owner, changed)
        assert sorted_lists(contents(target, body), str) == sorted_lists(before, str)

    async with target.applier(enqueue=sinks) as applier:
        await each(KEPT, check)


def sorted_lists(value: Any, order: Callable[[Any], str]) -> Any:
    """With the items of lists in one order: what was put back stands elsewhere."""
    if isinstance(value, dict):
        return {name: sorted_lists(item, order) for name, item in value.items()}
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return sorted((sorted_lists(item, order) for item in value), key=order)
    return value


LIST: Final = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "items": {
        "type": "object",
        "required": ["port"],
        "properties": {
            "port": {"type": "integer"},
            "protocol": {"type": "string", "default": "SCTP"},
            "note": {"type": "string"},
        },
    },
}
OPENINGS: Final = {"type": "object", "properties": {"openings": LIST}}


@dataclasses.dataclass(frozen=True)
class Custom:
    """A kind whose list items have two keys, one of them with a default."""

    kind: crds.CustomKind

    def body(self, *items: Body) -> Body:
        return {**self.kind.manifest("web"), "spec": {"openings": [*items]}}


@pytest.fixture
def custom(make_crd: MakeCrd, monkeypatch: pytest.MonkeyPatch) -> Custom:
    kind = make_crd("Gate", spec=OPENINGS)
    monkeypatch.setitem(PLURALS, "Gate", (f"/apis/{kind.api_version}", kind.plural))
    return Custom(kind)


async def test_items_of_custom_kinds_are_known_by_the_defaults_of_their_keys(
    target: test_appliers.ClusterTarget, custom: Custom
) -> None:
    owner = target.owner("web")
    body = custom.body({"port": 53, "note": "a"}, {"port": 53, "protocol": "UDP", "note": "b"})
    body["metadata"].pop("namespace", None)
    for change in (
        remove("spec.openings.0"),
        remove("spec.openings.1"),
        set_at("spec.openings.0.port", 54),
    ):
        async with target.applier() as applier:
            await settled(applier, target, owner, body)
            before = contents(target, body)
        edit(target, body, change)
        async with target.applier() as applier:
            await settled(applier, target, owner, body)
        assert sorted_lists(contents(target, body), str) == sorted_lists(before, str)


SHARED: Final[dict[str, tuple[Body, str]]] = {
    "a port for TCP beside UDP": (service({"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"}), "spec.ports.0"),
    "a port for UDP beside TCP": (service({"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"}), "spec.ports.1"),
    "a port for TCP beside SCTP": (service({"name": "s", "port": 53, "protocol": "SCTP"}, {"name": "tcp", "port": 53}), "spec.ports.1"),
    "a container's port for TCP": (deployment({**WEB, "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]}), f"{CONTAINERS}.0.ports.0"),
    "a container's port for UDP": (deployment({**WEB, "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]}, kind="DaemonSet"), f"{CONTAINERS}.0.ports.1"),
}  # fmt: skip


async def test_a_removed_item_is_missed_beside_one_that_shares_a_key(target: test_appliers.ClusterTarget) -> None:
    owners: dict[str, interfaces.Resource] = {}
    before: dict[str, Body] = {}

    async def begin(case: str, name: str) -> None:
        body, way = named(SHARED[case][0], name), SHARED[case][1]
        owners[case] = target.owner(name)
        await apply(applier, owners[case], body)
        before[case] = contents(target, body)
        edit(target, body, remove(way))

    async def check(case: str, name: str) -> None:
        body = named(SHARED[case][0], name)
        await settled(applier, target, owners[case], body)
        assert sorted_lists(contents(target, body), str) == sorted_lists(before[case], str)

    async with target.applier() as applier:
        await each(SHARED, begin)
    async with target.applier() as applier:
        await each(SHARED, check)


CRON: Final = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": pod(WEB, restartPolicy="Never")}}}
ROLLING: Final = {"strategy": {"type": "RollingUpdate"}}
CONTRADICTIONS: Final[dict[str, tuple[Body, Body, str]]] = {  # before, after, what has to be gone
    "Recreate, that was left out before": (deployment(WEB), deployment(WEB, more={"strategy": {"type": "Recreate"}}), "spec.strategy.rollingUpdate"),
    "Recreate, that was RollingUpdate before": (deployment(WEB, more=ROLLING), deployment(WEB, more={"strategy": {"type": "Recreate"}}), "spec.strategy.rollingUpdate"),
    "Recreate, with null": (deployment(WEB), deployment(WEB, more={"strategy": {"type": "Recreate", "rollingUpdate": None}}), "spec.strategy.rollingUpdate"),
    "OnDelete of a StatefulSet": (deployment(WEB, kind="StatefulSet"), deployment(WEB, kind="StatefulSet", more={"updateStrategy": {"type": "OnDelete"}}), "spec.updateStrategy.rollingUpdate"),
    "a volume that was an empty directory by default": (
        deployment(WEB, volumes=[{"name": "v"}]),
        deployment(WEB, volumes=[{"name": "v", "configMap": {"name": "c"}}]),
        "spec.template.spec.volumes.0.emptyDir",
    ),
}  # fmt: skip


async def test_a_default_that_contradicts_what_is_set_now_is_removed(target: test_appliers.ClusterTarget) -> None:
    async def check(case: str, name: str) -> None:
        before, after, gone = CONTRADICTIONS[case]
        owner = target.owner(name)
        await apply(applier, owner, named(before, name))
        await settled(applier, target, owner, named(after, name))
        found: Any = contents(target, named(after, name))
        *way, last = [int(part) if part.isdecimal() else part for part in gone.split(".")]
        for part in way:
            found = found[part]
        assert last not in found
        await settled(applier, target, owner, named(before, name))

    async with target.applier() as applier:
        await each(CONTRADICTIONS, check)


async def test_what_is_refused_for_another_reason_stays_as_it_is(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    before = deployment(WEB)
    async with target.applier() as applier:
        await apply(applier, owner, before)
        was = contents(target, before)
        found = await apply(applier, target.fresh(owner), deployment({**WEB, "imagePullPolicy": "Sometimes"}))
        assert found["Deployment"].action is Action.FAILED
        assert "imagePullPolicy" in found["Deployment"].message
        assert contents(target, before) == was
        await settled(applier, target, owner, before)
    assert contents(target, before) == was


async def by_kubectl_apply(target: test_appliers.ClusterTarget, body: Body) -> None:
    target.api.create(path(target, body).rpartition("/")[0], body, fieldManager="kubectl-client-side-apply")


async def by_server_side_apply(target: test_appliers.ClusterTarget, body: Body) -> None:
    target.api.apply(path(target, body), body, manager="flux")


async def by_both(target: test_appliers.ClusterTarget, body: Body) -> None:
    await by_kubectl_apply(target, body)
    await by_server_side_apply(target, body)


ENV: Final = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
ADOPTED: Final[dict[str, tuple[Body, str]]] = {
    "a key of a ConfigMap": (made("ConfigMap", "v1", data={"a": "1", "b": "2"}), "data.b"),
    "a label": ({**made("ConfigMap", "v1", data={"a": "1"}), "metadata": {"name": "web", "labels": {"l": "1"}}}, "metadata.labels.l"),
    "a variable": (deployment({**WEB, "env": ENV}), f"{CONTAINERS}.0.env.1"),
    "a container": (deployment(WEB, {"name": "side", "image": "example.com/side:1"}, kind="StatefulSet"), f"{CONTAINERS}.1"),
    "a port": (service({"name": "http", "port": 80}, {"name": "admin", "port": 81}), "spec.ports.1"),
    "an argument": (deployment({**WEB, "args": ["--a"]}, kind="DaemonSet"), f"{CONTAINERS}.0.args"),
}  # fmt: skip


@pytest.mark.parametrize("how", [by_kubectl_apply, by_server_side_apply, by_both])
async def test_what_an_adopted_object_had_goes_when_the_template_makes_it_no_longer(
    target: test_appliers.ClusterTarget, how: Callable[..., Any]
) -> None:
    async def check(case: str, name: str) -> None:
        body, way = named(ADOPTED[case][0], name), ADOPTED[case][1]
        await how(target, copy.deepcopy(body))
        target.api.patch(path(target, body), {"metadata": {"annotations": {"example.com/theirs": "stays"}}})
        uid = target.api.get(path(target, body))["metadata"]["uid"]
        owner = target.owner(name)
        wanted = copy.deepcopy(body)
        wanted["metadata"]["annotations"] = {"lostromos.dev/adopt": "true"}
        less = copy.deepcopy(wanted)
        remove(way)(less)
        await settled(applier, target, owner, wanted)
        await settled(applier, target, owner, less)
        live: Any = target.api.get(path(target, body))
        assert live["metadata"]["uid"] == uid
        assert live["metadata"]["annotations"]["example.com/theirs"] == "stays"
        *parts, last = [int(part) if part.isdecimal() else part for part in way.split(".")]
        for part in parts:
            live = live.get(part, {}) if isinstance(part, str) else live[part]
        assert last not in live if isinstance(last, str) else len(live) == last

    async with target.applier() as applier:
        await each(ADOPTED, check)


def scaled(kind: str, replicas: int | None) -> Body:
    return deployment(WEB, kind=kind, more={} if replicas is None else {"replicas": replicas})


SCALED: Final = {
    f"{kind}, scaled {others} times": (kind, others) for kind in ("Deployment", "StatefulSet") for others in (0, 1, 5)
}


async def test_replicas_keep_their_number_when_the_template_leaves_them_out(
    target: test_appliers.ClusterTarget,
) -> None:
    """And the autoscaler can go on."""
    sinks = Sinks()

    async def check(case: str, name: str) -> None:
        kind, others = SCALED[case]
        eight, none = named(scaled(kind, 8), name), named(scaled(kind, None), name)
        owner, scale = target.owner(name), f"{path(target, eight)}/scale"

        def replicas() -> int:
            return int(target.api.get(path(target, eight))["spec"]["replicas"])

        await apply(applier, owner, eight)
        for number in range(others):
            target.api.patch(scale, {"spec": {"replicas": 10 + number}}, fieldManager="autoscaler")
            if number < contention.FREE_REPAIRS:
                await sinks.rings(owner)
            await apply(applier, target.fresh(owner), eight)
        last = replicas()
        await settled(applier, target, owner, none)
        assert replicas() == last
        target.api.patch(scale, {"spec": {"replicas": 20}}, fieldManager="autoscaler")
        await settled(applier, target, owner, none)
        assert replicas() == 20

    async with target.applier(enqueue=sinks) as applier:
        await each(SCALED, check)


async def test_replicas_that_were_left_can_be_set_again(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    for number in (3, None, 5, None):
        async with target.applier() as applier:
            await settled(applier, target, owner, scaled("Deployment", number))
        found = target.api.get(path(target, scaled("Deployment", number)))["spec"]["replicas"]
        assert found == {3: 3, 5: 5}.get(number or 0, found)
        assert found != 1


DRIFT: Final[dict[str, tuple[Body, Callable[[Body], None], Callable[[Body], None]]]] = {  # drift, new template
    "a value": (made("ConfigMap", "v1", data={"a": "1"}), set_at("data.a", "x"), set_at("data.b", "2")),
    "an image": (deployment(WEB), set_at(f"{CONTAINERS}.0.image", "example.com/x:1"), set_at("spec.minReadySeconds", 5)),
    "an image, in a changed order": (
        deployment(WEB, {"name": "side", "image": "example.com/side:1"}),
        set_at(f"{CONTAINERS}.1.image", "example.com/x:1"),
        lambda body: body["spec"]["template"]["spec"]["containers"].reverse(),
    ),
    "a port's target": (service({"name": "http", "port": 80, "targetPort": 8080}), set_at("spec.ports.0.targetPort", 81), set_at("spec.type", "NodePort")),
    "arguments": (deployment({**WEB, "args": ["--a"]}, kind="DaemonSet"), set_at(f"{CONTAINERS}.0.args", ["--b"]), set_at("spec.minReadySeconds", 5)),
    "a schedule": (made("CronJob", "batch/v1", spec=CRON), set_at("spec.schedule", "1 1 1 1 *"), set_at("spec.successfulJobsHistoryLimit", 7)),
    "a label": ({**made("ConfigMap", "v1"), "metadata": {"name": "web", "labels": {"l": "1"}}}, set_at("metadata.labels.l", "2"), set_at("data", {"a": "1"})),
}  # fmt: skip


async def test_what_somebody_changed_while_nobody_looked_is_repaired_with_another_template(
    target: test_appliers.ClusterTarget,
) -> None:
    owners: dict[str, interfaces.Resource] = {}

    async def begin(case: str, name: str) -> None:
        body, drift, _ = named(DRIFT[case][0], name), *DRIFT[case][1:]
        owners[case] = target.owner(name)
        await apply(applier, owners[case], body)
        edit(target, body, drift)

    async def check(case: str, name: str) -> None:
        later, change = named(DRIFT[case][0], name), DRIFT[case][2]
        change(later)
        await settled(applier, target, owners[case], later)
        assert covers(target.api.get(path(target, later)), later)

    async with target.applier() as applier:
        await each(DRIFT, begin)
    async with target.applier() as applier:
        await each(DRIFT, check)


def covers(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there."""
    if isinstance(wanted, dict):
        return all(name in found and covers(found[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(covers, found, wanted))
    return bool(found == wanted)


async def test_what_was_somebody_elses_before_is_still_a_conflict(target: test_appliers.ClusterTarget) -> None:
    body = made("ConfigMap", "v1", data={"a": "1"})
    owner = target.owner("web")
    async with target.applier() as applier:
        await apply(applier, owner, body)
    edit(target, body, set_at("data.b", "theirs"))
    async with target.applier() as applier:
        found = await apply(applier, target.fresh(owner), made("ConfigMap", "v1", data={"a": "1", "b": "ours"}))
        assert found["ConfigMap"].action is Action.FAILED
        assert "kubectl-edit" in found["ConfigMap"].message
    assert target.api.get(path(target, body))["data"] == {"a": "1", "b": "theirs"}
