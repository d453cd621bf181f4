"""A status that is shared with others, or made for something else: what fits is written, and nothing of others."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests import operators
from tests.cluster.test_life import text_of
from tests.controlplane import crds as crds_
from tests.controlplane import errors as api_errors
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

WITHIN: Final = 60.0
TEXT: Final = {"type": "string"}
OURS: Final = crds_.STATUS["properties"]


def status(*, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": {**OURS, **properties}}


@dataclasses.dataclass(frozen=True)
class Odd:
    """A definition of a status; what is written of ours, what stands in, and what an Event says."""

    schema: dict[str, Any]
    written: frozenset[str] = frozenset({"conditions", "observedGeneration", "resources"})
    stopgaps: tuple[tuple[str, Any], ...] = ()
    event: str = ""


ODD: Final = {
    "resources are a map": Odd(status(resources={"type": "object"}), frozenset({"conditions", "observedGeneration"})),
    "resources are texts": Odd(
        status(resources={"type": "array", "items": TEXT}), frozenset({"conditions", "observedGeneration"})
    ),
    "resources have an id": Odd(
        status(resources={"type": "array", "items": {"type": "object", "required": ["id"], "properties": {"id": TEXT}}}),
        frozenset({"conditions", "observedGeneration"}),
    ),
    "the generation is a text": Odd(status(observedGeneration=TEXT), frozenset({"conditions", "resources"})),
    "conditions are a map": Odd(status(conditions={"type": "object"}), frozenset({"observedGeneration", "resources"})),
    "a rule for conditions": Odd(
        status(conditions={**OURS["conditions"], "x-kubernetes-validations": [{"rule": "self.size() < 2", "message": "one only"}]}),
        frozenset({"observedGeneration", "resources"}),
        event="status.conditions is not written: status.conditions: Invalid value: one only",
    ),
    "a number is required": Odd(
        status(required=("nodes",), nodes={"type": "integer", "minimum": 1}), stopgaps=(("nodes", 1),), event="status.nodes is required"
    ),
    "a list and a text": Odd(
        status(required=("names", "phase"), names={"type": "array", "items": TEXT}, phase=TEXT),
        stopgaps=(("names", []), ("phase", "")), event="status.phase is required",
    ),
    "an object": Odd(
        status(required=("sum",), sum={"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}),
        stopgaps=(("sum", {"ok": False}),), event="status.sum is required",
    ),
    "a choice with a neutral one": Odd(
        status(required=("phase",), phase={"type": "string", "enum": ["Running", "Unknown"]}),
        stopgaps=(("phase", "Unknown"),), event="status.phase is required",
    ),
    "a choice without one": Odd(
        status(required=("phase",), phase={"type": "string", "enum": ["Running", "Failed"]}), frozenset(), event="status.phase: Required value"
    ),
    "a text": Odd(TEXT, frozenset(), event="the kind's status is not a mapping"),
    "a list": Odd({"type": "array", "items": TEXT}, frozenset(), event="the kind's status is not a mapping"),
}  # fmt: skip


def events(api: apis.Api, namespace: str, kind: str, reason: str = "StatusNotWritten") -> list[str]:
    items = api.list(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    return [item["note"] for item in items if item["reason"] == reason and item["regarding"]["kind"] == kind]


def owners(item: dict[str, Any], name: str) -> set[str]:
    """Who owns a field of the status."""
    return {
        entry["manager"]
        for entry in item["metadata"]["managedFields"]
        if f"f:{name}" in ((entry["fieldsV1"].get("f:status") or {}) if entry.get("subresource") == "status" else {})
    }


@pytest.mark.timeout(300)
def test_as_much_of_a_status_is_written_as_fits(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    kinds = {name: make_crd(f"Odd{chr(97 + at)}", status=copy.deepcopy(odd.schema)) for at, (name, odd) in enumerate(ODD.items())}  # fmt: skip
    made = operators.project(tmp_path, next(iter(kinds.values())))
    made.template(
        "config.yaml", operators.CONFIG_MAP.replace("metadata.name }}", "metadata.name }}-{{ resource.kind | lower }}")
    )
    made.write({"controllers": [operators.controller(kind, name=kind.kind.lower()) for kind in kinds.values()]})
    for kind in kinds.values():
        api.create(kind.path(namespace), kind.manifest("web", spec={"text": "one"}))

    def live(name: str) -> dict[str, Any]:
        return api.get(kinds[name].path(namespace, "web"))

    def is_as_told(name: str) -> bool:
        odd, item = ODD[name], live(name)
        found = item.get("status") or {}
        said = events(api, namespace, kinds[name].kind)
        return (
            text_of(api, namespace, f"web-{kinds[name].kind.lower()}") == "one"
            and odd.written == found.keys() & {"conditions", "observedGeneration", "resources"}
            and all(found.get(field) == value and not owners(item, field) for field, value in odd.stopgaps)
            and (not odd.event or any(odd.event in text for text in said))
        )

    with operators.Operator(made, control_plane.kubeconfig) as operator:
        for name in ODD:
            try:
                waiting.wait_until(lambda name=name: is_as_told(name), timeout=WITHIN, message=name, interval=0.2)  # type: ignore[misc]
            except TimeoutError as error:
                error.add_note(f"{live(name).get('status')} {events(api, namespace, kinds[name].kind)}")
                error.add_note(operator.log[-3000:])
                raise
        body = {"status": {"nodes": 7}}
        nodes = kinds["a number is required"]
        api.apply(
            nodes.path(namespace, "web", subresource="status"),
            {"apiVersion": nodes.api_version, "kind": nodes.kind, "metadata": {"name": "web"}, **body},
            manager="theirs",
        )  # without force: nobody owned it
        for kind in kinds.values():
            api.patch(kind.path(namespace, "web"), {"spec": {"text": "two"}})
        for kind in kinds.values():
            waiting.wait_until(lambda kind=kind: text_of(api, namespace, f"web-{kind.kind.lower()}") == "two")  # type: ignore[misc]
        waiting.wait_until(lambda: operators.is_ready(live("a number is required")), timeout=WITHIN)
        assert live("a number is required")["status"]["nodes"] == 7
        for kind in kinds.values():
            note = {"metadata": {"annotations": {"lostromos.dev/reconcile": "again"}}}
            api.patch(kind.path(namespace, "web"), note)
        waiting.wait_until_still(
            lambda: {name: live(name)["metadata"]["resourceVersion"] for name in ODD},
            seconds=2,
            message="at rest, nothing is written",
        )
        assert "a bug" not in operator.log
        assert "Traceback" not in operator.log


STATUS_TEMPLATE = """\
address: "{{ resource.spec.text }}"
phase: "{{ resource.spec.phase | default('ours') }}"
nested: {ours: "{{ resource.spec.text }}"}
"""
FAILS = "{% if resource.spec.fail | default(false) %}{{ resource.spec.nothing.at.all }}{% endif %}\n"
WAITS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ resource.metadata.name }}-late"}
data: {v: "{{ lookup('v1', 'ConfigMap', resource.spec.wait | default('there')).data.v }}"}
"""
CHANGES: Final[dict[str, dict[str, Any]]] = {
    "fails": {"spec": {"fail": True}},
    "waits": {"spec": {"wait": "nothing"}},
    "pauses": {"metadata": {"annotations": {"lostromos.dev/pause": "true"}}},
    "edits": {"spec": {"text": "other"}},
    "leaves": {"metadata": {"finalizers": ["example.com/hold"]}},
}


