"""The parts of the Kubernetes rooms that need no cluster: paths, answers, limits, status, the store, broken objects."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import errors, interfaces
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import discovery, fitting
from lostromos_core.kube.managed_fields import fields
from lostromos_core.kube.reporting import status
from lostromos_core.kube.tracking import children, tracked_objects
from lostromos_core.kube.transport import api_errors, limiter, paths
from lostromos_core.kube.watching import store

Action = interfaces.Action
REF = interfaces.ObjectRef("v1", "ConfigMap", "ns", "a")


@given(st.text(min_size=1))
def test_no_name_reaches_another_object(name: str) -> None:
    try:
        path = paths.item("v1", "configmaps", "ns", name)
    except errors.RefusedError:
        assert name in {".", ".."} or "/" in name or "%" in name
    except UnicodeEncodeError:
        assert any("\ud800" <= c <= "\udfff" for c in name)
    else:
        assert path.startswith("/api/v1/namespaces/ns/configmaps/")
        assert path.count("/") == 6
        assert "?" not in path


def test_paths_of_groups_and_subresources() -> None:
    assert paths.collection("apps/v1", "deployments") == "/apis/apps/v1/deployments"
    assert (
        paths.item("apps/v1", "deployments", "ns", "a", "status") == "/apis/apps/v1/namespaces/ns/deployments/a/status"
    )
    assert paths.item("rbac/v1", "roles", "", "system:x").endswith("/roles/system%3Ax")


@pytest.mark.parametrize(
    ("code", "body", "says", "field", "retryable"),
    [
        (500, {"message": 'failed to create typed patch object (/s; /v1, Kind=Service): .spec.ports[port=1].x: expected string, got &value{"hunter2"}'}, "expected string; put", "spec.ports[port=1].x", False),
        (500, {"message": "failed to create typed patch object (/s; /v1, Kind=Service): .spec.prts: field not declared in schema"}, "field not declared", "spec.prts", False),
        (500, {"message": "failed to convert new object (/s; /v1, Kind=Secret) to proper version: unable to convert unstructured object to /v1, Kind=Secret: illegal base64"}, "illegal base64", "", False),
        (500, {"message": "etcdserver: request timed out"}, "timed out", None, True),
        (422, {"reason": "Invalid", "message": 'x is invalid: Invalid value: "hunter2": no', "details": {"causes": [{"field": "a.b", "message": 'Invalid value: "hunter2": no'}]}}, "Invalid value: no", "a.b", False),
        (409, {"reason": "Conflict", "message": "conflict", "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.v", "message": 'conflict with "kubectl" using v1'}]}}, 'conflict with "kubectl"', "data.v", False),
        (409, {"reason": "Conflict", "message": "c", "details": {"causes": [{"reason": "FieldManagerConflict", "message": "?"}]}}, "another field manager", "", False),
        (422, {"reason": "Invalid", "message": 'Job j is invalid: spec.template: Invalid value: {"a b": "x: hunter2"}: field is immutable', "details": {"causes": [{"field": "spec.template", "message": 'Invalid value: {"a b": "x: hunter2"}: field is immutable'}]}}, "Invalid value: field is immutable", "spec.template", False),
        (422, {"reason": "Invalid", "message": 'Unsupported value: "hunter2 x"', "details": {"causes": [{"field": "a", "message": 'Unsupported value: "hunter2 x": supported values: "A", "B"'}]}}, 'supported values: "A", "B"', "a", False),
        (422, {"reason": "Invalid", "message": "no", "details": {"causes": [{"field": "spec", "message": 'Forbidden: pod updates may not change\n core.Pod{\n- "Value": "hunter2"'}]}}, "Forbidden: pod updates may not change", "spec", False),
        (422, {"reason": "Invalid", "message": "no", "details": {"causes": [{"field": "spec", "message": 'Forbidden: immutable @@ -1 +1 @@ "hunter2"'}]}}, "Forbidden: immutable", "spec", False),
        (422, {"reason": "Invalid", "message": 'x: [a: Duplicate value: "hunter2", b: Not found: "hunter2", c: Invalid value: core.X{A:"b: hunter2"}: no]'}, "a: Duplicate value, b: Not found, c: Invalid value: no", None, False),
        (422, {"reason": "Invalid", "message": "no", "details": {"causes": [{"field": "a", "message": "Invalid value: -1: must be positive"}]}}, "Invalid value: must be positive", "a", False),
        (429, {"message": "later", "details": {"retryAfterSeconds": 3}}, "later", None, True),
    ],
)  # fmt: skip
def test_an_answer_becomes_an_error_that_names_the_field_and_no_value(
    code: int, body: dict[str, Any], says: str, field: str | None, retryable: bool
) -> None:
    error = api_errors.error(code, {}, orjson.dumps({"kind": "Status", **body}), "apply Service ns/s")
    assert str(error).startswith("apply Service ns/s: ")
    assert says in (error.causes[0].message if error.causes else str(error))
    assert (error.causes[0].field if error.causes else None) == field
    assert error.retryable is retryable
    assert "hunter2" not in str(error)
    assert "hunter2" not in str(error.causes)
    assert error.retry_after == (3 if code == 429 else None)


@pytest.mark.parametrize(
    ("body", "headers", "after"),
    [(b"<html>no", {"Retry-After": "2"}, 2.0), (b"[1]", {"Retry-After": "x"}, None), (b"", {}, None)],
)
def test_an_answer_that_is_no_status_is_an_error_as_well(
    body: bytes, headers: dict[str, str], after: float | None
) -> None:
    error = api_errors.error(502, headers, body, "read")
    assert (error.status, error.retry_after, error.retryable) == (502, after, True)


async def test_the_limit_follows_what_the_server_bears() -> None:
    clock = [0.0]
    made = limiter.Limiter(lambda: clock[0])
    assert made.limit == 8
    for _ in range(100):
        made.succeeded()
    assert made.limit > 12
    for _ in range(20):
        made.overloaded()
    assert made.limit == 1
    await made.__aenter__()
    second = asyncio.create_task(_hold(made))
    third = asyncio.create_task(_hold(made))
    await asyncio.sleep(0)
    assert not second.done()
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)
    await made.__aexit__()
    await second
    made.overloaded(0.01)
    fourth = asyncio.create_task(_hold(made))
    await asyncio.sleep(0.03)
    assert not fourth.done()
    clock[0] = 1.0
    await fourth


async def _hold(made: limiter.Limiter) -> None:
    async with made:
        await asyncio.sleep(0)


NOW = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)


def report(*objects: interfaces.ObjectResult, ready: bool = True, **other: Any) -> interfaces.Report:
    return interfaces.Report(ready=ready, reason=other.pop("reason", "Applied"), message="m", objects=objects, **other)


def states(found: dict[str, Any]) -> dict[str, str]:
    return {item["type"]: item["status"] for item in found["conditions"]}


@pytest.mark.parametrize(
    ("ready", "retrying", "expected"),
    [
        (True, False, ("True", "False", "False")),
        (False, True, ("False", "True", "False")),
        (False, False, ("False", "False", "True")),
    ],
)
def test_conditions_follow_kstatus(ready: bool, retrying: bool, expected: tuple[str, ...]) -> None:
    found = status.desired(report(ready=ready, retrying=retrying), {}, generation=3, now=NOW)
    assert tuple(states(found)[name] for name in ("Ready", "Reconciling", "Stalled")) == expected
    assert found["observedGeneration"] == 3


def test_what_has_not_changed_keeps_its_time_and_is_no_difference() -> None:
    first = status.desired(report(interfaces.ObjectResult(REF, Action.CREATED)), {}, generation=1, now=NOW)
    second = status.desired(report(interfaces.ObjectResult(REF, Action.UNCHANGED)), first, generation=1, now=LATER)
    assert second == first
    assert not status.differs(second, first)
    third = status.desired(report(ready=False), first, generation=1, now=LATER)
    assert status.differs(third, first)
    times = {item["type"]: item["lastTransitionTime"] for item in third["conditions"]}
    assert times == {
        "Ready": "2030-01-02T04:04:05Z",
        "Reconciling": "2030-01-02T03:04:05Z",
        "Stalled": "2030-01-02T04:04:05Z",
    }


def test_resources_say_the_last_action_and_failures_first_when_there_are_many() -> None:
    failed = interfaces.ObjectResult(interfaces.ObjectRef("v1", "Namespace", "", "z"), Action.FAILED, "no", "a.yaml:1")
    many = [
        interfaces.ObjectResult(interfaces.ObjectRef("v1", "X", "ns", str(n)), Action.UNCHANGED) for n in range(600)
    ]
    found = status.desired(report(*many, failed, ready=False), {}, generation=1, now=NOW)["resources"]
    assert len(found) == status.MAX_OBJECTS
    assert found[0] == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "name": "z",
        "action": "failed",
        "message": "a.yaml:1: no",
    }
    assert found[1]["action"] == "updated"


def test_only_declared_fields_are_kept() -> None:
    declared = {
        "properties": {
            "a": {"properties": {"b": {}}},
            "l": {"items": {"properties": {"x": {}}}},
            "free": {"additionalProperties": {"type": "string"}},
            "any": {"x-kubernetes-preserve-unknown-fields": True},
        }
    }
    value = {"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}], "free": {"k": "v"}, "any": {"z": [1]}, "gone": 1}
    assert fitting.fields(value, declared) == {
        "a": {"b": 1},
        "l": [{"x": 1}],
        "free": {"k": "v"},
        "any": {"z": [1]},
    }


def item(name: str = "a", **parts: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "resourceVersion": "1", "managedFields": [1], **parts.pop("metadata", {})},
        "spec": {},
        **parts,
    }


def test_news_is_what_others_wrote() -> None:
    kept = store.Store()
    assert kept.put("a", item())
    assert not kept.put("a", item(status={"x": 1}, metadata={"resourceVersion": "2", "generation": 2}))
    assert kept.put("a", item(spec={"x": 1}))
    assert kept.put("a", item(metadata={"labels": {"x": "1"}}))
    ours = {"annotations": {"lostromos.dev/controller": "app"}, "finalizers": ["lostromos.dev/cleanup"]}
    assert kept.put("b", item("b", metadata={"finalizers": ["theirs"]}))
    both = {**ours, "finalizers": ["theirs", "lostromos.dev/cleanup"]}
    assert not kept.put("b", item("b", metadata=both)), "our own marks, written by us"
    assert kept.put("b", item("b", metadata={"finalizers": ["theirs"]})), "our marks, taken away"
    assert kept.put("b", item("b", metadata=ours)), "a finalizer of somebody else, taken away"
    assert "managedFields" not in (kept.get("a") or {})["metadata"]
    assert (list(kept), "a" in kept, kept.get("c")) == (["a", "b"], True, None)
    assert (kept.drop("a"), kept.drop("a")) == (True, False)


def test_the_name_of_a_set_is_computed_as_the_specification_says() -> None:
    ref = interfaces.ObjectRef("example.com/v1", "WebApp", "ns", "web")
    assert labels.set_id(ref) == labels.set_id(interfaces.ObjectRef("example.com/v2", "WebApp", "ns", "web"))
    assert labels.set_id(ref).startswith("applyset-")
    assert labels.set_id(ref).endswith("-v1")
    assert len(labels.set_id(ref)) <= 63
    assert labels.claimant({}) == ""


def test_a_name_cannot_forge_a_log_line() -> None:
    assert (
        str(interfaces.ObjectRef("v1", "ConfigMap", "ns", "a\n2030 [error] \x1b[31mforged"))
        == "ConfigMap ns/a 2030 [error] [31mforged"
    )


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("a\n\tb\0c", 10, "a b c"), ("x" * 20, 5, "xxxx…"), ("", 5, "")]
)
def test_foreign_text_is_made_short_and_harmless(text: str, limit: int, expected: str) -> None:
    assert errors.shorten(text, limit) == expected


@pytest.mark.parametrize(
    ("field", "data", "path"),
    [
        (".data.app.properties", {"data": {"app.properties": 1, "app": {"properties": 2}}}, ["data", "app.properties"]),
        ("metadata.annotations.a.b/c", {"metadata": {"annotations": {"a.b/c": ""}}}, ["metadata", "annotations", "a.b/c"]),
        ("data[app.properties]", {"data": {"app.properties": 1}}, ["data", "app.properties"]),
        ('spec.c[name="b.c"].image', {"spec": {"c": [{"name": "a"}, {"name": "b.c", "image": 1}]}}, ["spec", "c", 1, "image"]),
        ("spec.ports[0].port", {"spec": {"ports": [{"port": 1}]}}, ["spec", "ports", 0, "port"]),
        ("spec.none.deeper", {"spec": {}}, ["spec", "none"]),
    ],
)  # fmt: skip
def test_a_field_is_a_way_into_data_also_through_keys_with_dots(field: str, data: Any, path: list[str | int]) -> None:
    assert fields.parse(field, data) == path


BODY = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "data": {"a": 1, "b": {"c": 2, "d": 3}}}


@pytest.mark.parametrize(
    ("owned", "lost"),
    [
        ({"f:data": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}}}, []),
        ({"f:data": {"f:a": {}, "f:b": {"f:c": {}}}}, [["data", "b", "d"]]),
        ({"f:data": {"f:b": {}}}, [["data", "a"]]),
        ({"f:data": {}}, []),
        ({}, []),
        ({"f:other": {}}, [["data"]]),
    ],
)
def test_what_somebody_took_of_a_field_is_found_leaf_by_leaf(owned: Any, lost: Any) -> None:
    assert fields.lost(owned, BODY, ["data"]) == lost


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ('v:"a\\u0026b"', "a&b"),
        ('v:"\\u003cx\\u003e"', "<x>"),
        ('v:"\\u2028"', "\u2028"),
        ("v:1", 1.0),
        ("v:1e15", 10**15),
        ("v:true", True),
    ],
)
def test_items_of_a_set_are_ours_however_go_writes_them(written: str, item: Any) -> None:
    body = {"metadata": {}, "spec": {"set": [item]}}
    assert fields.owns_all({"f:metadata": {}, "f:spec": {"f:set": {".": {}, written: {}}}}, body)
    assert not fields.owns_all({"f:metadata": {}, "f:spec": {"f:set": {".": {}, "v:2": {}}}}, body)


def test_two_watches_may_bring_the_same_child() -> None:
    """One kind watched in a namespace and everywhere, or in two versions of its group."""
    told: list[tuple[str, bool]] = []
    known = children.Children(None)  # type: ignore[arg-type]
    known.listen("example.com", "Web", lambda key, _before, now: told.append((key, now is not None)))
    owner = interfaces.ObjectRef("example.com/v1", "Web", "ns", "web")
    resource = interfaces.Resource("ns/web", owner, "u", {})
    metadata: dict[str, Any] = {
        "name": "x",
        "namespace": "ns",
        "uid": "1",
        "labels": {labels.PART_OF: labels.set_id(owner)},
        "annotations": {labels.OWNER: labels.owner_value(resource)},
    }

    def item(version: str) -> dict[str, Any]:
        return {"metadata": {**metadata, "resourceVersion": version}}

    kinds = [
        discovery.Kind(f"autoscaling/{v}", "HPA", "hpas", namespaced=True, verbs=frozenset(), subresources=frozenset())
        for v in ("v1", "v2")
    ]
    first, second = (children._Handler(known, kind) for kind in kinds)
    first.changed(item("5"))
    second.changed(item("5"))
    first.changed(item("7"))
    second.changed(item("6"))
    assert [child.version for child in known.of(owner)] == [7]
    first.gone("ns", "x")
    assert known.of(owner) == []
    told.clear()
    second.gone("ns", "x")
    assert told == []
    second.changed(item("8"))
    assert [child.version for child in known.of(owner)] == [8]


def test_who_marks_a_resource_has_applied_nothing_of_it() -> None:
    entry = {"manager": f"lostromos/app{labels.MARKING}", "operation": "Apply", "fieldsV1": {"f:metadata": {}}}
    assert tracked_objects._managers([entry]) == ((), "")
