"""Resources that were once written in a version that their definition has no longer are looked after like others."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tests import operators
from tests.cluster.test_life import text_of
from tests.contract import test_versions
from tests.controlplane import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeCrd
    from tests.controlplane import api as apis
    from tests.controlplane import cluster
    from tests.controlplane import crds as crds_

OLD, OLDER = "v1alpha1", "v1alpha2"


class Wishes:
    """Resources of a kind in three versions, and the ways to write them in the old ones."""

    WAYS = ("update", "apply", "two", "status")

    def __init__(self, api: apis.Api, kind: crds_.CustomKind, namespace: str) -> None:
        self.api, self.kind, self.namespace = api, kind, namespace
        for version in (OLD, OLDER):
            test_versions.add_version(api, kind, version)

    def path(self, name: str, version: str = "v1", *, subresource: str | None = None) -> str:
        return dataclasses.replace(self.kind, version=version).path(self.namespace, name, subresource=subresource)

    def apply(self, name: str, version: str, **more: Any) -> None:
        head = {"apiVersion": f"{self.kind.group}/{version}", "kind": self.kind.kind, "metadata": {"name": name}}
        self.api.apply(self.path(name, version), head | more, manager="author")

    def write(self, name: str) -> None:
        how = name.partition("-")[2]
        if how == "update":
            self.api.patch(self.path(name, OLD), {"spec": {"x": 1}}, fieldManager="author")
        elif how == "apply":
            self.apply(name, OLD, spec={"x": 1})
        elif how == "two":
            self.apply(name, OLD, spec={"x": 1})
            self.api.patch(self.path(name, OLDER), {"spec": {"y": 1}}, fieldManager="another")
        else:
            body = {"status": {"inventory": {"x": 1}}}
            self.api.patch(self.path(name, OLD, subresource="status"), body, fieldManager="other")

    def is_done(self, name: str, text: str) -> bool:
        return text_of(self.api, self.namespace, name) == text and operators.is_ready(self.api.get(self.path(name)))

    def wait(self, names: list[str], text: str) -> None:
        for name in names:
            waiting.wait_until(lambda name=name: self.is_done(name, text), timeout=60, message=name)  # type: ignore[misc]

    def remove_old(self) -> None:
        for version in (OLD, OLDER):
            test_versions.remove_version(self.api, self.kind, version)


def test_resources_of_a_version_that_is_gone_are_marked_applied_reported_and_released(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    """Written by an update, by an apply, in two versions, in the status; before the operator came, and while it runs."""
    wishes = Wishes(api, make_crd("Wish"), namespace)
    kind = wishes.kind
    early, late = [f"early-{how}" for how in wishes.WAYS], [f"late-{how}" for how in wishes.WAYS]
    for name in (*early, *late):
        api.create(kind.path(namespace), kind.manifest(name, spec={"text": "one"}))
    for name in early:
        wishes.write(name)
    made = operators.project(tmp_path, kind, apply={"server-side": {"finalizer": "always"}})
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        wishes.wait(late, "one")
        for name in late:
            wishes.write(name)
        wishes.remove_old()
        for name in (*early, *late):
            api.patch(wishes.path(name), {"spec": {"text": "two"}})
        wishes.wait([*early, *late], "two")
        for name in (*early, *late):
            api.delete(wishes.path(name))
        waiting.wait_until(lambda: not api.list(kind.path(namespace)), timeout=60)
        assert "a bug" not in operator.log
    assert not api.list(f"/api/v1/namespaces/{namespace}/configmaps", labelSelector="applyset.kubernetes.io/part-of")


def test_an_operator_that_comes_after_a_version_has_gone_can_be_used(
    tmp_path: Path, control_plane: cluster.ControlPlane, api: apis.Api, make_crd: MakeCrd, namespace: str
) -> None:
    kind = make_crd("Wish")
    for version in (OLD, OLDER):
        test_versions.add_version(api, kind, version)
    for version in (OLD, OLDER):
        spoken = dataclasses.replace(kind, version=version)
        api.create(
            spoken.path(namespace), spoken.manifest(f"web-{version}", spec={"text": "one"}), fieldManager="author"
        )
    for version in (OLD, OLDER):
        test_versions.remove_version(api, kind, version)
    made = operators.project(tmp_path, kind, apply={"kubectl": {}})
    with operators.Operator(made, control_plane.kubeconfig) as operator:
        for version in (OLD, OLDER):
            waiting.wait_until(
                lambda version=version: (
                    text_of(api, namespace, f"web-{version}") == "one"  # type: ignore[misc]
                    and operators.is_ready(api.get(kind.path(namespace, f"web-{version}")))
                ),
                timeout=60,
            )
        assert "could not be written" not in operator.log