@pytest.mark.timeout(300)
def test_fields_of_others_stay_theirs_whatever_happens(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    """And what the template for the status made stays ours, as long as it makes it; what is theirs is left to them."""
    open_status = {**crds_.STATUS, "x-kubernetes-preserve-unknown-fields": True}
    kind = make_crd("Shared", status=open_status)
    made = operators.project(
        tmp_path, kind, templates={"config.yaml": operators.CONFIG_MAP, "fail.yaml": FAILS, "late.yaml": WAITS}
    )
    made.template("status.yaml", STATUS_TEMPLATE)
    controller = operators.controller(kind, apply={"server-side": {"finalizer": "always"}})
    controller["render"] = {"jinja": {"templates": "templates", "status": "status.yaml"}}
    made.write({"controllers": [controller]})
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "there"}, "data": {"v": "1"}})
    theirs = {"backup": {"last": "1"}, "nested": {"theirs": "1"}, "items": [1, 2]}

    def live(name: str) -> dict[str, Any]:
        return api.get(kind.path(namespace, name))

    def write(name: str, fields: dict[str, Any]) -> None:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "status": fields}
        api.apply(kind.path(namespace, name, subresource="status"), body, manager="theirs")

    for name in [*CHANGES, "first"]:
        api.create(kind.path(namespace), kind.manifest(name, spec={"text": "one"}))
    write("first", {"phase": "theirs"})
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        for name in [*CHANGES, "first"]:
            waiting.wait_until(lambda name=name: operators.is_ready(live(name)), timeout=WITHIN)  # type: ignore[misc]
        assert live("first")["status"]["phase"] == "theirs"
        assert owners(live("first"), "phase") == {"theirs"}
        assert live("first")["status"]["address"] == "one"
        assert any("status.phase is left to" in text for text in events(api, namespace, "Shared"))
        for name, change in CHANGES.items():
            write(name, theirs)
            before = operators.condition(live(name))
            api.patch(kind.path(namespace, name), change)
            if name == "leaves":
                api.delete(kind.path(namespace, name))
            waiting.wait_until(
                lambda name=name, before=before: operators.condition(live(name)) != before or name == "leaves",  # type: ignore[misc]
                timeout=WITHIN, message=name,
            )  # fmt: skip
            write(name, {**theirs, "backup": {"last": "2"}})  # without force: it has been theirs all the time
            found = live(name)
            assert owners(found, "backup") == {"theirs"}, name
            assert found["status"]["backup"] == {"last": "2"}
            assert found["status"]["nested"]["theirs"] == "1"
            if name != "leaves":
                assert found["status"]["address"] == ("other" if name == "edits" else "one"), name
                assert found["status"]["phase"] == "ours", name
        with pytest.raises(api_errors.ApiError, match="lostromos/app/status"):
            write("fails", {**theirs, "phase": "theirs"})
        api.patch(kind.path(namespace, "leaves"), {"metadata": {"finalizers": None}})
        assert "a bug" not in operator.log


