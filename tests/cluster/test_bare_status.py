"""Kinds whose definitions declare little of a status, or declare it late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import operators
from tests.cluster.test_life import text_of
from tests.controlplane import crds as crds_
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster

BARE_CONDITIONS = {"conditions": {"type": "array", "items": {"type": "object"}}}
NUMBER = {"observedGeneration": {"type": "integer", "format": "int64"}}


@pytest.mark.parametrize(
    ("status", "written"),
    [
        ({"type": "object", "properties": BARE_CONDITIONS}, None),
        ({"type": "object", "properties": BARE_CONDITIONS | NUMBER}, {"observedGeneration": 1}),
        ({"type": "object", "properties": NUMBER}, {"observedGeneration": 1}),
        ({"type": "object"}, None),
        ({"type": "string"}, None),
        ({"type": "array", "items": {"type": "string"}}, None),
    ],
    ids=["bare conditions", "bare conditions and a number", "a number", "nothing", "a text", "a list"],
)
def test_as_much_of_the_status_is_written_as_is_declared(
    tmp_path: Path,
    control_plane: cluster.ControlPlane,
    api: apis.Api,
    make_crd: MakeCrd,
    namespace: str,
    status: dict[str, Any],
    written: dict[str, Any] | None,
) -> None:
    kind = make_crd("Bare", status=status)
    made = operators.project(tmp_path, kind)
    api.create(kind.path(namespace), kind.manifest("web", spec={"text": "one"}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "one")
        operator.says("the kind does not declare all status fields")
        waiting.wait_until(lambda: api.get(kind.path(namespace, "web")).get("status") == written)
        api.patch(kind.path(namespace, "web"), {"spec": {"text": "two"}})
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "two")
        assert "a bug" not in operator.log
        assert "could not be written" not in operator.log


def test_a_status_with_fields_that_are_required_is_told_of(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    status = {**crds_.STATUS, "required": ["nodes"]}
    status["properties"] = {**crds_.STATUS["properties"], "nodes": {"type": "integer"}}
    kind = make_crd("Strict", status=status)
    made = operators.project(tmp_path, kind)
    api.create(kind.path(namespace), kind.manifest("web", spec={"text": "one"}))

    def events() -> list[str]:
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        return [item["note"] for item in api.list(path) if item["reason"] == "StatusNotWritten"]

    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "one")
        operator.says("the kind requires status fields that are not ours")
        waiting.wait_until(lambda: bool(events()))
        assert "status.nodes" in events()[0]
        # The other author writes his field, and the status that was refused is written without any change of ours.
        path = kind.path(namespace, "web", subresource="status")
        api.patch(path, {"status": {"nodes": 3}})
        waiting.wait_until(lambda: operators.is_ready(api.get(kind.path(namespace, "web"))), timeout=60)
        assert api.get(kind.path(namespace, "web"))["status"]["nodes"] == 3


def test_a_status_that_is_declared_later_is_written_without_a_restart(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    kind = make_crd("Late", status_subresource=False)
    made = operators.project(tmp_path, kind)
    api.create(kind.path(namespace), kind.manifest("web", spec={"text": "one"}))
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        waiting.wait_until(lambda: text_of(api, namespace, "web") == "one")
        operator.says("add `subresources")
        definition = f"{crds_.DEFINITIONS}/{kind.definition_name}"
        versions = api.get(definition)["spec"]["versions"]
        versions[0]["subresources"] = {"status": {}}
        api.patch(definition, {"spec": {"versions": versions}})
        waiting.wait_until(lambda: operators.is_ready(api.get(kind.path(namespace, "web"))), timeout=120)