SHAPES: Final = [
    "Ready",
    ["Ready"],
    7,
    {"conditions": {"Ready": "True"}},
    {"conditions": ["x"], "resources": "x"},
    {"resources": 3},
]


def test_a_status_of_an_odd_shape_is_replaced_by_ours(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    kind = make_crd("Free", status={"x-kubernetes-preserve-unknown-fields": True})
    made = operators.project(tmp_path, kind)
    names = [f"web{number}" for number in range(len(SHAPES))]
    for name, shape in zip(names, SHAPES, strict=True):
        api.create(kind.path(namespace), kind.manifest(name, spec={"text": "one"}))
        api.patch(kind.path(namespace, name, subresource="status"), {"status": shape}, fieldManager="somebody")
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        for name in names:
            waiting.wait_until(
                lambda name=name: operators.is_ready(api.get(kind.path(namespace, name))),  # type: ignore[misc]
                message=name,
            )
        for name in names:
            api.delete(kind.path(namespace, name))
            waiting.wait_until(lambda name=name: not api.exists(kind.path(namespace, name)))  # type: ignore[misc]
        assert "a bug" not in operator.log


@pytest.mark.parametrize("status_subresource", [False, True], ids=["no subresource", "no mapping"])
def test_a_kind_without_a_usable_status_tells_in_events_what_is_wrong(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    make_crd: MakeCrd,
    namespace: str,
    status_subresource: bool,
) -> None:
    status = dict(TEXT) if status_subresource else None
    kind = make_crd("Silent", status=status, status_subresource=status_subresource)
    made = operators.project(tmp_path, kind, templates={"config.yaml": operators.CONFIG_MAP, "fail.yaml": FAILS})
    api.create(kind.path(namespace), kind.manifest("web", spec={"text": "one"}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "one")
        api.patch(kind.path(namespace, "web"), {"spec": {"fail": True}})
        waiting.wait_until(lambda: bool(events(api, namespace, "Silent", "RenderFailed")))
        api.patch(kind.path(namespace, "web"), {"spec": {"fail": False}})
        waiting.wait_until(lambda: bool(events(api, namespace, "Silent", "Applied")))
        assert len(events(api, namespace, "Silent", "RenderFailed")) == 1
        assert len(events(api, namespace, "Silent")) == int(status_subresource)
        assert "a bug" not in operator.log
